"""Starting from the weights of another model instead of random ones."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from segflow.errors import ModelError
from segflow.segmentation.predict.weights import pack_weights
from segflow.segmentation.spec import ModelSpec

Arrays = Mapping[str, npt.NDArray[np.float32]]


def check_start(start: ModelSpec, *, architecture: str, arguments: Mapping[str, Any], bands: tuple[str, ...]) -> None:
    """Check that training can start from a model.

    Raises
    ------
    ModelError
        If it has another network or other bands; the message names what to set.
    """
    if start.is_graph:
        msg = f"--from {start.name} is an ONNX graph, which cannot be trained: choose a model with a network of segflow"
        raise ModelError(msg)
    if start.architecture != architecture:
        msg = f"--from {start.name} is a {start.architecture}, but `network` is {architecture}: set it to the former"
        raise ModelError(msg)
    found = tuple(band.name for band in start.bands)
    if found != bands:
        msg = f"--from {start.name} sees the bands {', '.join(found)}, but `bands` are {', '.join(bands)}"
        raise ModelError(msg)
    for name in sorted(start.arguments.keys() | arguments.keys()):
        there, here = start.arguments.get(name), arguments.get(name)
        if _plain(there) != _plain(here):
            msg = (
                f"--from {start.name} was built with {name}: {there}, but `arguments` say {name}: {here}; "
                f"set arguments to {json.dumps(_plain(dict(start.arguments)))}"
            )
            raise ModelError(msg)


def adopt_weights(network: nn.Module, arrays: Arrays, start: ModelSpec, *, classes: int) -> tuple[str, ...]:
    """Load the weights of a model into a network; layers of another number of classes keep random weights.

    Parameters
    ----------
    network
        The network, with random weights.
    arrays, start
        Weights of the model to start from, and its spec.
    classes
        Number of classes of `network`.

    Returns
    -------
    tuple of str
        Names of the weights that stayed random, in the order of their names.

    Raises
    ------
    ModelError
        If the weights are not those of this network; the message names the first that differs.
    """
    needed = pack_weights(network)
    fresh = []
    for name in sorted(needed.keys() | arrays.keys()):
        if name not in arrays or name not in needed:
            where, other = ("it", "this network") if name in arrays else ("this network", "it")
            msg = f"--from {start.name}: weight {name!r} is in {where}, but not in {other}: the networks differ"
            raise ModelError(msg)
        here, there = needed[name].shape, arrays[name].shape
        if here == there:
            continue
        if not _differs_by_classes(there, here, len(start.classes), classes):
            msg = f"--from {start.name}: weight {name!r} has shape {there}, but this network needs {here}"
            raise ModelError(msg)
        fresh.append(name)
    kept = {name: torch.from_numpy(np.array(array, np.float32)) for name, array in arrays.items() if name not in fresh}
    network.load_state_dict(kept, strict=False)
    return tuple(fresh)


def _differs_by_classes(found: tuple[int, ...], needed: tuple[int, ...], old: int, new: int) -> bool:
    """Tell whether two shapes differ only where one counts its classes and the other its own."""
    return len(found) == len(needed) and all(a == b or (a, b) == (old, new) for a, b in zip(found, needed, strict=True))


def _plain(value: object) -> object:
    """Give lists for tuples: a model file knows lists only."""
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value
