"""Conversion between the weights of a network and the arrays of a model file."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from segflow.errors import ModelError
from segflow.segmentation.networks.registry import build_network
from segflow.segmentation.spec import ModelSpec

Arrays = Mapping[str, npt.NDArray[np.floating]]


def pack_weights(network: nn.Module, *, half: bool = False) -> dict[str, npt.NDArray[np.floating]]:
    """Give all parameters and running statistics as float32 arrays, sorted by name; with `half`, kernels as float16."""
    arrays = {name: _as_array(tensor) for name, tensor in sorted(_weights(network).items())}
    return {name: array.astype(np.float16) if half and array.ndim > 1 else array for name, array in arrays.items()}


def round_kernels(network: nn.Module) -> nn.Module:
    """Round the kernels of a network to float16 and give it: what `pack_weights` stores with `half` is then exact.

    Biases and the statistics of normalisations, which may be tiny, keep their 32 bits.
    """
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.half())
    return network


def restore_network(spec: ModelSpec, arrays: Arrays) -> nn.Module:
    """Give the network of a spec with the weights of `arrays`, ready to predict.

    Raises
    ------
    ModelError
        If the network cannot be built, or the arrays are not its weights;
        the message names the first difference.
    """
    if spec.is_graph:
        msg = f"model {spec.name} is an ONNX graph, which is run as it is: choose a model with a network of segflow"
        raise ModelError(msg)
    network = build_network(spec.architecture, spec.arguments, in_channels=len(spec.bands), classes=len(spec.classes))
    return load_weights(network, arrays, source=f"model {spec.name}", architecture=spec.architecture)


def load_weights(network: nn.Module, arrays: Arrays, *, source: str, architecture: str) -> nn.Module:
    """Put weights into a network and give it, ready to predict.

    Parameters
    ----------
    network
        The network; it changes.
    arrays
        Its weights by name.
    source, architecture
        Where the weights come from and what the network is called, for messages.

    Raises
    ------
    ModelError
        If the arrays are not the network's weights, or not finite; the message names the first difference
        in the network's own order.
    """
    needed = {name: tuple(tensor.shape) for name, tensor in _weights(network).items()}
    for name in [*needed, *sorted(arrays.keys() - needed.keys())]:
        problem = _difference(name, needed, arrays)
        if problem:
            msg = (
                f"{source}: {problem}; its weights are not those of a {architecture} with these bands and classes: "
                "choose the architecture and arguments that they were trained with"
            )
            raise ModelError(msg)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            bad = np.count_nonzero(~np.isfinite(array))
            msg = f"{source}: weight {name!r} is not finite in {bad} of {array.size} values: train or copy it again"
            raise ModelError(msg)
    tensors = {name: torch.from_numpy(np.array(array, np.float32)) for name, array in arrays.items()}
    network.load_state_dict(tensors, strict=False)
    return network.eval().requires_grad_(requires_grad=False)


def _weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """Give the tensors that make up a network, without the counters of training, which prediction ignores."""
    return {name: tensor for name, tensor in network.state_dict().items() if not name.endswith("num_batches_tracked")}


def _as_array(tensor: torch.Tensor) -> npt.NDArray[np.float32]:
    return tensor.detach().to("cpu", torch.float32).contiguous().numpy()


def _difference(name: str, needed: Mapping[str, tuple[int, ...]], found: Arrays) -> str:
    """Describe how a weight differs from the one that is needed; empty if it does not."""
    if name not in found:
        return f"weight {name!r} of shape {needed[name]} is missing"
    if name not in needed:
        return f"weight {name!r} of shape {found[name].shape} is not needed"
    if needed[name] != found[name].shape:
        return f"weight {name!r} has shape {found[name].shape}, but needs {needed[name]}"
    return ""
