"""What a bounded model says of its tiles is an upper bound of what tiles do on the scenes that it names."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from segflow.segmentation.networks.registry import build_network
from segflow.segmentation.spec import BandSpec, ClassSpec, ModelSpec
from segflow.segmentation.training.chips import Sample, normalise
from segflow.segmentation.training.tile_differences import _rounded_up, measure_bounded
from segflow.tiling import TileGrid

SPEC = ModelSpec(
    name="toy",
    version="1",
    architecture="unet",
    arguments={"widths": (4, 4, 4, 8)},
    bands=tuple(BandSpec(name=name, mean=100, std=50) for name in ("red", "green", "blue")),
    dtype="uint8",
    gsd=10,
    gsd_range=(5, 20),
    classes=(ClassSpec(value=0, name="a", colour="#000000"), ClassSpec(value=1, name="b", colour="#ffffff")),
    stride=8,
    dependency=46,
    margin=8,
    guarantee="bounded",
    temperature=0.25,
)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return build_network("unet", SPEC.arguments, in_channels=3, classes=2).eval()


def scene(name: str, height: int, width: int, seed: int = 0) -> Sample:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (3, height, width), np.uint8)
    valid = random.random((height, width)) < 0.95
    return Sample(name=name, pixels=pixels, valid=valid, labels=random.integers(0, 2, (height, width), np.uint8))


def worst_of_tiles(network: nn.Module, sample: Sample, core: int, margin: int) -> float:
    """Map a scene in tiles as runs do, and compare it with a whole pass."""
    height, width = (side // 8 * 8 for side in sample.labels.shape)
    inputs = torch.from_numpy(normalise(sample.pixels, sample.valid, SPEC.bands))[None, :, :height, :width]
    worst = 0.0
    with torch.inference_mode():
        whole = (network(inputs) / SPEC.temperature).softmax(1)
        for tile in TileGrid(height=height, width=width, core=core, margin=margin, stride=8):
            part = (network(inputs[:, :, *tile.read.slices]) / SPEC.temperature).softmax(1)
            difference = part[:, :, *tile.core_in_read.slices] - whole[:, :, *tile.core.slices]
            worst = max(worst, float(difference.abs().max()))
    return worst


@pytest.mark.parametrize("margin", [0, 8, 24])
def test_the_number_bounds_what_tiles_change(network: nn.Module, margin: int) -> None:
    scenes = [scene("wide", 300, 811), scene("small", 96, 120, seed=1)]
    found = measure_bounded(replace(SPEC, margin=margin), network, scenes, "validation")
    seen = [worst_of_tiles(network, sample, core, margin) for sample in scenes for core in (256, 512)]

    assert found.worst_difference_data == "2 pieces of validation scenes"
    assert found.worst_difference is not None
    assert 0 < max(seen) <= found.worst_difference < 1


def test_a_longer_margin_changes_less(network: nn.Module) -> None:
    scenes = [scene("a", 300, 600)]
    worst = [measure_bounded(replace(SPEC, margin=margin), network, scenes).worst_difference for margin in (0, 16, 40)]

    assert worst == sorted(worst, reverse=True)
    assert len(set(worst)) == 3


@pytest.mark.parametrize("scenes", [(), (scene("tiny", 16, 15),)])
def test_without_scenes_that_are_cut_random_pixels_are_measured(network: nn.Module, scenes) -> None:
    found = measure_bounded(SPEC, network, scenes, "validation")

    assert found.worst_difference_data == "random pixels, for want of scenes"
    assert found.worst_difference is not None
    assert found.worst_difference > 0


@pytest.mark.parametrize(
    "spec", [replace(SPEC, guarantee="exact", margin=48), replace(SPEC, guarantee="unbounded", dependency=None)]
)
def test_other_models_have_no_such_number(network: nn.Module, spec: ModelSpec) -> None:
    assert measure_bounded(spec, network, [scene("a", 300, 600)]) is spec


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, 0.0), (0.12301, 0.124), (0.123, 0.123), (1.001e-5, 1.01e-5), (0.99901, 1.0)]
)
def test_what_is_stored_is_never_smaller(value: float, expected: float) -> None:
    assert _rounded_up(value) == pytest.approx(expected)
    assert _rounded_up(value) >= value
