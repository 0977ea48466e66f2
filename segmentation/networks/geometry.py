"""What is known of each architecture: what it is, how far it looks, how many weights it has.

Stride and dependency do not depend on widths, bands or classes. They were measured by
`segflow.segmentation.probe`, with default arguments, and are measured again by
tests/segmentation/networks/test_architectures.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from segflow.segmentation.networks.registry import build_network
from segflow.segmentation.probe import Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of an architecture.

    Attributes
    ----------
    about
        What it is, in a line.
    probe
        Its stride and dependency with default arguments.
    """

    about: str
    probe: Probe


def _known(about: str, stride: int, dependency: int) -> Known:
    return Known(about=about, probe=Probe(stride=stride, dependency=dependency))


KNOWN: Mapping[str, Known] = {
    "fcn-alexnet": _known("FCN-32s on AlexNet (Shelhamer, Long, Darrell 2016)", 32, 196),
    "fcn-googlenet": _known("FCN-32s on torchvision's GoogLeNet", 32, 212),
    "fcn-resnet50": _known("torchvision's FCN on a dilated ResNet-50", 8, 229),
    "fcn-resnet101": _known("torchvision's FCN on a dilated ResNet-101", 8, 501),
    "fcn8s-vgg16": _known("FCN-8s on VGG16 (Shelhamer, Long, Darrell 2016)", 32, 221),
    "fcn8s-vgg16-kitti": _known("FCN-8s of the KITTI road exercises: padded alike, all upsampling learned", 32, 218),
    "fcn16s-vgg16": _known("FCN-16s on VGG16", 32, 221),
    "fcn32s-vgg16": _known("FCN-32s on VGG16", 32, 221),
    "pixelwise": _known("a linear classifier of single pixels, for baselines", 1, 0),
    "smp": _known("any decoder on any encoder of segmentation-models-pytorch; here unet on resnet34", 32, 513),
    "unet": _known("compact U-Net with normalisation, the shipped models' network", 16, 94),
    "unet-2015": _known("the 23-layer U-Net (Ronneberger, Fischer, Brox 2015), same padding", 16, 94),
    "unet-resnet50": _known("U-Net decoder on a ResNet-50", 32, 277),
    "unet-vgg16": _known("U-Net decoder on VGG16", 32, 218),
}


def count_parameters(architecture: str, arguments: Mapping[str, Any], *, in_channels: int, classes: int) -> int:
    """Give the number of parameters, fixed ones too, without holding any of them in memory.

    Raises
    ------
    ModelError
        If the network cannot be built.
    """
    with torch.device("meta"):
        network = build_network(architecture, arguments, in_channels=in_channels, classes=classes)
    return sum(parameter.numel() for parameter in network.parameters())
