"""Training: a loop that learns, repeats itself and says why it stops; a flow that ends in a model."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from segflow.configs.training_files import load_training
from segflow.errors import SceneError, SettingsError, TrainingError
from segflow.flows.models.lookup import find_model
from segflow.flows.train.labelled import plan_split, read_samples
from segflow.flows.train.train import train_model
from segflow.io.models.packages import model_digest, read_model_file
from segflow.io.storage.files import replace_file
from segflow.io.work.training_log import read_training_log
from segflow.segmentation.networks.registry import build_network
from segflow.segmentation.predict.weights import restore_network
from segflow.segmentation.scores.metrics import Counts, Scores
from segflow.segmentation.spec import BandSpec, ModelSpec
from segflow.segmentation.training.chips import Sample, measure_bands, normalise
from segflow.segmentation.training.decision import count_logits
from segflow.segmentation.training.loop import Logs, train_network
from segflow.segmentation.training.prediction import scene_pieces
from segflow.segmentation.training.recipe import Epoch, Recipe, Task
from segflow.tiling import Tile, TileGrid
from tests.training_scenes import PLAIN, bright_and_dark, write_toy


def test_bands_are_measured_over_valid_pixels() -> None:
    sample = bright_and_dark("a", 1)
    bands = measure_bands([sample], ("red", "nir"))
    values = sample.pixels[1][sample.valid]

    assert [band.name for band in bands] == ["red", "nir"]
    assert bands[1].mean == pytest.approx(values.mean(), abs=1e-3)
    assert bands[1].std == pytest.approx(values.std(), abs=1e-3)


def test_bands_without_contrast_or_pixels_are_refused() -> None:
    sample = bright_and_dark("a", 1)
    with pytest.raises(TrainingError, match="band nir has the value 0"):
        measure_bands([replace(sample, pixels=sample.pixels * np.uint8([[[1]], [[0]]]))], ("red", "nir"))
    with pytest.raises(TrainingError, match="no valid pixel"):
        measure_bands([replace(sample, valid=np.zeros_like(sample.valid))], ("red", "nir"))


RECIPE = Recipe(epochs=6, chips_per_epoch=32, batch=8, chip=32, learning_rate=1e-2, averaging=0.5, seed=3)
SCENES = (bright_and_dark("a", 1), bright_and_dark("b", 2))


class Notes:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, float]] = []
        self.epochs: list[Epoch] = []

    def resume(self, epoch: int) -> None:
        raise AssertionError(epoch)

    def step(self, number: int, loss: float) -> None:
        self.steps.append((number, loss))

    def epoch(self, epoch: Epoch, network: nn.Module) -> None:
        assert not network.training
        self.epochs.append(epoch)


def learn(folder: Path, recipe: Recipe = RECIPE, samples: tuple[Sample, ...] = SCENES) -> tuple[nn.Module, Notes]:
    torch.manual_seed(0)
    notes = Notes()
    best = train_network(
        build_network("unet", {"widths": [4, 8]}, in_channels=2, classes=2),
        samples,
        [bright_and_dark("c", 3)],
        task=Task(bands=measure_bands(SCENES, ("red", "nir")), classes=2, stride=2, margin=8),
        recipe=recipe,
        logs=Logs(folder=folder, identity={}, replace=replace_file),
        observer=notes,
    )
    return best, notes


def whole_pass(network: nn.Module, sample: Sample, stride: int) -> np.ndarray:
    """Give the (classes, height, width) logits of a whole scene in one pass, by hand."""
    height, width = sample.labels.shape
    inputs = np.pad(
        normalise(sample.pixels, sample.valid, PLAIN), ((0, 0), (0, -height % stride), (0, -width % stride))
    )
    with torch.inference_mode():
        return network.eval()(torch.from_numpy(inputs)[None])[0, :, :height, :width].numpy()


def count(
    network: nn.Module, samples: list[Sample], bands: tuple[BandSpec, ...], *, stride: int = 2, margin: int = 8
) -> Counts:
    """Count the labelled pixels of scenes by true and predicted class."""
    pieces = list(scene_pieces(network, samples, bands=bands, stride=stride, margin=margin))
    return count_logits([logits for logits, _ in pieces], [piece for _, piece in pieces], np.zeros(2, np.float32))


def score(network: nn.Module) -> float:
    bands = measure_bands(SCENES, ("red", "nir"))
    return Scores.of(count(network, [bright_and_dark("c", 3)], bands)).mean_iou


def test_it_learns_repeats_itself_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    best, notes = learn(tmp_path / "a")
    again, _ = learn(tmp_path / "b")

    assert notes.epochs[-1].loss < notes.epochs[0].loss / 2
    assert score(best) > 0.9
    assert score(best) == pytest.approx(max(epoch.scores.mean_iou for epoch in notes.epochs))
    assert [epoch.number for epoch in notes.epochs] == [1, 2, 3, 4, 5, 6]
    assert [number for number, _ in notes.steps] == list(range(1, 25))
    assert all(torch.equal(a, b) for a, b in zip(best.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize(
    "change",
    [
        {"optimiser": "sgd", "schedule": "poly", "momentum": 0.8, "learning_rate": 0.1},
        {"optimiser": "adam", "schedule": "cosine", "loss": {"cross-entropy": 0.5, "dice": 1.0, "lovasz": 0.5}},
        {"schedule": "constant", "loss": {"focal": 1.0}, "class_weights": "balanced", "sampling": "balanced"},
        {"mixed_precision": "bfloat16", "fit_bias": True, "accumulate": 2, "batch": 4},
        {
            "optimiser": "sgd",
            "loss_reduction": "sum",
            "learning_rate": 1e-5,
            "momentum": 0.9,
            "schedule": "constant",
            "bias_rate": 2.0,
            "bias_decay": False,
            "clip": None,
            "weight_decay": 5e-4,
        },
    ],
)
def test_every_recipe_learns(tmp_path: Path, change: dict[str, object]) -> None:
    best, notes = learn(tmp_path, replace(RECIPE, **change))

    assert notes.epochs[-1].loss < notes.epochs[0].loss
    assert score(best) > 0.8
    assert len(notes.steps) == 24


def test_it_stops_when_nothing_gets_better(tmp_path: Path) -> None:
    _, notes = learn(tmp_path, replace(RECIPE, epochs=30, patience=2, learning_rate=1e-7, averaging=0.0))
    best = max(epoch.number for epoch in notes.epochs if epoch.best)

    assert len(notes.epochs) == best + 2 < 30


def test_maps_fit_scenes_of_any_size() -> None:
    sample = bright_and_dark("a", 1)
    cut = Sample(
        name="c", pixels=sample.pixels[:, :61, :47], valid=sample.valid[:61, :47], labels=sample.labels[:61, :47]
    )
    network = build_network("unet", {"widths": [2, 2, 2]}, in_channels=2, classes=2)
    ((found, piece),) = scene_pieces(network, [cut], bands=PLAIN, stride=4, margin=20)
    counts = count(network, [cut], PLAIN, stride=4, margin=20)

    assert found.shape == (2, 61, 47)
    assert piece.labels.shape == (61, 47)
    assert np.array_equal(found, whole_pass(network, cut, 4))
    assert counts.sum() == np.sum(cut.valid & (cut.labels != 255))


def test_large_scenes_are_predicted_where_they_have_labels_and_as_in_one_piece() -> None:
    random = np.random.default_rng(0)
    shape = (2050, 2061)
    labels = np.full(shape, 255, np.uint8)
    labels[1000:1100, 900:1200] = 1
    sample = Sample(
        name="l", pixels=random.integers(0, 9, (2, *shape), np.uint8), valid=np.ones(shape, bool), labels=labels
    )
    network = build_network("unet", {"widths": [2, 3]}, in_channels=2, classes=2)
    whole = whole_pass(network, sample, 2)
    pieces = list(scene_pieces(network, [sample], bands=PLAIN, stride=2, margin=8))

    assert [piece.labels.shape for _, piece in pieces] == [(1024, 1024)] * 4
    assert np.array_equal(pieces[3][0], whole[:, 1024:2048, 1024:2048])


def test_a_loss_that_is_no_number_names_the_chips(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"at epoch \d, batch \d of the chips [ab] rows \d+–\d+ .*learning rate"):
        learn(tmp_path, replace(RECIPE, learning_rate=1e30))


def test_pixels_that_are_no_numbers_name_their_chips(tmp_path: Path) -> None:
    sample = bright_and_dark("broken", 1)
    pixels = sample.pixels.astype(np.float32)
    pixels[0, 20:40, 20:40] = np.nan
    with pytest.raises(TrainingError, match=r"pixels are not finite in broken rows \d+–\d+ columns"):
        learn(tmp_path, samples=(replace(sample, pixels=pixels),))


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        ((), "training needs scenes to learn from"),
        ((bright_and_dark("a", 1, side=24),), "24 × 24 px, but a chip has 32"),
        ((replace(bright_and_dark("a", 1), labels=np.full((64, 64), 255, np.uint8)),), "1 training scenes .a. has a"),
        ((replace(bright_and_dark("a", 1), labels=np.full((64, 64), 7, np.uint8)),), "has the label 7"),
    ],
)
def test_scenes_that_teach_nothing_are_refused(tmp_path: Path, samples: tuple[Sample, ...], says: str) -> None:
    with pytest.raises(TrainingError, match=says):
        learn(tmp_path, samples=samples)


def test_float16_is_not_for_a_cpu(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="float16 is for GPUs"):
        learn(tmp_path, replace(RECIPE, mixed_precision="float16"))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config with four labelled scenes beside it."""
    return write_toy(tmp_path)


def test_a_config_becomes_a_model_with_honest_scores(config: Path, tmp_path: Path) -> None:
    settings = load_training(config, environment={})
    path = train_model(settings)
    text, arrays = read_model_file(path)
    spec = ModelSpec.from_json(text)
    network = restore_network(spec, arrays)
    test = read_samples(plan_split(settings), "test", settings, dependency=8)
    scores = Scores.of(count(network, test, spec.bands, stride=spec.stride))

    assert find_model(str(path)).spec == spec
    assert spec.bfloat16_changes is not None
    assert 0 <= spec.bfloat16_changes < 0.1
    assert 0.05 < spec.temperature < 20
    assert spec.temperature != 1
    assert (spec.stride, spec.dependency, spec.margin, spec.guarantee) == (2, 8, 8, "exact")
    assert [(c.name, c.geometry) for c in spec.classes] == [("dark", "polygon"), ("bright", "none")]
    assert list(spec.metrics["test"]["scenes"]) == ["s3"]
    assert spec.metrics["test"]["iou"]["bright"] == pytest.approx(scores.iou[1], abs=1e-4)
    assert str(tmp_path) not in text


def test_a_margin_below_the_dependency_is_bounded_by_what_validation_scenes_show(config: Path) -> None:
    settings = load_training(config, ["margin=2", "epochs=1"], environment={})
    text, arrays = read_model_file(train_model(settings))
    spec = ModelSpec.from_json(text)
    (sample,) = read_samples(plan_split(settings), "validation", settings, dependency=8)
    network = restore_network(spec, arrays)
    halves = TileGrid(height=64, width=64, core=32, margin=2, stride=2)
    as_run = tile_difference(network, spec, sample, halves)
    clipped = tile_difference(network, spec, sample, [halves.around(tile.core) for tile in halves])

    assert (spec.dependency, spec.margin, spec.guarantee) == (8, 2, "bounded")
    assert spec.worst_difference_data == "1 piece of validation scenes"
    assert 0 < as_run <= clipped <= spec.worst_difference < 1.01 * clipped + 1e-6


def tile_difference(network: nn.Module, spec: ModelSpec, sample: Sample, tiles: Iterable[Tile]) -> float:
    """Give the largest difference of a probability between the tiles of a scene and a whole pass, by hand."""
    inputs = torch.from_numpy(normalise(sample.pixels, sample.valid, spec.bands))[None]
    worst = 0.0
    with torch.inference_mode():
        whole = (network(inputs) / spec.temperature).softmax(1)
        for tile in tiles:
            part = (network(inputs[:, :, *tile.read.slices]) / spec.temperature).softmax(1)
            difference = part[:, :, *tile.core_in_read.slices] - whole[:, :, *tile.core.slices]
            worst = max(worst, float(difference.abs().max()))
    return worst


def test_the_log_tells_the_whole_story(config: Path) -> None:
    settings = load_training(config, environment={})
    path = train_model(settings)
    events = read_training_log(settings.log_folder)
    names = {entry.name for entry in settings.log_folder.iterdir()}

    assert [e["event"] for e in events] == ["start", "epoch", "epoch", "step", "epoch", "end"]
    assert events[0] == {
        "event": "start",
        "name": "toy",
        "architecture": "unet",
        "epochs": 3,
        "steps_per_epoch": 4,
        "classes": ["dark", "bright"],
        "colours": ["#000000", "#ffffff"],
        "notes": [],
    }
    assert events[1].keys() == {"event", "epoch", "loss", "learning_rate", "seconds", "scores", "best"}
    assert events[1]["scores"].keys() >= {"mean_iou", "pixel_accuracy", "iou", "f1"}
    assert (events[-1]["model"], events[-1]["test"]["scenes"].keys()) == (str(path), {"s3"})
    assert {"log.jsonl", "last.ckpt", "best.ckpt", "training.html"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)


def test_a_second_training_keeps_the_first_one_apart(config: Path) -> None:
    settings = load_training(config, ["epochs=1"], environment={})
    first = model_digest(train_model(settings))
    earlier = (settings.log_folder / "log.jsonl").read_text()
    second = model_digest(train_model(settings))

    assert first == second  # the same config gives the same bytes
    assert [e["event"] for e in read_training_log(settings.log_folder)] == ["start", "epoch", "end"]
    assert (settings.log_folder / "previous" / "log.jsonl").read_text() == earlier
    assert len(list(settings.log_folder.glob("events.out.tfevents.*"))) == 1


@pytest.mark.parametrize(
    ("assign", "says"),
    [
        ("test=[s9]", "s9"),
        ("scenes=none/*.tif", "matches no scene"),
        ("labels=polygons.shp", "polygons.shp"),
        ("bands_chosen=[1,5]", "has no band 5"),
    ],
)
def test_training_data_that_does_not_fit(config: Path, assign: str, says: str) -> None:
    with pytest.raises((SceneError, TrainingError), match=says):
        train_model(load_training(config, [assign], environment={}))


def test_scenes_of_another_resolution_are_refused(config: Path) -> None:
    with pytest.raises(SceneError, match="resample it"):
        train_model(load_training(config, ["gsd=20", "gsd_range=[15,30]"], environment={}))


def test_a_class_that_no_scene_shows_is_an_error_unless_allowed(config: Path) -> None:
    third = 'classes=[{value: 0, name: a, colour: "#000000"}, {value: 1, name: b, colour: "#ffffff"}, '
    third += '{value: 2, name: lake, colour: "#0000ff"}]'
    with pytest.raises(TrainingError, match=r"no training scene has a pixel of lake: .*allow_unseen"):
        train_model(load_training(config, [third], environment={}))
    spec = find_model(
        str(train_model(load_training(config, [third, "allow_unseen=true", "epochs=1"], environment={})))
    ).spec

    assert spec.provenance["training_pixels"]["lake"] == 0
    assert spec.metrics["test"]["iou"]["lake"] in {None, 0.0}
