"""Every network of the registry: tiles that equal the whole scene, engines that equal the network."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from segflow.segmentation.networks.registry import ARCHITECTURES, build_network
from segflow.segmentation.predict.torch_engine import TorchEngine
from segflow.segmentation.probe import _slim, guarantee_for, probe_network
from segflow.segmentation.spec import BandSpec, ClassSpec, ModelSpec
from segflow.tiling import TileGrid
from tests.segmentation.networks.narrow import NARROW, narrow_network

HEAVY = {"fcn-resnet50", "fcn-resnet101", "unet-resnet50", "unet-vgg16"}  # wide, whatever they are told
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in HEAVY else name for name in ARCHITECTURES]


def grid_of(network_name: str, height: int, beyond: int) -> TileGrid:
    """A scene long enough for tiles that see neither of its ends, with sides that are no multiple of the stride."""
    probe = ARCHITECTURES[network_name].probe
    margin, _ = guarantee_for(probe)
    return TileGrid(height=height, width=2 * margin + beyond, core=64, margin=margin, stride=probe.stride)


def some(tiles: TileGrid) -> list:
    """Tiles at both ends and in the middle."""
    return [tiles[index] for index in sorted({0, 1, len(tiles) // 2, len(tiles) - 2, len(tiles) - 1})]


def differences(network: nn.Module, tiles: TileGrid) -> list[float]:
    """Largest difference between tiles and the whole scene, relative to the whole scene's spread."""
    torch.manual_seed(1)
    read = tiles.whole().read
    scene = torch.randn(1, 3, *read.shape, dtype=torch.float64)
    with torch.inference_mode():
        whole = network(scene)
        found = []
        for tile in some(tiles):
            part = network(scene[..., *tile.read.slices])[..., *tile.core_in_read.slices]
            found.append(float((part - whole[..., *tile.core.slices]).abs().max() / whole.std()))
    return found


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_tiles_equal_the_whole_scene(name: str) -> None:
    """Where each network looks, in double precision: zero padding at a read's border must not reach a core."""
    network = (
        narrow_network(name).double() if name in NARROW else _slim(build_network(name, {}, in_channels=3, classes=2))
    )

    assert max(differences(network, grid_of(name, 70, 300))) < 1e-10


@pytest.mark.parametrize("name", ["fcn32s-vgg16", "fcn8s-vgg16", "fcn-alexnet", "fcn8s-vgg16-kitti", "unet-2015"])
def test_reads_that_leave_the_stride_differ(name: str) -> None:
    """The comparison can fail: a margin that is no multiple of the stride, and one that is too small."""
    network = narrow_network(name).double()
    tiles = grid_of(name, 70, 300)
    stride = tiles.stride
    short = dataclasses.replace(tiles, margin=stride)
    torch.manual_seed(1)
    scene = torch.randn(1, 3, 64, tiles.cols.extended, dtype=torch.float64)
    with torch.inference_mode():
        whole = network(scene)
        shifted = network(scene[..., stride // 2 :])

    assert max(differences(network, short)) > 1e-6
    assert not torch.allclose(shifted[..., tiles.margin :], whole[..., stride // 2 + tiles.margin :], rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_engine_gives_the_network_s_answer_in_tiles_and_as_a_whole(name: str) -> None:
    """Fused, channels last and with 1×1 convolutions as products, in float32: rounding is all that may differ."""
    network = narrow_network(name)
    tiles = grid_of(name, 33, 200)
    spec = make_spec(name, tiles)
    engine = TorchEngine(network, spec, device="cpu")
    pixels = np.random.default_rng(0).integers(0, 255, (1, 3, *tiles.whole().read.shape), np.uint8)
    valid = np.ones((1, *tiles.whole().read.shape), bool)
    whole = engine.predict(pixels, valid)
    with torch.inference_mode():
        logits = network((torch.from_numpy(pixels).float() - 100) / 50)[0]
    check(whole.labels[0], whole.confidence[0], logits)
    for tile in some(tiles):
        rows, columns = tile.read.slices
        part = engine.predict(pixels[..., rows, columns], valid[..., rows, columns]).crop(0, tile.core_in_read)
        check(part.labels, part.confidence, logits[:, *tile.core.slices])


def check(labels: np.ndarray, confidence: np.ndarray, logits: torch.Tensor) -> None:
    """Labels must be right wherever one class leads by more than rounding."""
    shares = logits.softmax(0)
    clear = ((shares[0] - shares[1]).abs() > 1e-3).numpy()

    assert clear.mean() > 0.9
    assert np.array_equal(labels[clear], logits.argmax(0).numpy()[clear])
    assert np.abs(confidence.astype(int) - 100 * shares.amax(0).numpy()).max() < 0.6


def make_spec(name: str, tiles: TileGrid) -> ModelSpec:
    return ModelSpec(
        name="toy",
        version="1",
        architecture=name,
        arguments=NARROW.get(name, {}),
        bands=tuple(BandSpec(name=band, mean=100, std=50) for band in ("red", "green", "blue")),
        dtype="uint8",
        gsd=10,
        gsd_range=(5, 20),
        classes=(ClassSpec(value=0, name="a", colour="#000000"), ClassSpec(value=1, name="b", colour="#ffffff")),
        stride=tiles.stride,
        dependency=ARCHITECTURES[name].probe.dependency,
        margin=tiles.margin,
        guarantee="exact",
    )


@pytest.mark.parametrize(("name", "side"), list(itertools.product(["smp", "unet-vgg16", "fcn-resnet50"], [(33, 70)])))
def test_any_size_gives_logits_of_that_size(name: str, side: tuple[int, int]) -> None:
    network = narrow_network(name)
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, *side)).shape == (1, 2, *side)


def test_networks_whose_answer_depends_on_the_place_are_unbounded() -> None:
    """An FPN of smp interpolates with aligned corners, so no two places are treated alike; stride 32 is kept."""
    network = build_network("smp", {"decoder": "fpn", "encoder": "resnet18"}, in_channels=3, classes=2)
    probe = probe_network(network, 3, limit=512)

    assert (probe.stride, probe.dependency) == (32, None)
    assert guarantee_for(probe)[1] == "unbounded"
