"""The engine against plain torch, and against itself on other shapes, batches and threads."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from segflow.errors import SettingsError
from segflow.segmentation.networks.unet import UNet
from segflow.segmentation.predict.torch_engine import TorchEngine, choose_precision, fuse
from segflow.segmentation.spec import BandSpec, ClassSpec, ModelSpec
from segflow.tiling import Span, TileGrid, Window

SPEC = ModelSpec(
    name="toy",
    version="1",
    architecture="unet",
    arguments={"widths": [8, 16, 24]},
    bands=(BandSpec(name="red", mean=90, std=40), BandSpec(name="nir", mean=120, std=30)),
    dtype="uint8",
    gsd=10,
    gsd_range=(5, 20),
    classes=tuple(ClassSpec(value=v, name=f"c{v}", colour="#000000") for v in range(3)),
    stride=4,
    dependency=22,
    margin=24,
    guarantee="exact",
)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A small U-Net with lived-in normalisations."""
    torch.manual_seed(0)
    network = UNet(2, 3, widths=(8, 16, 24))
    for _ in range(3):
        network(torch.randn(2, 2, 64, 64) * 2 + 1)
    return network.eval()


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray]:
    """Pixels and validity of 4 images."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (4, 2, 96, 160), dtype=np.uint8)
    valid = np.ones((4, 96, 160), bool)
    valid[0, :30, :40] = False
    valid[3] = False
    pixels[np.broadcast_to(~valid[:, None], pixels.shape)] = 0
    return pixels, valid


def engine_for(network: nn.Module, **options: object) -> TorchEngine:
    return TorchEngine(network, SPEC, device="cpu", precision="float32", **options)


def plain_shares(network: nn.Module, pixels: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Class probabilities in float64, layer by layer, with nothing fused."""
    mean, std = np.array([90, 120.0])[:, None, None], np.array([40, 30.0])[:, None, None]
    inputs = torch.from_numpy((pixels - mean) / std * valid[:, None])
    with torch.inference_mode():
        shares = fuse(network).double()(inputs).softmax(1)
    return shares.numpy()


def test_it_answers_what_plain_torch_does(network: nn.Module, scene: tuple[np.ndarray, np.ndarray]) -> None:
    pixels, valid = scene
    shares = plain_shares(network, pixels, valid)
    found = engine_for(network, probabilities=True).predict(pixels, valid)
    ordered = np.sort(shares, axis=1)
    clear = valid & (ordered[:, -1] - ordered[:, -2] > 1e-4)

    assert np.array_equal(found.labels[clear], shares.argmax(1)[clear])
    assert np.abs(found.confidence[valid] - 100 * shares.max(1)[valid]).max() <= 0.501
    every = np.broadcast_to(valid[:, None], shares.shape)
    assert np.abs(found.probabilities[every] - 200 * shares[every]).max() <= 0.501


def test_what_is_not_valid_is_255_everywhere(network: nn.Module, scene: tuple[np.ndarray, np.ndarray]) -> None:
    pixels, valid = scene
    found = engine_for(network, probabilities=True).predict(pixels, valid)

    assert np.array_equal(found.labels == 255, ~valid)
    assert np.array_equal(found.confidence == 255, ~valid)
    assert (found.probabilities.transpose(0, 2, 3, 1)[~valid] == 255).all()
    assert {a.dtype for a in (found.labels, found.confidence, found.probabilities)} == {np.dtype(np.uint8)}


def test_pixels_that_are_not_valid_say_nothing(network: nn.Module, scene: tuple[np.ndarray, np.ndarray]) -> None:
    """Whatever lies there, even NaN, neither its neighbours nor it change."""
    pixels, valid = scene
    expected = engine_for(network).predict(pixels.astype(np.float32), valid)
    spoilt = np.where(valid[:, None], pixels, np.float32(np.nan))
    found = engine_for(network).predict(spoilt, valid)

    assert np.array_equal(found.labels, expected.labels)
    assert np.array_equal(found.confidence, expected.confidence)


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int32", "float32", "float64"])
def test_the_dtype_of_the_scene_does_not_matter(
    network: nn.Module, scene: tuple[np.ndarray, np.ndarray], dtype: str
) -> None:
    pixels, valid = scene
    expected = engine_for(network).predict(pixels, valid)
    found = engine_for(network).predict(pixels.astype(dtype), valid)

    assert np.array_equal(found.labels, expected.labels)
    assert np.array_equal(found.confidence, expected.confidence)


def test_one_by_one_equals_all_at_once_bit_for_bit(network: nn.Module, scene: tuple[np.ndarray, np.ndarray]) -> None:
    pixels, valid = scene
    engine = engine_for(network, probabilities=True)
    together = engine.predict(pixels, valid)
    for index in range(len(pixels)):
        alone = engine.predict(pixels[index : index + 1], valid[index : index + 1])

        assert np.array_equal(alone.labels[0], together.labels[index])
        assert np.array_equal(alone.confidence[0], together.confidence[index])
        assert np.array_equal(alone.probabilities[0], together.probabilities[index])


@pytest.mark.parametrize("core", [16, 32, 48])
def test_tiles_equal_the_whole_bit_for_bit(network: nn.Module, scene: tuple[np.ndarray, np.ndarray], core: int) -> None:
    pixels, valid = scene
    engine = engine_for(network, probabilities=True)
    whole = engine.predict(pixels[:1], valid[:1]).crop(0, Window.of_shape(96, 160))
    for tile in TileGrid(height=96, width=160, core=core, margin=SPEC.margin, stride=SPEC.stride):
        rows, cols = tile.read.slices
        part = engine.predict(pixels[:1, :, rows, cols], valid[:1, rows, cols]).crop(0, tile.core_in_read)

        assert np.array_equal(part.labels, whole.labels[tile.core.slices])
        assert np.array_equal(part.probabilities, whole.probabilities[:, *tile.core.slices])


def test_threads_do_not_matter(network: nn.Module, scene: tuple[np.ndarray, np.ndarray]) -> None:
    before = torch.get_num_threads()
    try:
        one = engine_for(network, threads=1, probabilities=True).predict(*scene)
        two = engine_for(network, threads=2, probabilities=True).predict(*scene)
    finally:
        torch.set_num_threads(before)

    assert np.array_equal(one.probabilities, two.probabilities)


def test_fusing_changes_nothing_but_rounding(network: nn.Module) -> None:
    image = torch.randn(1, 2, 32, 32)
    fused = fuse(network)

    assert not any(isinstance(part, nn.BatchNorm2d) for part in fused.modules())
    assert any(isinstance(part, nn.BatchNorm2d) for part in network.modules())
    assert torch.allclose(fused(image), network(image), atol=1e-5)


def test_cropping(network: nn.Module, scene: tuple[np.ndarray, np.ndarray]) -> None:
    found = engine_for(network, probabilities=True).predict(*scene)
    part = found.crop(1, Window(Span(3, 9), Span(10, 14)))

    assert np.array_equal(part.labels, found.labels[1, 3:9, 10:14])
    assert np.array_equal(part.probabilities, found.probabilities[1, :, 3:9, 10:14])
    assert engine_for(network).predict(*scene).crop(0, Window.of_shape(4, 4)).probabilities is None


def test_it_tells_the_time_inside_the_network(network: nn.Module, scene: tuple[np.ndarray, np.ndarray]) -> None:
    engine = engine_for(network)
    assert engine.seconds == 0
    engine.predict(*scene)
    first = engine.seconds
    engine.predict(*scene)

    assert 0 < first < engine.seconds


@pytest.mark.parametrize(
    ("wanted", "device", "changes", "expected"),
    [
        ("auto", "cpu", None, "float32"),
        ("auto", "cpu", 0.0001, "float32"),
        ("auto", "cuda", None, "float32"),
        ("auto", "cuda", 0.0001, "bfloat16"),
        ("auto", "cuda", 0.01, "float32"),
        ("float32", "cuda", 0.0001, "float32"),
        ("bfloat16", "cpu", None, "bfloat16"),
        ("float16", "cuda", None, "float16"),
    ],
)
def test_precision(wanted: str, device: str, changes: float | None, expected: str) -> None:
    assert choose_precision(wanted, torch.device(device), replace(SPEC, bfloat16_changes=changes)) == expected


@pytest.mark.parametrize(("wanted", "device"), [("float16", "cpu"), ("int8", "cuda")])
def test_precision_that_is_not_there(wanted: str, device: str) -> None:
    with pytest.raises(SettingsError, match=wanted):
        choose_precision(wanted, torch.device(device), SPEC)


def test_bfloat16_changes_few_classes(network: nn.Module, scene: tuple[np.ndarray, np.ndarray]) -> None:
    exact = engine_for(network).predict(*scene)
    rough = TorchEngine(network, SPEC, device="cpu", precision="bfloat16").predict(*scene)

    assert np.mean(exact.labels != rough.labels) < 0.05


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_gpu_agrees_with_the_cpu(network: nn.Module, scene: tuple[np.ndarray, np.ndarray], precision: str) -> None:
    pixels, valid = scene
    exact = engine_for(network).predict(pixels, valid)
    found = TorchEngine(network, SPEC, device="cuda", precision=precision).predict(pixels, valid)

    assert np.array_equal(found.labels == 255, ~valid)
    assert np.mean(found.labels != exact.labels) < (0.001 if precision == "float32" else 0.05)
