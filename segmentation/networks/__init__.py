"""The registry of networks: a name and arguments in, a module out."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from segflow.errors import ModelError
from segflow.segmentation.networks.unet import UNet

Network = nn.Module  # for those who hold a network and never look inside


def pixelwise(in_channels: int, classes: int) -> nn.Module:
    """Give a 1×1 convolution: a linear classifier of single pixels, for baselines and benches."""
    return nn.Conv2d(in_channels, classes, kernel_size=1)


# Called with the channels of the input, the number of classes and the arguments of the spec.
_BUILDERS: dict[str, Callable[..., nn.Module]] = {"pixelwise": pixelwise, "unet": UNet}


def architectures() -> tuple[str, ...]:
    """Give the names of the networks that can be built."""
    return tuple(sorted(_BUILDERS))


def build_network(architecture: str, arguments: Mapping[str, Any], *, in_channels: int, classes: int) -> nn.Module:
    """Build a network with random weights.

    Parameters
    ----------
    architecture, arguments
        Name in the registry, and what its builder takes besides the channels.
    in_channels, classes
        Channels of the input and of the logits.

    Raises
    ------
    ModelError
        If the name is unknown or the builder refuses the arguments.
    """
    if architecture not in _BUILDERS:
        msg = f"network {architecture!r} is unknown: choose one of {', '.join(architectures())}"
        raise ModelError(msg)
    try:
        return _BUILDERS[architecture](in_channels, classes, **arguments)
    except (TypeError, ValueError, IndexError, RuntimeError) as error:
        problem = " ".join(str(error).split())
        msg = f"network {architecture!r} cannot be built with {dict(arguments)} ({problem}): check its arguments"
        raise ModelError(msg) from error
