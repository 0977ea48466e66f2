"""Row S8: every preset is built, trained, predicts, is saved, and loads in a fresh process."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from segflow.configs.recipes import find_presets, find_recipe
from segflow.io.models.packages import write_model_file
from segflow.segmentation.networks.registry import ARCHITECTURES, build_network
from segflow.segmentation.predict.weights import pack_weights
from segflow.segmentation.probe import guarantee_for
from segflow.segmentation.spec import BandSpec, ClassSpec, ModelSpec

PRESETS = {name: find_recipe(name) for network in ARCHITECTURES for name in find_presets(network)}
# The others take up to half a minute each and differ in depth or size only.
QUICK = {"unet-resnet50-320"}
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in PRESETS]

SCENE = (1, 3, 70, 133)  # not square, and no multiple of any stride

ANSWER = """
import hashlib, sys
import torch
from segflow.configs.recipes import find_presets, find_recipe
from segflow.io.models.packages import read_model_file
from segflow.segmentation.spec import ModelSpec
from segflow.segmentation.predict.weights import restore_network

torch.set_num_threads(1)
spec, arrays = read_model_file(sys.argv[1])
network = restore_network(ModelSpec.from_json(spec), arrays)
with torch.inference_mode():
    logits = network(torch.linspace(-2, 2, 70 * 133 * 3).reshape(1, 3, 70, 133))
print(hashlib.sha256(logits.contiguous().numpy().tobytes()).hexdigest())
"""


def test_s8_names() -> None:
    assert set(PRESETS) == {
        *("fcn-resnet50-320", "fcn-resnet50-640", "fcn-resnet101-320", "fcn-resnet101-640"),
        *("unet-resnet50-320", "unet-resnet50-640", "unet-vgg16-320", "unet-vgg16-640"),
    }
    assert all(name == f"{preset['network']}-{preset['chip']}" for name, preset in PRESETS.items())


@pytest.mark.parametrize("name", NAMES)
def test_s8_a_preset_trains_predicts_and_survives(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    side = PRESETS[name]["chip"]
    network = build_network(name, {}, in_channels=3, classes=2)
    take_a_step(network, side)
    network.eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, side, side)).shape == (1, 2, side, side)
        logits = network(torch.linspace(-2, 2, 70 * 133 * 3).reshape(SCENE))

    assert logits.shape == (1, 2, 70, 133)
    assert logits.isfinite().all()

    path = tmp_path / f"{name}.safetensors"
    write_model_file(path, make_spec(name).to_json(), pack_weights(network))
    done = subprocess.run([sys.executable, "-c", ANSWER, str(path)], capture_output=True, text=True, check=False)

    assert done.stdout.strip() == hashlib.sha256(single_threaded(network).tobytes()).hexdigest(), done.stderr


def take_a_step(network: nn.Module, side: int) -> None:
    """Train on one chip, and see that every trainable weight has moved or has a gradient of 0."""
    before = [parameter.detach().clone() for parameter in network.parameters()]
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01)
    loss = nn.functional.cross_entropy(network(torch.randn(1, 3, side, side)), torch.randint(0, 2, (1, side, side)))
    loss.backward()
    optimiser.step()
    moved = [not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)]

    assert loss.isfinite()
    assert sum(moved) > 0.9 * len(moved)


def single_threaded(network: nn.Module) -> np.ndarray:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            return network(torch.linspace(-2, 2, 70 * 133 * 3).reshape(SCENE)).contiguous().numpy()
    finally:
        torch.set_num_threads(threads)


def make_spec(name: str) -> ModelSpec:
    probe = ARCHITECTURES[PRESETS[name]["network"]].probe
    margin, guarantee = guarantee_for(probe)
    return ModelSpec(
        name=name,
        version="1",
        architecture=name,
        arguments={},
        bands=tuple(BandSpec(name=band, mean=100, std=50) for band in ("red", "green", "blue")),
        dtype="uint8",
        gsd=1,
        gsd_range=(0.5, 2),
        classes=(ClassSpec(value=0, name="a", colour="#000000"), ClassSpec(value=1, name="b", colour="#ffffff")),
        stride=probe.stride,
        dependency=probe.dependency,
        margin=margin,
        guarantee=guarantee,
    )
