"""Networks small enough for tests, with weights that make every layer speak."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from segflow.segmentation.networks.registry import build_network

_WIDTH = {"width": 1 / 16}
_FAINT = 0.015
# Arguments that make a network small where it has such; geometry does not depend on widths.
NARROW: Mapping[str, Mapping[str, Any]] = {
    "fcn-alexnet": _WIDTH,
    "fcn8s-vgg16": _WIDTH,
    "fcn8s-vgg16-kitti": _WIDTH,
    "fcn16s-vgg16": {**_WIDTH, "batch_norm": True},
    "fcn32s-vgg16": _WIDTH,
    "smp": {"encoder": "resnet18"},
    "unet": {"widths": (4, 4, 8, 8, 8)},
    "unet-2015": _WIDTH,
}


def narrow_network(architecture: str, *, in_channels: int = 3, classes: int = 2) -> nn.Module:
    """Give a network in eval mode, narrow where it can be, normalised to what it sees, no weight of it 0."""
    torch.manual_seed(0)
    network = build_network(architecture, NARROW.get(architecture, {}), in_channels=in_channels, classes=classes)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.weight.detach().std() < _FAINT:
            nn.init.kaiming_normal_(layer.weight)  # scores that start at 0, or at 0.01 of it
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # an average, so that one image sets it
    network.train()
    with torch.no_grad():
        network(torch.randn(2, in_channels, 96, 96))
    return network.eval()
