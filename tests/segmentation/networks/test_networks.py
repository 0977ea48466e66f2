"""The registry of networks and their weights: the same network out as went in, or an error that says why not."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from segflow.errors import ModelError
from segflow.segmentation.networks.registry import ARCHITECTURES, build_network
from segflow.segmentation.predict.weights import pack_weights, restore_network, round_kernels
from segflow.segmentation.spec import BandSpec, ClassSpec, ModelSpec
from tests.segmentation.networks.narrow import NARROW, narrow_network

Arrays = dict[str, np.ndarray]


def make_spec(architecture: str = "unet", widths: tuple[int, ...] = ()) -> ModelSpec:
    return ModelSpec(
        name="toy",
        version="1",
        architecture=architecture,
        arguments={"widths": widths} if widths else NARROW.get(architecture, {}),
        bands=tuple(BandSpec(name=name, mean=100, std=50) for name in ("red", "green", "blue")),
        dtype="uint8",
        gsd=10,
        gsd_range=(5, 20),
        classes=(ClassSpec(value=0, name="a", colour="#000000"), ClassSpec(value=1, name="b", colour="#ffffff")),
        stride=2,
        dependency=8,
        margin=8,
        guarantee="exact",
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_weights_survive_packing(architecture: str) -> None:
    spec = make_spec(architecture)
    network = narrow_network(architecture)
    restored = restore_network(spec, pack_weights(network))
    image = torch.rand(1, 3, 32, 48)

    assert not restored.training
    assert torch.equal(restored(image), network(image))


def test_packed_weights_are_float32_and_sorted() -> None:
    arrays = pack_weights(build_network("unet", {"widths": (4, 8)}, in_channels=3, classes=2).half())

    assert list(arrays) == sorted(arrays)
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}


def _drop(arrays: Arrays) -> Arrays:
    return {name: array for name, array in arrays.items() if name != "head.weight"}


def _add(arrays: Arrays) -> Arrays:
    return {**arrays, "spare.weight": np.zeros(3, np.float32)}


def _reshape(arrays: Arrays) -> Arrays:
    return {**arrays, "head.weight": np.zeros((5, 4, 1, 1), np.float32)}


def _spoil(arrays: Arrays) -> Arrays:
    return {**arrays, "head.bias": np.full(2, np.nan, np.float32)}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_drop, r"'head.weight' of shape \(2, 4, 1, 1\) is missing"),
        (_add, r"'spare.weight' of shape \(3,\) is not needed"),
        (_reshape, r"'head.weight' has shape \(5, 4, 1, 1\), but needs \(2, 4, 1, 1\)"),
        (_spoil, "'head.bias' is not finite"),
    ],
)
def test_other_weights_are_refused_by_name(change: Callable[[Arrays], Arrays], says: str) -> None:
    spec = make_spec(widths=(4, 8))
    arrays = pack_weights(build_network("unet", spec.arguments, in_channels=3, classes=2))

    with pytest.raises(ModelError, match=says):
        restore_network(spec, change(arrays))


@pytest.mark.parametrize(
    ("architecture", "arguments", "says"),
    [
        ("resnet", {}, "'resnet' is unknown: choose one of fcn-alexnet, "),
        ("unet", {"depth": 3}, "depth"),
        ("unet", {"widths": ()}, "cannot be built"),
        ("smp", {"decoder": "vnet"}, "(?i)cannot be built.*vnet"),
        ("smp", {"encoder": "resnet17"}, "(?i)cannot be built.*resnet17"),
        ("fcn-resnet50", {"depth": 18}, "depth must be 50 or 101"),
    ],
)
def test_networks_that_cannot_be_built(architecture: str, arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        build_network(architecture, arguments, in_channels=3, classes=2)


def test_kernels_that_were_rounded_are_stored_in_half() -> None:
    spec = make_spec("unet", (4, 8))
    network = round_kernels(build_network(spec.architecture, spec.arguments, in_channels=3, classes=2)).eval()
    arrays = pack_weights(network, half=True)
    restored = restore_network(spec, arrays)

    assert {array.dtype for array in arrays.values() if array.ndim > 1} == {np.dtype(np.float16)}
    assert {array.dtype for array in arrays.values() if array.ndim < 2} == {np.dtype(np.float32)}
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), restored.parameters(), strict=True))
