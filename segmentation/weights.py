"""Weights between a network and the arrays of a model file."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from segflow.errors import ModelError
from segflow.segmentation.networks import build_network
from segflow.segmentation.spec import ModelSpec

Arrays = Mapping[str, npt.NDArray[np.float32]]


def pack_weights(network: nn.Module) -> dict[str, npt.NDArray[np.float32]]:
    """Give all parameters and running statistics as float32 arrays, sorted by name."""
    state = network.state_dict()
    return {
        name: state[name].detach().to("cpu", torch.float32).contiguous().numpy()
        for name in sorted(state)
        if not name.endswith("num_batches_tracked")  # a counter of training, which prediction ignores
    }


def restore_network(spec: ModelSpec, arrays: Arrays) -> nn.Module:
    """Give the network of a spec with the weights of `arrays`, ready to predict.

    Raises
    ------
    ModelError
        If the network cannot be built, or the arrays are not its weights;
        the message names the first difference.
    """
    network = build_network(spec.architecture, spec.arguments, in_channels=len(spec.bands), classes=len(spec.classes))
    needed = pack_weights(network)
    for name in sorted(needed.keys() | arrays.keys()):
        problem = _difference(name, needed, arrays)
        if problem:
            msg = f"model {spec.name}: {problem}: its weights are not those of a {spec.architecture}, package it again"
            raise ModelError(msg)
    tensors = {name: torch.from_numpy(np.array(array, np.float32)) for name, array in arrays.items()}
    network.load_state_dict(tensors, strict=False)
    return network.eval().requires_grad_(requires_grad=False)


def _difference(name: str, needed: Arrays, found: Arrays) -> str:
    if name not in found:
        return f"weight {name!r} of shape {needed[name].shape} is missing"
    if name not in needed:
        return f"weight {name!r} of shape {found[name].shape} is not needed"
    if needed[name].shape != found[name].shape:
        return f"weight {name!r} has shape {found[name].shape}, but needs {needed[name].shape}"
    if not np.isfinite(found[name]).all():
        return f"weight {name!r} is not finite"
    return ""
