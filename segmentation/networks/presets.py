"""Presets: a network and the side of the chips it is trained on, under one name."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_ARCHITECTURES = ("fcn-resnet50", "fcn-resnet101", "unet-resnet50", "unet-vgg16")
_SIZES = (320, 640)  # px; multiples of 32, the stride of the deepest


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What a preset stands for.

    Attributes
    ----------
    architecture
        Name in the registry of networks.
    size
        Side of its chips [px].
    """

    architecture: str
    size: int


_PRESETS = MappingProxyType(
    {f"{name}-{size}": Preset(architecture=name, size=size) for name, size in itertools.product(_ARCHITECTURES, _SIZES)}
)


def presets() -> Mapping[str, Preset]:
    """Give all presets by name."""
    return _PRESETS
