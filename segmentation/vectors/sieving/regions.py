"""Regions of one block of a class raster, and the borders between them.

Regions of all classes count, those of nodata too. Borders are counted in pixel edges and areas in whole units, so
that sums do not depend on the order of their terms.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.blocks import Block
from segflow.segmentation.vectors.columns import Columns
from segflow.segmentation.vectors.components import Sides, find_components
from segflow.segmentation.vectors.sieving.area_units import AreaUnits
from segflow.tiling import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions(Columns):
    """Regions of a raster or of a part of it; (n,) arrays.

    Attributes
    ----------
    value
        uint8: the class.
    first
        int64: row-major index in the scene of the first pixel.
    n_px
        int64: number of pixels.
    units
        int64: area, see `AreaUnits`.
    edge
        bool: a pixel lies on the scene's edge.
    """

    value: NDArray[np.uint8]
    first: NDArray[np.int64]
    n_px: NDArray[np.int64]
    units: NDArray[np.int64]
    edge: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionBlock:
    """The regions of one block.

    Attributes
    ----------
    window, inner
        Where it lies, and beyond which sides other blocks lie.
    regions
        Its regions.
    pairs, lengths
        (m, 2) int32 and (m,) int64 arrays: regions that meet and in how many pixel edges, the lower number first.
    top, left, bottom, right
        int32 arrays: the regions along its sides.
    """

    window: Window
    inner: Sides
    regions: Regions
    pairs: NDArray[np.int32]
    lengths: NDArray[np.int64]
    top: NDArray[np.int32]
    left: NDArray[np.int32]
    bottom: NDArray[np.int32]
    right: NDArray[np.int32]


def find_regions(block: Block, *, scene: Window, areas: AreaUnits) -> RegionBlock:
    """Give the regions of a block."""
    inner = Sides.of(block.window, scene)
    found = find_components(block.labels, block.confidence, inner)
    ids, count = found.ids, len(found.statistics)
    first = np.empty(count, np.int64)
    flat = ids.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=-1))[
        ::-1
    ]  # reversed, so that the first pixel of a region is written last
    first[flat[starts]] = starts
    row, col = np.divmod(first, len(block.window.cols))
    regions = Regions(
        value=found.statistics.value,
        first=(row + block.window.rows.start) * len(scene.cols) + col + block.window.cols.start,
        n_px=found.statistics.n_px,
        units=np.bincount(flat, areas.of(block.window).ravel(), count).astype(np.int64),
        edge=found.statistics.touches_edge,
    )
    beside = [(ids[:, :-1], ids[:, 1:]), (ids[:-1], ids[1:])]
    pairs, lengths = count_pairs(*(np.concatenate([pair[i][pair[0] != pair[1]] for pair in beside]) for i in (0, 1)))
    return RegionBlock(
        window=block.window,
        inner=inner,
        regions=regions,
        pairs=pairs.astype(np.int32),
        lengths=lengths,
        top=ids[0].copy(),
        left=ids[:, 0].copy(),
        bottom=ids[-1].copy(),
        right=ids[:, -1].copy(),
    )


def count_pairs(
    one: NDArray[np.integer], other: NDArray[np.integer], lengths: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give each pair once, the lower number first, and how often it occurs or the sum of its lengths."""
    key = (np.minimum(one, other).astype(np.int64) << 32) | np.maximum(one, other)
    known, of_pair, counts = np.unique(key, return_inverse=True, return_counts=True)
    pairs = np.stack([known >> 32, known & 0xFFFFFFFF], axis=1)
    if lengths is None:
        return pairs, counts
    return pairs, np.bincount(of_pair, lengths, len(known)).astype(np.int64)
