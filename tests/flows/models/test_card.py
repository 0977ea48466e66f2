"""Model cards say what the model file says, and where it says nothing."""

import json
from dataclasses import replace
from pathlib import Path

from segflow.flows.models.card import card_text
from segflow.flows.models.exports import write_card
from segflow.flows.models.lookup import find_model, show_text
from segflow.segmentation.spec import ModelSpec
from tests.scenes import write_pixelwise_model

SECTIONS = ("Input", "Classes", "Tiles", "Scores", "Confidence", "Training", "Limits", "Licence")


def test_the_card_of_a_shipped_model_is_complete(tmp_path: Path) -> None:
    model = find_model("forest-amazon-s2")
    text = write_card("forest-amazon-s2", tmp_path / "card.md")

    assert (tmp_path / "card.md").read_text(encoding="utf-8") == text == card_text(model)
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == list(SECTIONS)
    for said in (
        model.digest,
        "| 1 | forest | `#1b7837` | polygon |",
        "(pixel − 20) / 10",
        "Guarantee: exact",
        "margin 192 px",
        f"{model.spec.metrics['test']['iou']['forest']:.4f}",
        model.spec.licence,
        "| chips_per_epoch | 320 |",
    ):
        assert said in text


def test_a_card_says_what_is_not_known(tmp_path: Path) -> None:
    model = find_model(str(write_pixelwise_model(tmp_path / "m.safetensors")))
    text = card_text(model)

    assert "None were measured" in text
    assert "was fitted on validation" in card_text(replace(model, spec=replace(model.spec, temperature=1.4)))
    assert "was not calibrated" in text
    assert text.count("Not stated.") == 3  # data, training, licence
    unbounded = replace(model, spec=replace(model.spec, guarantee="unbounded", dependency=None, margin=128))
    assert "dependency without bound" in card_text(unbounded)
    assert "tiles leave traces" in card_text(unbounded)


def test_a_bounded_model_says_what_was_measured_and_on_what(tmp_path: Path) -> None:
    model = find_model(str(write_pixelwise_model(tmp_path / "m.safetensors")))
    unmeasured = replace(model.spec, guarantee="bounded", dependency=94, margin=32)
    measured = replace(unmeasured, worst_difference=0.0123, worst_difference_data="2 pieces of validation scenes")
    without, bounded = (
        [write(replace(model, spec=spec)) for write in (card_text, show_text)] for spec in (unmeasured, measured)
    )

    assert all("was not measured" in page and "at most" not in page for page in without)
    assert all("at most 0.0123, measured on 2 pieces of validation scenes" in page for page in bounded)


def test_a_bound_that_an_old_file_only_seems_to_state_counts_for_nothing(tmp_path: Path) -> None:
    model = find_model(str(write_pixelwise_model(tmp_path / "m.safetensors")))
    fields = json.loads(replace(model.spec, guarantee="bounded", dependency=94, margin=32).to_json())
    del fields["worst_difference_data"]
    old = ModelSpec.from_json(json.dumps({**fields, "worst_difference": 0.0}))

    assert old.worst_difference is None
    assert "was not measured" in card_text(replace(model, spec=old))


def test_no_name_breaks_a_table(tmp_path: Path) -> None:
    model = find_model(str(write_pixelwise_model(tmp_path / "m.safetensors")))
    classes = (replace(model.spec.classes[0], name="a|b"), model.spec.classes[1])
    text = card_text(replace(model, spec=replace(model.spec, classes=classes)))

    assert r"| 0 | a\|b | `#202040` | polygon |" in text
