"""Names of weights that can be fetched: torchvision's, for classifiers and for its own FCN."""

import io
import pickle
import re
from dataclasses import dataclass

import torch

from segflow.errors import ModelError

_DIGEST = re.compile(r"-([0-9a-f]{8,})\.pth$")  # in the names of torchvision's files
_TROUBLES = (AttributeError, EOFError, LookupError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubWeights:
    """Where weights lie.

    Attributes
    ----------
    name
        Their name in torchvision, such as ``VGG16_Weights.IMAGENET1K_V1``.
    url
        Address of the file.
    digest_start
        First digits of its SHA-256, which the address ends in.
    """

    name: str
    url: str
    digest_start: str


def find_hub_weights(name: str) -> HubWeights:
    """Find weights by torchvision's name of them, or of their network: ``vgg16``, ``resnet50``, ``fcn_resnet50``.

    Raises
    ------
    ModelError
        If there are none of that name.
    """
    from torchvision import models  # noqa: PLC0415  # half a second, for those who ask for weights only

    try:
        weights = models.get_weight(name) if "." in name else models.get_model_weights(name).DEFAULT
    except (KeyError, ValueError, AttributeError) as error:
        msg = (
            f"weights {name!r} are neither a file nor known to torchvision: give the path of a file, "
            "or a name like vgg16 or VGG16_Weights.IMAGENET1K_V1"
        )
        raise ModelError(msg) from error
    digest = _DIGEST.search(weights.url)
    if digest is None:
        msg = f"weights {name!r} lie at {weights.url}, which names no digest: download them yourself, give the file"
        raise ModelError(msg)
    return HubWeights(name=str(weights), url=weights.url, digest_start=digest[1])


def unpack_hub_file(content: bytes, weights: HubWeights) -> dict[str, torch.Tensor]:
    """Give the tensors in a fetched file, whose digest was checked; nothing in it is run.

    Raises
    ------
    ModelError
        If it holds no weights.
    """
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return {str(name): value for name, value in state.items() if isinstance(value, torch.Tensor)}
    except _TROUBLES as error:
        msg = f"{weights.url} holds no weights ({' '.join(str(error).split())[:200]}): give a local file"
        raise ModelError(msg) from error
