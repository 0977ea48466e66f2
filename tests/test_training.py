"""Training: chips that keep pixels and labels together, a loop that learns and repeats, a flow that ends in a model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import from_origin
from torch import nn

from segflow.configs.training import load_training
from segflow.errors import SceneError, TrainingError
from segflow.flows.models import find_model
from segflow.flows.train import read_samples, split_scenes, train_model
from segflow.io.models import model_digest, read_model_file
from segflow.segmentation.metrics import Scores
from segflow.segmentation.networks import build_network
from segflow.segmentation.spec import BandSpec, ModelSpec
from segflow.segmentation.training.chips import Sample, Tint, measure_bands, random_chips, turn_chip
from segflow.segmentation.training.decision import scene_logits
from segflow.segmentation.training.loop import Epoch, Schedule, count_samples, train_network
from segflow.segmentation.weights import restore_network

STILL = Tint(gain=0, band_gain=0, haze=0, band_haze=0)
PLAIN = (BandSpec(name="a", mean=0, std=1), BandSpec(name="b", mean=0, std=1))


def bright_and_dark(name: str, seed: int, side: int = 64) -> Sample:
    """A scene whose class is whether its first band is bright, in blobs."""
    random = np.random.default_rng(seed)
    labels = np.kron(random.integers(0, 2, (side // 8, side // 8)), np.ones((8, 8))).astype(np.uint8)
    pixels = random.integers(0, 60, (2, side, side)).astype(np.uint8)
    pixels[0] += 120 * labels
    valid = np.ones((side, side), bool)
    valid[:5, :9] = False
    return Sample(name=name, pixels=pixels * valid, valid=valid, labels=labels)


def numbered(side: int = 20) -> Sample:
    """A scene whose pixels and labels say the same number."""
    numbers = np.arange(side * side, dtype=np.uint16).reshape(side, side)
    labels = (numbers % 251).astype(np.uint8)
    return Sample(name="n", pixels=np.stack([numbers, numbers]), valid=np.ones((side, side), bool), labels=labels)


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_a_chip_keeps_pixels_and_labels_together(seed: int, turn: bool) -> None:
    chips = random_chips([numbered()], PLAIN, size=8, turn=turn, tint=STILL, random=np.random.default_rng(seed))
    for _, (chip, labels) in zip(range(4), chips, strict=False):
        assert chip.shape == (2, 8, 8)
        assert np.array_equal(chip[0] % 251, labels)
        assert len(np.unique(chip[0])) == 64


def test_the_eight_symmetries_differ_and_are_all() -> None:
    sample = numbered(6)
    chip, labels = sample.pixels.astype(np.float32), sample.labels
    turned = {turn_chip(chip, labels, symmetry)[0].tobytes() for symmetry in range(8)}

    assert len(turned) == 8
    assert np.array_equal(turn_chip(chip, labels, 0)[0], chip)


def test_the_same_seed_gives_the_same_chips() -> None:
    samples = [bright_and_dark("a", 1), bright_and_dark("b", 2)]
    first, second = (
        random_chips(samples, PLAIN, size=16, turn=True, tint=Tint(), random=np.random.default_rng(5)) for _ in "12"
    )
    for _ in range(5):
        (chip, labels), (same_chip, same_labels) = next(first), next(second)

        assert np.array_equal(chip, same_chip)
        assert np.array_equal(labels, same_labels)


def test_what_is_not_valid_is_0_and_ignored() -> None:
    sample = bright_and_dark("a", 1)
    chips = random_chips([sample], PLAIN, size=64, turn=False, tint=Tint(), random=np.random.default_rng(0))
    chip, labels = next(chips)

    assert np.array_equal(labels == 255, ~sample.valid)
    assert (chip[:, ~sample.valid] == 0).all()


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


SCHEDULE = Schedule(epochs=6, chips_per_epoch=32, batch=8, chip=32, learning_rate=1e-2, averaging=0.5, seed=3)


def learn(schedule: Schedule = SCHEDULE) -> tuple[nn.Module, list[Epoch], list[Sample]]:
    training, validation = [bright_and_dark("a", 1), bright_and_dark("b", 2)], [bright_and_dark("c", 3, side=62 + 2)]
    torch.manual_seed(0)
    network = build_network("unet", {"widths": [4, 8]}, in_channels=2, classes=2)
    told: list[Epoch] = []
    best = train_network(
        network,
        training,
        validation,
        bands=measure_bands(training, ("red", "nir")),
        classes=2,
        stride=2,
        schedule=schedule,
        report=lambda epoch, _: told.append(epoch),
    )
    return best, told, training


def test_it_learns_repeats_itself_and_keeps_the_best_epoch() -> None:
    best, told, training = learn()
    again, _, _ = learn()
    scores = Scores.of(
        count_samples(
            best, [bright_and_dark("c", 3)], bands=measure_bands(training, ("red", "nir")), classes=2, stride=2
        )
    )

    assert told[-1].loss < told[0].loss / 2
    assert scores.mean_iou > 0.9
    assert scores.mean_iou == max(epoch.scores.mean_iou for epoch in told)
    assert [epoch.number for epoch in told] == [1, 2, 3, 4, 5, 6]
    assert all(torch.equal(a, b) for a, b in zip(best.parameters(), again.parameters(), strict=True))


def test_maps_fit_scenes_of_any_size() -> None:
    sample = bright_and_dark("a", 1)
    cut = Sample(
        name="c", pixels=sample.pixels[:, :61, :47], valid=sample.valid[:61, :47], labels=sample.labels[:61, :47]
    )
    network = build_network("unet", {"widths": [2, 2, 2]}, in_channels=2, classes=2)
    found = scene_logits(network, cut, bands=PLAIN, stride=4)
    counts = count_samples(network, [cut], bands=PLAIN, classes=2, stride=4)

    assert found.shape == (2, 61, 47)
    assert counts.sum() == np.sum(cut.valid & (cut.labels != 255))


def test_a_loss_that_is_no_number_stops() -> None:
    with pytest.raises(TrainingError, match="lower the learning rate"):
        learn(replace(SCHEDULE, learning_rate=1e30))


def test_scenes_smaller_than_a_chip_are_refused() -> None:
    with pytest.raises(TrainingError, match="64 × 64 px, but a chip has 128"):
        learn(replace(SCHEDULE, chip=128))


CONFIG = """
name: toy
data: data
out: {out}
bands: [red, nir]
bands_chosen: [1, 2]
test: [s3]
validation: [s2]
classes:
  - {{value: 0, name: dark, colour: "#000000"}}
  - {{value: 1, name: bright, colour: "#ffffff", geometry: none}}
gsd: 10
gsd_range: [8, 12]
arguments: {{widths: [4, 8]}}
epochs: 3
chips_per_epoch: 32
batch: 8
chip: 32
learning_rate: 0.01
averaging: 0.5
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config with four labelled scenes beside it."""
    for folder in ("images", "labels"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    profile = {"driver": "GTiff", "height": 64, "width": 64, "crs": "EPSG:32720", "dtype": "uint8"}
    for index in range(4):
        sample = bright_and_dark(f"s{index}", index)
        transform = from_origin(500_000 + 1000 * index, 9_000_000, 10, 10)
        for folder, layers in (("images", sample.pixels), ("labels", sample.labels[None])):
            path = tmp_path / "data" / folder / f"s{index}.tif"
            with rasterio.open(path, "w", count=len(layers), transform=transform, **profile) as raster:
                raster.write(layers)
    path = tmp_path / "toy.yaml"
    path.write_text(CONFIG.format(out=tmp_path / "models" / "toy.safetensors"))
    return path


def test_a_config_becomes_a_model_with_honest_scores(config: Path, tmp_path: Path) -> None:
    settings = load_training(config, environment={})
    path = train_model(settings)
    text, arrays = read_model_file(path)
    spec = ModelSpec.from_json(text)
    network = restore_network(spec, arrays)
    test = read_samples(split_scenes(settings)["test"], settings)
    scores = Scores.of(count_samples(network, test, bands=spec.bands, classes=2, stride=spec.stride))

    assert find_model(str(path)).spec == spec
    assert spec.bfloat16_changes is not None
    assert 0 <= spec.bfloat16_changes < 0.1
    assert (spec.stride, spec.dependency, spec.margin, spec.guarantee) == (2, 8, 8, "exact")
    assert [(c.name, c.geometry) for c in spec.classes] == [("dark", "polygon"), ("bright", "none")]
    assert list(spec.metrics["test"]["scenes"]) == ["s3"]
    assert spec.metrics["test"]["iou"]["bright"] == pytest.approx(scores.iou[1], abs=1e-4)
    assert str(tmp_path) not in text


def test_the_same_config_gives_the_same_bytes(config: Path) -> None:
    settings = load_training(config, ["epochs=1"], environment={})
    first = model_digest(train_model(settings))

    assert model_digest(train_model(settings)) == first


@pytest.mark.parametrize(
    ("assign", "says"),
    [
        ("test=[s9]", "lacks scenes named for validation or test: s9"),
        ("scenes=none/*.tif", "matches no scene"),
        ("gsd_range=[10,30]", None),
        ("gsd=20", None),
        ("labels=polygons.shp", "class_field"),
        ("bands_chosen=[1,5]", "has no band 5"),
    ],
)
def test_training_data_that_does_not_fit(config: Path, assign: str, says: str | None) -> None:
    if says is None:
        extra = ["gsd=20", "gsd_range=[15,30]"]
        with pytest.raises(SceneError, match="resample it"):
            train_model(load_training(config, extra, environment={}))
        return
    with pytest.raises((SceneError, TrainingError), match=says):
        train_model(load_training(config, [assign], environment={}))
