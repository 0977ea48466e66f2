"""Conflict rounds: find the sections that must stay exact so that shaped boundaries do not cross, in bounded memory.

In each round all boundaries are shaped, their edges are written to a store band by band, and each band is searched for
conflicts. Sections in conflict stay exact from then on. Exact sections are never in conflict with each other, so the
rounds come to an end.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.polygons.arcs import Shaping
from segflow.segmentation.vectors.polygons.conflicts import SEGMENT, ShapedEdges, find_conflicts, find_jumps
from segflow.segmentation.vectors.polygons.packed_corners import Store, StoreReader
from segflow.segmentation.vectors.ragged import index_ranges, offsets_of

Ranges = list[tuple[int, int]]  # place and size of ranges of bytes


@dataclass(slots=True)
class Band:
    """Where in a store a band lies: its edges, and of its swept areas the points, their numbers and the sections."""

    segments: Ranges
    points: Ranges
    sizes: Ranges
    sections: Ranges


def run_conflict_rounds(
    shaping: Shaping,
    store: Store,
    list_edges: Callable[[Shaping], Iterable[ShapedEdges]],
    search: Callable[[list[Band]], Iterable[NDArray[np.int64]]],
) -> Shaping:
    """Give a shaping under which no boundaries are in conflict: with the sections that must stay exact.

    Parameters
    ----------
    shaping
        How boundaries are to be simplified and smoothed.
    store
        Keeps the edges, band by band.
    list_edges
        Gives the edges of all objects of the scene, and of nodata, under a shaping.
    search
        Gives the sections in conflict in each band.
    """
    while True:
        bands: dict[int, Band] = {}
        for edges in list_edges(shaping):
            _store_by_band(edges, store, bands)
        found = [sections for sections in search([bands[number] for number in sorted(bands)]) if len(sections)]
        exact = np.unique(np.concatenate([shaping.exact, *found]))
        if len(exact) == len(shaping.exact):
            return shaping
        shaping = replace(shaping, exact=exact)


def search_band(store: StoreReader, band: Band) -> NDArray[np.int64]:
    """Give the sections in conflict in one band."""
    segments = _read(store, band.segments).view(SEGMENT)
    sizes = _read(store, band.sizes).view(np.int64)
    points = _read(store, band.points).view(np.float64).reshape(-1, 2)
    jumps = find_jumps(segments, points, offsets_of(sizes), _read(store, band.sections).view(np.int64))
    return np.union1d(find_conflicts(segments), jumps)


def _store_by_band(edges: ShapedEdges, store: Store, bands: dict[int, Band]) -> None:
    sizes = np.diff(edges.offsets)
    for number, which in _by_band(edges.bands):
        band = bands.setdefault(number, Band([], [], [], []))
        _append(store, band.segments, edges.segments[which])
    for number, which in _by_band(edges.swept_bands):
        band = bands.setdefault(number, Band([], [], [], []))
        _append(store, band.points, edges.swept[index_ranges(edges.offsets[which], sizes[which])])
        _append(store, band.sizes, sizes[which])
        _append(store, band.sections, edges.swept_section[which])


def _by_band(spans: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Give each band with the indices of the spans that meet it."""
    if not len(spans):
        return
    counts = spans[:, 1] - spans[:, 0] + 1
    item = np.repeat(np.arange(len(spans)), counts)
    band = index_ranges(spans[:, 0], counts)
    order = np.argsort(band, kind="stable")
    cuts = np.flatnonzero(np.diff(band[order])) + 1
    for some in np.split(order, cuts):
        yield int(band[some[0]]), item[some]


def _append(store: Store, ranges: Ranges, values: NDArray[np.generic]) -> None:
    ranges.append((store.append(np.ascontiguousarray(values)), values.nbytes))


def _read(store: StoreReader, ranges: Ranges) -> NDArray[np.uint8]:
    table = np.array(ranges, np.int64).reshape(-1, 2)
    return store.read_many(table[:, 0], table[:, 1])
