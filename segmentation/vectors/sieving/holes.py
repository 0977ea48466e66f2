"""Holes of regions: the regions that one region separates from the rest of the scene.

A region has a hole where removing it leaves other regions without a connection to the scene's edge: it is a cut
vertex of the graph of borders. A hole smaller than the minimum consists of regions that are smaller than it, so only
these small regions are searched. Each connected group of small regions borders on one or more others: larger regions,
nodata, or regions on the scene's edge. These others count as one node, the rest of the scene. A group that borders on
a single region is a hole of it. Holes of regions inside a group are found by a depth-first search that starts from the
rest of the scene. Nodata is never filled, and neither is a hole that contains nodata.

References
----------
Hopcroft and Tarjan, Algorithm 447: efficient algorithms for graph manipulation (1973): cut vertices by low points.
"""

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.components import group_linked
from segflow.segmentation.vectors.sieving.region_graph import BorderGraph
from segflow.tiling import NODATA

REST = -1  # stands for the rest of the scene


def fill_holes(state: BorderGraph, least: float) -> NDArray[np.uint8]:
    """Give the classes of regions after holes smaller than `least` units are filled."""
    value = state.value.copy()
    small = (state.units < least) & (value != NODATA) & ~state.edge
    one, other = state.pairs.T
    inside = small[one] & small[other]
    count, group = group_linked(one[inside], other[inside], len(small))
    crossing = small[one] != small[other]
    member = np.where(small[one], one, other)[crossing]
    outer = np.where(small[one], other, one)[crossing]
    least_outer, largest_outer = np.full(count, len(small)), np.full(count, -1)
    np.minimum.at(least_outer, group[member], outer)
    np.maximum.at(largest_outer, group[member], outer)
    total = np.bincount(group[small], state.units[small], count)
    filled = (least_outer == largest_outer) & (total < least)
    filled[filled] = value[least_outer[filled]] != NODATA
    whole = small & filled[group]
    value[whole] = state.value[least_outer[group[whole]]]
    searched = small & ~filled[group]
    links = inside & searched[one]
    _fill_within_groups(state, value, np.flatnonzero(searched), state.pairs[links], np.unique(member), least)
    return value


def _fill_within_groups(
    state: BorderGraph,
    value: NDArray[np.uint8],
    members: NDArray[np.intp],
    links: NDArray[np.int64],
    bordering: NDArray[np.int64],
    least: float,
) -> None:
    """Fill the holes of regions that are small themselves.

    Parameters
    ----------
    state, value
        The graph, and the classes of its regions, in which holes are filled.
    members, links
        The small regions to search, and (n, 2) array: those of them that border on each other.
    bordering
        Small regions that border on the rest of the scene.
    least
        The smallest area of a hole that stays [units].
    """
    beside: dict[int, list[int]] = {}
    for one, other in links.tolist():
        beside.setdefault(one, []).append(other)
        beside.setdefault(other, []).append(one)
    at_rest = set(bordering.tolist())
    seen: dict[int, int] = {}  # when each region was reached
    for start in members.tolist():
        if start in at_rest and start in beside and start not in seen:
            for owner, hole in _find_holes(start, beside, at_rest, seen):
                if state.units[hole].sum() < least:
                    value[hole] = value[owner]


def _find_holes(
    start: int, beside: dict[int, list[int]], at_rest: set[int], seen: dict[int, int]
) -> list[tuple[int, list[int]]]:
    """Give the regions that separate others from the rest of the scene, with those others; inner holes come first.

    The depth-first search starts from a region that borders on the rest of the scene.
    """
    order = [start]
    seen[start] = 1
    low = {start: 0}
    begun = {start: 0}  # index of each region in `order`
    path = [(start, REST, iter(beside[start]))]
    found = []
    clock = 1
    while path:
        region, before, neighbours = path[-1]
        following = next(neighbours, None)
        if following is None:
            path.pop()
            if before != REST:
                low[before] = min(low[before], low[region])
                if low[region] >= seen[before]:
                    found.append((before, order[begun[region] :]))
        elif following not in seen:
            clock += 1
            seen[following] = clock
            low[following] = 0 if following in at_rest else clock
            begun[following] = len(order)
            order.append(following)
            path.append((following, region, iter(beside[following])))
        elif following != before:
            low[region] = min(low[region], seen[following])
    return found
