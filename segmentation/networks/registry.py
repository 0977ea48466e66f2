"""The registry of networks: a name and arguments in, a module out."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn

from segflow.errors import ModelError
from segflow.segmentation.networks.fcn_alexnet import AlexNetFCN
from segflow.segmentation.networks.fcn_googlenet import GoogLeNetFCN
from segflow.segmentation.networks.fcn_kitti import KittiFCN
from segflow.segmentation.networks.fcn_vgg16 import FCN
from segflow.segmentation.networks.libraries import LibraryNetwork, ResNetFCN
from segflow.segmentation.networks.presets import presets
from segflow.segmentation.networks.unet import UNet
from segflow.segmentation.networks.unet_2015 import UNet2015

Network = nn.Module  # for those who hold a network and never look inside


def pixelwise(in_channels: int, classes: int) -> nn.Module:
    """Give a 1×1 convolution: a linear classifier of single pixels, for baselines and benches."""
    return nn.Conv2d(in_channels, classes, kernel_size=1)


# Called with the channels of the input, the number of classes and the arguments of the spec.
_BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "fcn-alexnet": AlexNetFCN,
    "fcn-googlenet": GoogLeNetFCN,
    "fcn-resnet50": partial(ResNetFCN, depth=50),
    "fcn-resnet101": partial(ResNetFCN, depth=101),
    "fcn8s-vgg16": partial(FCN, finest=8),
    "fcn8s-vgg16-kitti": KittiFCN,
    "fcn16s-vgg16": partial(FCN, finest=16),
    "fcn32s-vgg16": partial(FCN, finest=32),
    "pixelwise": pixelwise,
    "smp": LibraryNetwork,
    "unet": UNet,
    "unet-2015": UNet2015,
    "unet-resnet50": partial(LibraryNetwork, decoder="unet", encoder="resnet50"),
    "unet-vgg16": partial(LibraryNetwork, decoder="unet", encoder="vgg16"),
}


def architectures() -> tuple[str, ...]:
    """Give the names of the networks that can be built."""
    return tuple(sorted(_BUILDERS))


def build_network(architecture: str, arguments: Mapping[str, Any], *, in_channels: int, classes: int) -> nn.Module:
    """Build a network with random weights.

    Parameters
    ----------
    architecture, arguments
        Name in the registry or of a preset, and what its builder takes besides the channels.
    in_channels, classes
        Channels of the input and of the logits.

    Raises
    ------
    ModelError
        If the name is unknown or the builder refuses the arguments.
    """
    preset = presets().get(architecture)
    builder = _BUILDERS.get(preset.architecture if preset else architecture)
    if builder is None:
        msg = f"network {architecture!r} is unknown: choose one of {', '.join(architectures())}"
        raise ModelError(msg)
    try:
        return builder(in_channels, classes, **arguments)
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        problem = " ".join(str(error).split())
        msg = f"network {architecture!r} cannot be built with {dict(arguments)} ({problem}): check its arguments"
        raise ModelError(msg) from error
