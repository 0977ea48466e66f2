"""What `segflow model architectures` tells, and that it is true."""

import json

import pytest

from segflow.errors import ModelError
from segflow.flows.models.architectures import architectures_text, describe_architectures
from segflow.segmentation.networks.registry import ARCHITECTURES, build_network
from segflow.segmentation.probe import probe_network
from tests.segmentation.networks.narrow import NARROW

# Narrow or not, the geometry is the same; the default of smp is another encoder than the narrow one.
ARGUMENTS = {**NARROW, "smp": {}}
# Seconds each, and built from the same layers as those that stay.
HEAVY = {*("fcn-resnet101", "fcn-resnet50", "fcn-googlenet", "fcn16s-vgg16", "fcn32s-vgg16"), *("smp", "unet-resnet50")}
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in HEAVY else name for name in ARCHITECTURES]


@pytest.mark.parametrize("name", NAMES)
def test_geometry_is_as_measured(name: str) -> None:
    network = build_network(name, ARGUMENTS.get(name, {}), in_channels=3, classes=2)

    assert probe_network(network, 3) == ARCHITECTURES[name].probe


def test_geometry_does_not_depend_on_what_is_ours() -> None:
    network = build_network(
        "fcn8s-vgg16", {"width": 1 / 32, "batch_norm": True, "at_once": True}, in_channels=5, classes=3
    )

    assert probe_network(network, 5) == ARCHITECTURES["fcn8s-vgg16"].probe


def test_every_architecture_is_described() -> None:
    infos = describe_architectures(classes=21)
    by_name = {info.name: info for info in infos}
    text = architectures_text(infos)

    assert tuple(by_name) == tuple(ARCHITECTURES) == tuple(sorted(ARCHITECTURES))
    assert by_name["fcn8s-vgg16"].parameters == 134_489_759
    assert by_name["fcn8s-vgg16"].as_dict()["margin"] == 224
    assert {info.guarantee for info in infos} == {"exact"}
    assert all(name in text for name in by_name)
    assert "134,489,759" in text
    assert "fcn-resnet101-640" in text
    assert json.loads(json.dumps([info.as_dict() for info in infos]))[0]["name"] == "fcn-alexnet"


def test_some_can_be_described() -> None:
    (info,) = describe_architectures(["unet-2015"], classes=2, in_channels=1)

    assert (info.parameters, info.stride, info.dependency) == (31_030_658, 16, 94)
    assert "presets" not in architectures_text([info])


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ModelError, match="'segnet' is unknown: choose one of fcn-alexnet"):
        describe_architectures(["segnet"])
