"""Weights that were trained elsewhere: those that fit are loaded by name, the others are reported.

Names match after the prefix that fits best, so ``conv1.weight`` of a classifier becomes
``backbone.conv1.weight``. VGG16's dense layers become convolutions (`transplant`).

How a first convolution of three bands is adapted to n: its first min(n, 3) bands stay as they are where n ≥ 3;
further bands, and all where n < 3, get the mean of the three; and all are scaled by 3 / n.
So an image whose bands are all alike gets the answer that the grey image got from the original.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from segflow.errors import ModelError
from segflow.segmentation.networks.published.transplant import rename_vgg

State = Mapping[str, torch.Tensor] | Mapping[str, npt.NDArray[np.float32]]

_COLOURS = 3  # bands of the photographs that classifiers are trained on
_COUNTER = "num_batches_tracked"  # of training, which prediction ignores
_KERNELS = 4  # dimensions of the weights of a convolution


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Which weights were loaded and which were not, by the network's own names.

    Attributes
    ----------
    loaded
        Weights that the network now has.
    adapted
        Those of `loaded` whose input bands were changed in number.
    missing
        Weights of the network that are new: the source lacks them.
    mismatched
        Weights that are new because the source's have another shape, with both shapes.
    unused
        Weights of the source, by its names, that the network lacks.
    """

    loaded: tuple[str, ...]
    adapted: tuple[str, ...]
    missing: tuple[str, ...]
    mismatched: tuple[str, ...]
    unused: tuple[str, ...]

    def summary(self) -> str:
        """Give one line for a log."""
        new = [*self.missing, *self.mismatched]
        return (
            f"{len(self.loaded)} weights loaded ({len(self.adapted)} adapted to the bands), "
            f"{len(new)} new{': ' if new else ''}{', '.join(new)}, {len(self.unused)} not used"
        )


def load_pretrained(network: nn.Module, state: State) -> Loaded:
    """Load the weights that fit: by name and shape, after the best prefix, the first convolution adapted.

    A VGG16 classifier is taken as one where the network holds a VGG16; FCN-32s starts FCN-16s, which starts FCN-8s.

    Raises
    ------
    ModelError
        If no weight fits; the message names the first of the network's and what was found.
        If the network holds a VGG16, and the weights are those of another classifier with features of such names.
    """
    tensors = {name: torch.as_tensor(value) for name, value in state.items() if not name.endswith(_COUNTER)}
    if "features.0.weight" in tensors and "classifier.0.weight" in tensors:
        tensors = rename_vgg(network, tensors)
    return _load(network, _best_prefix(network, tensors))


def adapt_first_convolution(weight: torch.Tensor, in_channels: int) -> torch.Tensor:
    """Give (out, 3, k, k) weights for `in_channels` bands: (out, in_channels, k, k); the module says how."""
    mean = weight.mean(1, keepdim=True)  # (out, 1, k, k)
    kept = weight if in_channels >= _COLOURS else weight[:, :0]
    further = mean.expand(-1, in_channels - kept.shape[1], -1, -1)
    return torch.cat((kept, further), dim=1) * (_COLOURS / in_channels)


def _load(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> Loaded:
    """Load tensors that bear the network's names."""
    needed = {name: value for name, value in network.state_dict().items() if not name.endswith(_COUNTER)}
    first = _first_convolution(network)
    fitting, adapted, mismatched = {}, [], []
    for name in needed.keys() & tensors.keys():
        found, shape = tensors[name], needed[name].shape
        if name == first and _differs_in_bands(found.shape, shape):
            found = adapt_first_convolution(found, shape[1])
            adapted.append(name)
        if found.shape == shape:
            fitting[name] = found
        else:
            mismatched.append(f"{name} (found {tuple(found.shape)}, needs {tuple(shape)})")
    if not fitting:
        name = next(iter(needed))
        seen = ", ".join(mismatched) or f"nothing of that name among {len(tensors)} weights"
        msg = (
            f"no weight fits: the network's first is {name!r} of shape {tuple(needed[name].shape)}, found {seen}: "
            "give the weights of this network"
        )
        raise ModelError(msg)
    network.load_state_dict(fitting, strict=False)
    return Loaded(
        loaded=tuple(sorted(fitting)),
        adapted=tuple(adapted),
        missing=tuple(sorted(needed.keys() - tensors.keys())),
        mismatched=tuple(sorted(mismatched)),
        unused=tuple(sorted(tensors.keys() - needed.keys())),
    )


def _best_prefix(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename tensors by the pair of prefixes, one taken off and one put on, that fits most of the network's names."""
    needed = set(network.state_dict())
    ours = sorted({"", *(f"{name}." for name, _ in network.named_modules() if name)}, key=len)
    theirs = _common_prefixes(tensors)

    def renamed(off: str, on: str) -> dict[str, str]:
        return {name: on + name[len(off) :] for name in tensors if name.startswith(off)}

    pairs = [(off, on) for off in theirs for on in ours]
    off, on = max(pairs, key=lambda pair: len(needed & set(renamed(*pair).values())))  # the first of equal ones
    names = {theirs: name for theirs, name in renamed(off, on).items() if name in needed}
    return {names.get(name, name): value for name, value in tensors.items()}  # those not needed keep their names


def _common_prefixes(names: Collection[str]) -> list[str]:
    """Give the prefixes, up to a dot, that half of all names share, shortest first: what trainers put before names."""
    found = Counter(name[: place + 1] for name in names for place, letter in enumerate(name) if letter == ".")
    return sorted({"", *(prefix for prefix, count in found.items() if 2 * count >= len(names))}, key=len)


def _first_convolution(network: nn.Module) -> str:
    names = (name for name, part in network.named_modules() if isinstance(part, nn.Conv2d))
    return f"{next(names, '')}.weight".removeprefix(".")


def _differs_in_bands(found: torch.Size, needed: torch.Size) -> bool:
    """Tell whether kernels differ in nothing but the number of bands, of which the source has three."""
    return (
        len(found) == len(needed) == _KERNELS
        and found[1] == _COLOURS != needed[1]
        and (found[0], *found[2:]) == (needed[0], *needed[2:])
    )
