"""The shipped models keep what their specs say, on scenes that neither training nor the choice of the epoch saw."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from segflow.configs.training import TrainSettings
from segflow.configs.training_files import load_training
from segflow.flows.models.lookup import find_model, shipped_models
from segflow.flows.train.labelled import plan_split, read_samples
from segflow.flows.train.scoring import score_samples
from segflow.io.models.packages import read_model_file
from segflow.segmentation.predict.weights import restore_network
from segflow.segmentation.probe import Probe, probe_network

LARGEST = 10 * 2**20  # bytes; they travel with the package


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a shipped model promises: where its data lie, its classes, what its card names, its least scores.

    `apart` are test scenes whose labels are known to be wrong: `others` are the least scores on the rest.
    """

    folder: str
    classes: tuple[str, str]
    named: tuple[str, ...]
    probe: Probe
    least: dict[str, float]
    apart: tuple[str, ...] = ()
    others: dict[str, float] = field(default_factory=dict)


PROMISES = {
    "forest-amazon-s2": Promise(
        folder="forest-amazon",
        classes=("other", "forest"),
        named=("Bragagnolo", "Copernicus", "CC BY 4.0"),
        probe=Probe(stride=32, dependency=192),
        least={"iou": 0.91, "f1": 0.953},  # a logistic regression of single pixels has an IoU of 0.83
    ),
    "roads-aerial": Promise(
        folder="roads-massachusetts",
        classes=("other", "road"),
        named=("Mnih", "OpenStreetMap", "ODbL"),
        probe=Probe(stride=16, dependency=92),
        least={"iou": 0.47, "relaxed_f1": 0.775},
        apart=("26429275",),  # its labels leave out the main road through a settlement
        others={"iou": 0.53, "relaxed_f1": 0.81},
    ),
}
BOTH = pytest.mark.parametrize("name", PROMISES)


def settings_of(name: str, shared_data: Path) -> TrainSettings:
    return load_training(name, [f"data={shared_data / PROMISES[name].folder}"], environment={})


def test_these_are_all_that_are_shipped() -> None:
    assert set(shipped_models()) == set(PROMISES)


@BOTH
def test_it_ships_small_exact_and_with_a_card(name: str) -> None:
    model, promise = find_model(name), PROMISES[name]
    card = Path(model.path).with_suffix(".md").read_text(encoding="utf-8")

    assert Path(model.path).stat().st_size <= LARGEST
    assert model.spec.guarantee == "exact"
    assert [band.name for band in model.spec.bands] == ["red", "green", "blue"]
    assert tuple(entry.name for entry in model.spec.classes) == promise.classes
    for needed in (str(model.spec.metrics["test"]["iou"][promise.classes[1]]), *promise.named):
        assert needed in card


@BOTH
def test_its_spec_is_what_its_config_says(name: str) -> None:
    spec, settings = find_model(name).spec, load_training(name, environment={})

    assert spec.version == settings.version
    assert sorted(spec.metrics["test"]["scenes"]) == sorted(settings.test)
    assert sorted(spec.metrics["validation"]["scenes"]) == sorted(settings.validation)
    for key, value in spec.provenance["settings"].items():
        if key not in {"classes", "labels"}:
            assert json.loads(json.dumps(value)) == json.loads(json.dumps(dataclasses.asdict(settings)[key])), key


@BOTH
def test_stride_and_margin_are_those_of_its_weights(name: str) -> None:
    model = find_model(name)
    network = restore_network(model.spec, read_model_file(model.path)[1])

    assert probe_network(network, 3) == PROMISES[name].probe
    assert model.spec.dependency <= model.spec.margin < model.spec.dependency + model.spec.stride


@BOTH
def test_the_split_was_made_by_names_alone(name: str, shared_data: Path) -> None:
    """Sorted by the sha256 of their names: 8 for the test, 4 for validation, the rest to learn from."""
    settings = settings_of(name, shared_data)
    names = sorted(
        (path.stem for path in Path(settings.data).glob(settings.scenes)),
        key=lambda stem: hashlib.sha256(stem.encode()).hexdigest(),
    )
    plan = plan_split(settings)

    assert settings.test == tuple(names[:8])
    assert settings.validation == tuple(names[8:12])
    assert set(plan.names("training")) == set(names[12:])


@pytest.mark.parametrize("name", ["forest-amazon-s2", pytest.param("roads-aerial", marks=pytest.mark.slow)])
def test_its_scores_on_unseen_scenes_can_be_reproduced(name: str, shared_data: Path) -> None:
    settings, model = settings_of(name, shared_data), find_model(name)
    network = restore_network(model.spec, read_model_file(model.path)[1])
    samples = read_samples(plan_split(settings), "test", settings, dependency=None)
    scores: dict[str, Any] = score_samples(network, samples, model.spec)
    claimed, found = model.spec.metrics["test"], PROMISES[name].classes[1]

    for score in ("iou", "f1", "precision", "recall", "boundary_f1", "relaxed_f1"):
        assert scores[score][found] == pytest.approx(claimed[score][found], abs=0.002), score
    for score in ("pixel_accuracy", "calibration_error"):
        assert scores[score] == pytest.approx(claimed[score], abs=0.002), score
    for score, least in PROMISES[name].least.items():
        assert scores[score][found] >= least


@pytest.mark.slow  # the scores of all test tiles stand in the gate
@pytest.mark.parametrize("name", [name for name, promise in PROMISES.items() if promise.apart])
def test_where_labels_are_sound_it_scores_higher(name: str, shared_data: Path) -> None:
    settings, model, promise = settings_of(name, shared_data), find_model(name), PROMISES[name]
    samples = read_samples(plan_split(settings), "test", settings, dependency=None)
    rest = [sample for sample in samples if sample.name not in promise.apart]
    scores: dict[str, Any] = score_samples(
        restore_network(model.spec, read_model_file(model.path)[1]), rest, model.spec
    )

    assert len(rest) == len(samples) - len(promise.apart) >= 6
    for score, least in promise.others.items():
        assert scores[score][promise.classes[1]] >= least
