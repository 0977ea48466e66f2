"""The shipped model keeps what its spec says, on scenes that neither training nor selection saw."""

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from segflow.configs.training import load_training
from segflow.flows.labelled import plan_split, read_samples
from segflow.flows.models import find_model
from segflow.flows.scoring import score_samples
from segflow.io.models import read_model_file
from segflow.segmentation.probe import Probe, probe_network
from segflow.segmentation.weights import restore_network

NAME = "forest-amazon-s2"
LARGEST = 8 * 2**20  # bytes; it travels with the package
NEEDED_IOU = 0.88  # of forest; a logistic regression of single pixels reaches 0.83


def test_it_ships_small_exact_and_with_a_card() -> None:
    model = find_model(NAME)
    card = Path(model.path).with_suffix(".md").read_text(encoding="utf-8")

    assert Path(model.path).stat().st_size <= LARGEST
    assert model.spec.guarantee == "exact"
    assert [band.name for band in model.spec.bands] == ["red", "green", "blue"]
    assert [entry.name for entry in model.spec.classes] == ["other", "forest"]
    for needed in (str(model.spec.metrics["test"]["iou"]["forest"]), "Bragagnolo", "Copernicus", "CC BY 4.0"):
        assert needed in card


def test_its_spec_is_what_its_config_says() -> None:
    spec, settings = find_model(NAME).spec, load_training(NAME, environment={})

    assert spec.version == settings.version
    assert sorted(spec.metrics["test"]["scenes"]) == sorted(settings.test)
    assert sorted(spec.metrics["validation"]["scenes"]) == sorted(settings.validation)
    for key, value in spec.provenance["settings"].items():
        if key != "classes":
            assert json.loads(json.dumps(value)) == json.loads(json.dumps(dataclasses.asdict(settings)[key])), key


def test_stride_and_margin_are_those_of_its_weights() -> None:
    text_spec = find_model(NAME)
    network = restore_network(text_spec.spec, read_model_file(text_spec.path)[1])

    assert probe_network(network, 3) == Probe(stride=16, dependency=94)
    assert text_spec.spec.margin == 96


def test_the_split_was_made_by_names_alone(shared_data: Path) -> None:
    """Sorted by the sha256 of their names: 8 for the test, 4 for validation, the rest to learn from."""
    settings = load_training(NAME, [f"data={shared_data / 'forest-amazon'}"], environment={})
    names = sorted(
        (path.stem for path in Path(settings.data).glob(settings.scenes)),
        key=lambda name: hashlib.sha256(name.encode()).hexdigest(),
    )
    plan = plan_split(settings)

    assert settings.test == tuple(names[:8])
    assert settings.validation == tuple(names[8:12])
    assert set(plan.names("training")) == set(names[12:])


@pytest.fixture(scope="module")
def test_scores(shared_data: Path) -> dict[str, object]:
    """Scores of the shipped weights on the test scenes, each mapped in one forward pass."""
    settings = load_training(NAME, [f"data={shared_data / 'forest-amazon'}"], environment={})
    model = find_model(NAME)
    network = restore_network(model.spec, read_model_file(model.path)[1])
    return score_samples(network, read_samples(plan_split(settings), "test", settings, dependency=None), model.spec)


def test_forest_is_found_in_unseen_scenes(test_scores: dict[str, dict[str, float]]) -> None:
    assert test_scores["iou"]["forest"] >= NEEDED_IOU


def test_the_scores_in_the_spec_can_be_reproduced(test_scores: dict[str, dict[str, float]]) -> None:
    claimed = find_model(NAME).spec.metrics["test"]

    assert test_scores["iou"]["forest"] == pytest.approx(claimed["iou"]["forest"], abs=0.002)
    assert test_scores["pixel_accuracy"] == pytest.approx(claimed["pixel_accuracy"], abs=0.002)
