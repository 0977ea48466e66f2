"""Weights within checkpoints: tensors out of archives, and the names that a network knows them by."""

import io
import pickle
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from segflow.errors import ModelError

Arrays = dict[str, npt.NDArray[np.float32]]

_AVERAGED = re.compile(r"averag|ema|swa", re.IGNORECASE)  # what tools call the moving average of the weights
# What torch.load raises on archives that are damaged, or hold what its weights_only refuses.
_TROUBLES = (AttributeError, EOFError, LookupError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError)
_OWN = "segflow"  # key of our part: segmentation/training/checkpoints.py
_AUXILIARY = "aux_"  # heads that torchvision's networks have in training alone: aux_classifier
_COUNTER = "num_batches_tracked"  # of training, which prediction ignores


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """What a checkpoint holds.

    Attributes
    ----------
    arrays
        float32 arrays by their path: ``state_dict.network.head.weight``.
    spec, biases
        Of one that `segflow train` wrote: the spec as JSON, and what is to be added to the logits; else None.
    """

    arrays: Mapping[str, npt.NDArray[Any]]
    spec: str | None = None
    biases: npt.NDArray[np.float32] | None = None


def unpack_checkpoint(content: bytes | Mapping[str, npt.NDArray[Any]], *, source: str) -> Checkpoint:
    """Give all tensors in a checkpoint, however deep they lie, and what segflow's own say besides.

    Parameters
    ----------
    content
        What `segflow.io.models.checkpoints` has read and checked.
    source
        Name for messages.

    Raises
    ------
    ModelError
        If they cannot be rebuilt.
    """
    if not isinstance(content, bytes):
        return Checkpoint(arrays=content)
    try:
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        arrays = {name: _as_array(tensor) for name, tensor in _tensors(loaded)}
        own = loaded.get(_OWN) if isinstance(loaded, Mapping) else None
        spec, biases = (own.get("spec"), own.get("biases")) if isinstance(own, Mapping) else (None, None)
        return Checkpoint(
            arrays=arrays,
            spec=None if spec is None else str(spec),
            biases=None if biases is None else np.array(biases, np.float32),
        )
    except _TROUBLES as error:
        msg = f"checkpoint {source} cannot be read ({' '.join(str(error).split())[:200]}): save its state_dict again"
        raise ModelError(msg) from error


def select_weights(found: Mapping[str, npt.NDArray[Any]], needed: Collection[str]) -> Arrays:
    """Give the weights of one network out of all arrays in a checkpoint.

    Trainers wrap networks and store more than weights: the network's own names follow a prefix like ``network.``,
    ``module.`` or ``state_dict.model.``. The prefix that leaves most of the needed names is the right one;
    of equal ones that of a moving average, which is what trainers validate, and then the shortest.

    Parameters
    ----------
    found
        Arrays by their path.
    needed
        Names of the network's weights.
    """
    wanted = set(needed)
    names = [name for name in found if not name.endswith(_COUNTER)]
    score: dict[str, int] = {"": 0}
    for name in names:
        for prefix, own in _splits(name):
            score[prefix] = score.get(prefix, 0) + (own in wanted)
    best = max(score, key=lambda prefix: (score[prefix], bool(_AVERAGED.search(prefix)), -len(prefix)))
    chosen = {name[len(best) :]: found[name] for name in names if name.startswith(best)}
    return {
        name: np.asarray(array, np.float32)
        for name, array in chosen.items()
        if name in wanted or not name.startswith(_AUXILIARY)
    }


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """Give all ways to cut a path at a dot, the first with an empty prefix."""
    parts = name.split(".")
    for count in range(len(parts)):
        prefix = "".join(f"{part}." for part in parts[:count])
        yield prefix, name[len(prefix) :]


def _tensors(value: object, path: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Give the tensors in nested mappings; those in lists are an optimiser's."""
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _tensors(inner, f"{path}.{key}" if path else str(key))


def _as_array(tensor: torch.Tensor) -> npt.NDArray[np.float32]:
    return tensor.detach().to("cpu", torch.float32).contiguous().numpy()
