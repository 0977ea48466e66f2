"""The minimum mapping unit: small regions take the class of a neighbour, small holes that of the region around them.

The rule
--------
1. A region is small if its area lies below the minimum of its class. In each round, every small region that is
   smaller than all small regions beside it (of two equal ones, that with the later first pixel counts as larger)
   takes the class of the neighbour with which it shares the longest border (of two equal ones, the larger; then that
   with the earlier first pixel). Then adjacent regions of one class are merged and the next round begins, until no
   small region has a neighbour that is not nodata.
2. Then a hole of a region whose area lies below the minimum for holes is filled with the region's class, whatever
   lies in it. Where holes lie within holes, the outermost one is filled (`holes`).

Nodata pixels stay nodata, and no pixel becomes nodata. The final class of a pixel depends on the raster alone,
not on how it is divided into blocks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.components import group_linked
from segflow.segmentation.vectors.sieving.holes import fill_holes
from segflow.segmentation.vectors.sieving.region_graph import BorderGraph, RegionGraph
from segflow.segmentation.vectors.sieving.regions import Regions
from segflow.tiling import NODATA


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Pixels that changed from one class to another.

    Attributes
    ----------
    source, target
        The classes.
    pixels
        Their number.
    area_m2
        Their area [m²].
    """

    source: int
    target: int
    pixels: int
    area_m2: float


def sieve(graph: RegionGraph, *, min_units: NDArray[np.float64], min_hole_units: float) -> NDArray[np.uint8]:
    """Give the final class of each region: (regions,) uint8 array; `min_units` has the minimum of each class."""
    regions = graph.regions
    state = BorderGraph(
        value=regions.value,
        first=regions.first,
        units=regions.units,
        edge=regions.edge,
        pairs=graph.pairs,
        lengths=graph.lengths,
    )
    of_region: NDArray[np.integer] = np.arange(len(regions))
    while True:
        target = _targets(state, min_units)
        moving = np.flatnonzero(target >= 0)
        if not len(moving):
            break
        value = state.value.copy()
        value[moving] = state.value[target[moving]]
        state, into = _merge_equal(state, value)
        of_region = into[of_region]
    value = fill_holes(state, min_hole_units)
    return np.asarray(value[of_region], np.uint8)


def count_moves(regions: Regions, value: NDArray[np.uint8], unit_m2: float) -> tuple[Moved, ...]:
    """Give the pixels that changed their class, by old and new class, in order of classes."""
    changed = np.flatnonzero(regions.value != value)
    key = regions.value[changed].astype(np.int64) * 256 + value[changed]
    known, of_move = np.unique(key, return_inverse=True)
    pixels = np.bincount(of_move, regions.n_px[changed], len(known)).astype(np.int64)
    units = np.bincount(of_move, regions.units[changed], len(known))
    return tuple(
        Moved(source=int(k) // 256, target=int(k) % 256, pixels=int(p), area_m2=float(u) * unit_m2)
        for k, p, u in zip(known, pixels, units, strict=True)
    )


def _merge_equal(state: BorderGraph, value: NDArray[np.uint8]) -> tuple[BorderGraph, NDArray[np.int32]]:
    """Merge adjacent regions that now have one class."""
    one, other = state.pairs[value[state.pairs[:, 0]] == value[state.pairs[:, 1]]].T
    count, into = group_linked(one, other, len(value))
    return state.merge(into, count, value), into


def _targets(state: BorderGraph, least: NDArray[np.float64]) -> NDArray[np.int64]:
    """Give the neighbour whose class each region takes in this round; -1 for regions that keep theirs."""
    small = (state.units < least[state.value]) & (state.value != NODATA)
    rank = np.empty(len(small), np.int64)
    rank[np.lexsort((state.first, state.units))] = np.arange(len(small))
    mine = np.concatenate([state.pairs[:, 0], state.pairs[:, 1]])
    its = np.concatenate([state.pairs[:, 1], state.pairs[:, 0]])
    length = np.concatenate([state.lengths, state.lengths])
    offered = small[mine] & (state.value[its] != NODATA)
    mine, its, length = mine[offered], its[offered], length[offered]
    smaller = small[its] & (rank[its] < rank[mine])
    waits = np.zeros(len(small), bool)
    waits[mine[smaller]] = True
    order = np.lexsort((state.first[its], -state.units[its], -length, mine))
    mine, its = mine[order], its[order]
    best = np.diff(mine, prepend=-1) != 0
    target = np.full(len(small), -1)
    target[mine[best]] = its[best]
    target[waits] = -1
    return target
