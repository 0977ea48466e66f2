"""The registry of networks: all that segflow knows of a network is one entry here.

A new network is a file with its module and an entry in `ARCHITECTURES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from segflow.errors import ModelError
from segflow.segmentation.networks.fcn_alexnet import AlexNetFCN
from segflow.segmentation.networks.fcn_googlenet import GoogLeNetFCN
from segflow.segmentation.networks.fcn_kitti import KittiFCN
from segflow.segmentation.networks.fcn_vgg16 import FCN
from segflow.segmentation.networks.libraries import LibraryNetwork, ResNetFCN
from segflow.segmentation.networks.unet import UNet
from segflow.segmentation.networks.unet_2015 import UNet2015
from segflow.segmentation.probe import Probe

Network = nn.Module  # the type of a network for callers that only pass it on


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A network that can be built by name.

    Attributes
    ----------
    build
        Called with the channels of the input, the number of classes and, by keyword, the arguments of the model's spec.
    about
        What it is, in one line.
    stride, dependency
        Total downsampling, and how far a prediction depends on pixels around it [px], with default arguments;
        None: without bound. Neither depends on widths, bands or classes. Both were measured by
        `segflow.segmentation.probe`, and tests/segmentation/networks/test_architectures.py measures them again.
    aliases
        Other names under which model files and settings may hold it: those of recipes that are called
        after the network and the side of their chips.
    """

    build: Callable[..., nn.Module]
    about: str
    stride: int
    dependency: int | None
    aliases: tuple[str, ...] = ()

    @property
    def probe(self) -> Probe:
        """Stride and dependency, as a measurement gives them."""
        return Probe(stride=self.stride, dependency=self.dependency)


def pixelwise(in_channels: int, classes: int) -> nn.Module:
    """Give a 1×1 convolution: a linear classifier of single pixels, for baselines and benches."""
    return nn.Conv2d(in_channels, classes, kernel_size=1)


ARCHITECTURES: Mapping[str, Architecture] = {
    "fcn-alexnet": Architecture(
        build=AlexNetFCN, about="FCN-32s on AlexNet (Shelhamer, Long, Darrell 2016)", stride=32, dependency=196
    ),
    "fcn-googlenet": Architecture(
        build=GoogLeNetFCN, about="FCN-32s on torchvision's GoogLeNet", stride=32, dependency=212
    ),
    "fcn-resnet101": Architecture(
        build=partial(ResNetFCN, depth=101),
        about="torchvision's FCN on a dilated ResNet-101",
        stride=8,
        dependency=501,
        aliases=("fcn-resnet101-320", "fcn-resnet101-640"),
    ),
    "fcn-resnet50": Architecture(
        build=partial(ResNetFCN, depth=50),
        about="torchvision's FCN on a dilated ResNet-50",
        stride=8,
        dependency=229,
        aliases=("fcn-resnet50-320", "fcn-resnet50-640"),
    ),
    "fcn16s-vgg16": Architecture(build=partial(FCN, finest=16), about="FCN-16s on VGG16", stride=32, dependency=221),
    "fcn32s-vgg16": Architecture(build=partial(FCN, finest=32), about="FCN-32s on VGG16", stride=32, dependency=221),
    "fcn8s-vgg16": Architecture(
        build=partial(FCN, finest=8),
        about="FCN-8s on VGG16 (Shelhamer, Long, Darrell 2016)",
        stride=32,
        dependency=221,
    ),
    "fcn8s-vgg16-kitti": Architecture(
        build=KittiFCN,
        about="FCN-8s of the KITTI road exercises: same padding everywhere, all upsampling learned",
        stride=32,
        dependency=218,
    ),
    "pixelwise": Architecture(
        build=pixelwise,
        about="a linear classifier of single pixels, for baselines",
        stride=1,
        dependency=0,
    ),
    "smp": Architecture(
        build=LibraryNetwork,
        about="any decoder on any encoder of segmentation-models-pytorch; here unet on resnet34",
        stride=32,
        dependency=513,
    ),
    "unet": Architecture(
        build=UNet,
        about="compact U-Net with normalisation, the shipped models' network",
        stride=16,
        dependency=94,
    ),
    "unet-2015": Architecture(
        build=UNet2015,
        about="the 23-layer U-Net (Ronneberger, Fischer, Brox 2015), same padding",
        stride=16,
        dependency=94,
    ),
    "unet-resnet50": Architecture(
        build=partial(LibraryNetwork, decoder="unet", encoder="resnet50"),
        about="U-Net decoder on a ResNet-50",
        stride=32,
        dependency=277,
        aliases=("unet-resnet50-320", "unet-resnet50-640"),
    ),
    "unet-vgg16": Architecture(
        build=partial(LibraryNetwork, decoder="unet", encoder="vgg16"),
        about="U-Net decoder on VGG16",
        stride=32,
        dependency=218,
        aliases=("unet-vgg16-320", "unet-vgg16-640"),
    ),
}
_ALIASES = {alias: name for name, entry in ARCHITECTURES.items() for alias in entry.aliases}


def find_architecture(name: str) -> Architecture:
    """Give the entry of a network by its name or one of its aliases.

    Raises
    ------
    ModelError
        If there is none.
    """
    entry = ARCHITECTURES.get(_ALIASES.get(name, name))
    if entry is None:
        msg = f"network {name!r} is unknown: choose one of {', '.join(ARCHITECTURES)}"
        raise ModelError(msg)
    return entry


def build_network(architecture: str, arguments: Mapping[str, Any], *, in_channels: int, classes: int) -> nn.Module:
    """Build a network with random weights.

    Parameters
    ----------
    architecture, arguments
        Its name or an alias, and what its builder takes besides the channels.
    in_channels, classes
        Channels of the input and of the logits.

    Raises
    ------
    ModelError
        If the name is unknown or the builder refuses the arguments.
    """
    entry = find_architecture(architecture)
    try:
        return entry.build(in_channels, classes, **arguments)
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        problem = " ".join(str(error).split())
        msg = f"network {architecture!r} cannot be built with {dict(arguments)} ({problem}): check its arguments"
        raise ModelError(msg) from error


def count_parameters(architecture: str, arguments: Mapping[str, Any], *, in_channels: int, classes: int) -> int:
    """Give the number of parameters, frozen ones included, without holding any of them in memory.

    Raises
    ------
    ModelError
        If the network cannot be built.
    """
    with torch.device("meta"):
        network = build_network(architecture, arguments, in_channels=in_channels, classes=classes)
    return sum(parameter.numel() for parameter in network.parameters())
