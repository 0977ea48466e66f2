"""VGG16's classifier inside an FCN: its dense layers, reshaped, slide over the image as convolutions.

A dense layer over 512 × 7 × 7 features holds the same numbers as 7 × 7 kernels over 512 channels, in the
same order. For an image of 224 × 224 px the convolutions give its answer, at one position.

References
----------
Shelhamer, Long, Darrell 2016, section 3.1 (adapting classifiers for dense prediction).
"""

import itertools
from collections.abc import Mapping

import torch
from torch import nn

from segflow.errors import ModelError
from segflow.segmentation.networks.fcn_vgg16 import VGG16

_CONVOLUTIONS = 13  # before the dense layers
_KERNELS, _MATRIX = 4, 2  # dimensions of convolutional and of dense weights
_SIDE = 7  # cells; of pool5 for the classifier's images
_DENSE = ("classifier.0", "classifier.3", "classifier.6")

Tensors = Mapping[str, torch.Tensor]


def _find_vgg(network: nn.Module) -> tuple[str, VGG16] | None:
    """Give the prefix of the names inside the network's VGG16, and that; None where there is none."""
    for name, part in network.named_modules():
        if isinstance(part, VGG16):
            return (f"{name}." if name else ""), part
    return None


def rename_vgg(network: nn.Module, tensors: Tensors) -> dict[str, torch.Tensor]:
    """Give a classifier's weights, in torchvision's names, under the network's names; dense ones as kernels.

    A network that holds no VGG16 gets them under their own names.

    Raises
    ------
    ModelError
        If the network holds a VGG16, but the weights are not those of one.
    """
    found = _find_vgg(network)
    if found is None:
        return dict(tensors)
    prefix, vgg = found
    score = "score7" if hasattr(network, "score7") else "score_fr"
    names = dict(zip(_DENSE, (f"{prefix}fc6.0", f"{prefix}fc7.0", score), strict=True))
    names |= {theirs: f"{prefix}{ours}" for theirs, ours in _match_features(vgg, tensors)}
    result = {}
    for name, value in tensors.items():
        layer, _, kind = name.rpartition(".")
        kernels = _as_kernels(value, _SIDE if layer == _DENSE[0] else 1) if layer in _DENSE else value
        result[f"{names[layer]}.{kind}" if layer in names else name] = kernels
    return result


def _match_features(vgg: VGG16, tensors: Tensors) -> list[tuple[str, str]]:
    """Pair a classifier's convolutions with ours in their order, and its normalisations if both have them."""
    layers = {name.rpartition(".")[0] for name in tensors if name.startswith("features.") and name.endswith(".weight")}
    theirs = sorted(layers, key=lambda layer: int(layer.rpartition(".")[2]))
    stages = (vgg.stage1, vgg.stage2, vgg.stage3, vgg.stage4, vgg.stage5)
    ours = {
        f"stage{number}.{index}": layer
        for number, stage in enumerate(stages, 1)
        for index, layer in enumerate(stage)
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)
    }
    dimensions = {name: tensors[f"{name}.weight"].ndim for name in theirs}
    convolutions = [name for name in theirs if dimensions[name] == _KERNELS]
    if len(convolutions) != _CONVOLUTIONS:
        first = ", ".join(itertools.islice(tensors, 3))
        msg = f"weights are not those of a VGG16 ({first}, …): needs features.0 to features.28 and classifier.0 to 6"
        raise ModelError(msg)
    ours_convolved = [name for name, layer in ours.items() if isinstance(layer, nn.Conv2d)]
    pairs = list(zip(convolutions, ours_convolved, strict=True))
    if len(theirs) == len(ours) > _CONVOLUTIONS:
        pairs = list(zip(theirs, ours, strict=True))
    return pairs


def _as_kernels(weight: torch.Tensor, side: int) -> torch.Tensor:
    """Reshape (out, in · side · side) to (out, in, side, side); leave what is no such matrix."""
    if weight.ndim != _MATRIX or weight.shape[1] % side**2:
        return weight
    return weight.reshape(len(weight), -1, side, side)
