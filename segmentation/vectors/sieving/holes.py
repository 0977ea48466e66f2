"""Holes of regions: what a region cuts off from the rest of the scene.

A region has a hole where its removal leaves other regions without a way to the scene's edge, which is what a
cut vertex is in the graph of borders. All regions in a hole below the minimum are below it themselves, so it is
enough to look among these: each of their connected groups hangs on one or more others (larger regions, nodata,
regions on the scene's edge), which count as one, the rest of the scene. A group that hangs on one region alone is
its hole; holes of regions inside a group are found by a depth-first search from the rest of the scene.
Nodata is never filled, and neither is what surrounds it.

References
----------
Hopcroft and Tarjan, Algorithm 447: efficient algorithms for graph manipulation (1973): cut vertices by low points.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.components import join
from segflow.tiling import NODATA

if TYPE_CHECKING:
    from segflow.segmentation.vectors.sieving.sieve import Graph

REST = -1  # of the scene


def fill_holes(state: "Graph", least: float) -> NDArray[np.uint8]:
    """Give the classes of regions once holes below `least` units are filled."""
    value = state.value.copy()
    small = (state.units < least) & (value != NODATA) & ~state.edge
    one, other = state.pairs.T
    inside = small[one] & small[other]
    count, group = join(one[inside], other[inside], len(small))
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
    _search(state, value, np.flatnonzero(searched), state.pairs[links], np.unique(member), least)
    return value


def _search(  # one argument for each thing the search knows
    state: "Graph",
    value: NDArray[np.uint8],
    members: NDArray[np.intp],
    links: NDArray[np.int64],
    hanging: NDArray[np.int64],
    least: float,
) -> None:
    """Fill the holes of regions that are small themselves."""
    beside: dict[int, list[int]] = {}
    for one, other in links.tolist():
        beside.setdefault(one, []).append(other)
        beside.setdefault(other, []).append(one)
    hangs = set(hanging.tolist())
    seen: dict[int, int] = {}  # when each region was reached
    for start in members.tolist():
        if start in hangs and start in beside and start not in seen:
            for owner, hole in _cut_off(start, beside, hangs, seen):
                if state.units[hole].sum() < least:
                    value[hole] = value[owner]


def _cut_off(
    start: int, beside: dict[int, list[int]], hangs: set[int], seen: dict[int, int]
) -> list[tuple[int, list[int]]]:
    """Search from a region that hangs on the rest: give regions and what each cuts off, inner ones first."""
    order = [start]
    seen[start] = 1
    low = {start: 0}
    begun = {start: 0}  # where in `order` each region stands
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
            low[following] = 0 if following in hangs else clock
            begun[following] = len(order)
            order.append(following)
            path.append((following, region, iter(beside[following])))
        elif following != before:
            low[region] = min(low[region], seen[following])
    return found
