"""The minimum mapping unit: small regions go to their neighbours, small holes to what surrounds them.

The rule
--------
1. A region is small if its area lies below the minimum. In each round, every small region that is smaller than
   all small regions beside it (of equal ones that with the later first pixel counts as larger) takes the class of
   the neighbour with which it shares the longest border (of equal ones the larger, then that with the earlier
   first pixel). Then regions of one class that meet are one, and the next round begins, until no small region
   has a neighbour.
2. Then a hole of a region whose area lies below the minimum for holes is filled with the region's class, whatever
   lies in it; of holes within holes the outermost decides (`holes`).

Nodata neither takes nor gives. Which class a pixel has in the end depends on the raster alone, not on blocks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.components import join
from segflow.segmentation.vectors.sieving.holes import fill_holes
from segflow.segmentation.vectors.sieving.regions import RegionGraph, Regions, count_pairs
from segflow.tiling import NODATA


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Pixels that went from one class to another.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Regions and borders while they change; as in `RegionGraph`."""

    value: NDArray[np.uint8]
    first: NDArray[np.int64]
    units: NDArray[np.int64]
    edge: NDArray[np.bool_]
    pairs: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def merge(self, into: NDArray[np.integer], count: int, value: NDArray[np.uint8]) -> "Graph":
        """Join the regions that have the same number in `into`; `value` holds their classes."""
        first, merged = np.full(count, np.iinfo(np.int64).max), np.zeros(count, np.uint8)
        np.minimum.at(first, into, self.first)
        merged[into] = value
        edge = np.zeros(count, bool)
        edge[into[self.edge]] = True
        pairs = into[self.pairs]
        apart = pairs[:, 0] != pairs[:, 1]
        pairs, lengths = count_pairs(pairs[apart, 0], pairs[apart, 1], self.lengths[apart])
        units = np.bincount(into, self.units, count).astype(np.int64)
        return Graph(value=merged, first=first, units=units, edge=edge, pairs=pairs, lengths=lengths)


def sieve(graph: RegionGraph, *, min_units: float, min_hole_units: float) -> NDArray[np.uint8]:
    """Give the class that each region has in the end: (regions,) uint8 array."""
    regions = graph.regions
    state = Graph(
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
        state, into = _unite(state, value)
        of_region = into[of_region]
    value = fill_holes(state, min_hole_units)
    return np.asarray(value[of_region], np.uint8)


def moved(regions: Regions, value: NDArray[np.uint8], unit_m2: float) -> tuple[Moved, ...]:
    """Tell what went from class to class, in order of classes."""
    changed = np.flatnonzero(regions.value != value)
    key = regions.value[changed].astype(np.int64) * 256 + value[changed]
    known, of_move = np.unique(key, return_inverse=True)
    pixels = np.bincount(of_move, regions.n_px[changed], len(known)).astype(np.int64)
    units = np.bincount(of_move, regions.units[changed], len(known))
    return tuple(
        Moved(source=int(k) // 256, target=int(k) % 256, pixels=int(p), area_m2=float(u) * unit_m2)
        for k, p, u in zip(known, pixels, units, strict=True)
    )


def _unite(state: Graph, value: NDArray[np.uint8]) -> tuple[Graph, NDArray[np.int32]]:
    """Join regions that meet and have one class now; nodata's stay as they are."""
    one, other = state.pairs[value[state.pairs[:, 0]] == value[state.pairs[:, 1]]].T
    count, into = join(one, other, len(value))
    return state.merge(into, count, value), into


def _targets(state: Graph, least: float) -> NDArray[np.int64]:
    """Give the neighbour that takes each region in this round; -1 for those that stay."""
    small = (state.units < least) & (state.value != NODATA)
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
