"""Logits of labelled scenes: small ones in one pass, large ones in tiles, of which only labelled ones are predicted."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from segflow.segmentation.spec import BandSpec
from segflow.segmentation.training.chips import Sample, normalise
from segflow.tiling import NODATA, Span, Tile, TileGrid, Window

Floats = npt.NDArray[np.float32]

_LARGEST = 2048**2  # px in one pass; the compact U-Net takes 3 GB for them
_CORE = 1024  # px; side of the tiles of a larger scene


def scene_pieces(
    network: nn.Module, samples: Sequence[Sample], *, bands: Sequence[BandSpec], stride: int, margin: int
) -> Iterator[tuple[Floats, Sample]]:
    """Give the logits of scenes piece by piece.

    Parameters
    ----------
    network
        The network; it is put into eval mode.
    samples
        The scenes; of large ones only tiles with a label are predicted.
    bands
        Scaling of the bands.
    stride, margin
        How tiles of large scenes lie [px]; an exact model's answers do not depend on that.

    Yields
    ------
    (classes, height, width) logits of a piece, and the piece of the scene itself.
    """
    for sample in samples:
        for core, logits in tile_logits(network, sample, bands=bands, stride=stride, margin=margin):
            yield logits, _crop(sample, core)


def tile_logits(
    network: nn.Module, sample: Sample, *, bands: Sequence[BandSpec], stride: int, margin: int
) -> Iterator[tuple[Window, Floats]]:
    """Give each core of a scene that has a label, with its (classes, height, width) logits."""
    network.eval()
    for tile in _tiles(sample, stride, margin):
        piece = _crop(sample, tile.core)
        if np.any(piece.labels[piece.valid] != NODATA):
            yield tile.core, _tile_logits(network, sample, bands, tile)


def label_scene(
    network: nn.Module, sample: Sample, *, bands: Sequence[BandSpec], stride: int, margin: int
) -> npt.NDArray[np.uint8]:
    """Give the (height, width) class of every valid pixel of a scene; of a large one, of tiles with a label."""
    found = np.full(sample.labels.shape, NODATA, np.uint8)
    for core, logits in tile_logits(network, sample, bands=bands, stride=stride, margin=margin):
        found[core.slices] = np.where(sample.valid[core.slices], logits.argmax(0), NODATA)
    return found


def labelled_crops(samples: Sequence[Sample], stride: int) -> list[Sample]:
    """Give scenes that fit into one pass as they are, and of larger ones the tiles with labels."""
    crops = [_crop(sample, tile.core) for sample in samples for tile in _tiles(sample, stride, margin=0)]
    return [crop for crop in crops if np.any(crop.labels[crop.valid] != NODATA)]


def _tiles(sample: Sample, stride: int, margin: int) -> list[Tile]:
    height, width = sample.labels.shape
    grid = TileGrid(height=height, width=width, core=-(-_CORE // stride) * stride, margin=margin, stride=stride)
    return [grid.whole()] if height * width <= _LARGEST else list(grid)


def _crop(sample: Sample, window: Window) -> Sample:
    return Sample(
        name=sample.name,
        pixels=sample.pixels[:, *window.slices],
        valid=sample.valid[window.slices],
        labels=sample.labels[window.slices],
    )


def _tile_logits(network: nn.Module, sample: Sample, bands: Sequence[BandSpec], tile: Tile) -> Floats:
    """Predict the read of a tile, padded with invalid pixels beyond the scene, and give the logits of its core."""
    height, width = sample.labels.shape
    inside = tile.read.clip(Window(Span(0, height), Span(0, width)))
    read = _crop(sample, inside)
    missing = [(0, wanted - found) for wanted, found in zip(tile.read.shape, inside.shape, strict=True)]
    inputs = np.pad(normalise(read.pixels, read.valid, bands), ((0, 0), *missing))
    device = next(network.parameters()).device
    with torch.inference_mode():
        logits = network(torch.from_numpy(inputs)[None].to(device))[0]
    kept: Floats = logits[:, *tile.core_in_read.slices].float().cpu().numpy()
    return kept
