"""Weights to start from: a local file, or a name of torchvision's weights, which are downloaded."""

import os
from pathlib import Path

from segflow.io.models.checkpoints import read_checkpoint
from segflow.io.storage.downloads import PATIENCE, fetch_file
from segflow.segmentation.networks.published.hub import find_hub_weights, unpack_hub_file
from segflow.segmentation.networks.published.pretrained import Loaded, load_pretrained
from segflow.segmentation.networks.published.state_dicts import unpack_checkpoint
from segflow.segmentation.networks.registry import Network

_CACHE = "segflow/weights"  # below the user's cache


def start_from(network: Network, weights: str, *, patience: float = PATIENCE) -> Loaded:
    """Load the weights that fit into a network, and report which did.

    Parameters
    ----------
    network
        The network, with random weights; only those that fit are replaced.
    weights
        Path of a .pt, .pth, .ckpt or .safetensors, or torchvision's name of weights or of a network.
    patience
        How long to wait for a connection [s].

    Raises
    ------
    ModelError
        If there is no such file or name, nothing answers in time, or no weight fits.
    """
    if Path(weights).is_file():
        checkpoint = unpack_checkpoint(read_checkpoint(weights), source=weights)
        return load_pretrained(network, checkpoint.arrays)
    hub = find_hub_weights(weights)
    content = fetch_file(hub.url, _cache(), digest_start=hub.digest_start, patience=patience)
    return load_pretrained(network, unpack_hub_file(content, hub))


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / _CACHE
