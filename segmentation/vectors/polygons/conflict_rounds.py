"""Which pieces of boundaries stay exact so that shaped ones nowhere cross: found in rounds, in bounded memory.

In each round all boundaries are shaped, what they leave behind is laid out band by band in a store, and each band
is searched. Pieces in conflict stay exact from then on; exact ones are in conflict with no other exact one, so the
rounds end.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.polygons.arcs import Shaping
from segflow.segmentation.vectors.polygons.conflicts import SEGMENT, Traces, find_conflicts, find_jumps
from segflow.segmentation.vectors.polygons.packed_corners import Readable, Store
from segflow.segmentation.vectors.ragged import ends_of, spread

Ranges = list[tuple[int, int]]  # place and size of runs of bytes


@dataclass(slots=True)
class Band:
    """Where in a store a band's segments and sweeps lie."""

    segments: Ranges
    points: Ranges
    sizes: Ranges
    pieces: Ranges


def settle(
    shaping: Shaping,
    store: Store,
    trace: Callable[[Shaping], Iterable[Traces]],
    search: Callable[[list[Band]], Iterable[NDArray[np.int64]]],
) -> Shaping:
    """Find the pieces that must stay exact.

    Parameters
    ----------
    shaping
        How boundaries are to change.
    store
        Where traces wait.
    trace
        Gives the traces of all objects of the scene, of nodata too, under a shaping.
    search
        Gives the pieces in conflict in each band.
    """
    while True:
        bands: dict[int, Band] = {}
        for traces in trace(shaping):
            _lay_out(traces, store, bands)
        found = [pieces for pieces in search([bands[number] for number in sorted(bands)]) if len(pieces)]
        exact = np.unique(np.concatenate([shaping.exact, *found]))
        if len(exact) == len(shaping.exact):
            return shaping
        shaping = replace(shaping, exact=exact)


def search_band(store: Readable, band: Band) -> NDArray[np.int64]:
    """Give the pieces in conflict in one band."""
    segments = _read(store, band.segments).view(SEGMENT)
    sizes = _read(store, band.sizes).view(np.int64)
    points = _read(store, band.points).view(np.float64).reshape(-1, 2)
    jumps = find_jumps(segments, points, ends_of(sizes), _read(store, band.pieces).view(np.int64))
    return np.union1d(find_conflicts(segments), jumps)


def _lay_out(traces: Traces, store: Store, bands: dict[int, Band]) -> None:
    sizes = np.diff(traces.offsets)
    for number, which in _by_band(traces.bands):
        band = bands.setdefault(number, Band([], [], [], []))
        _append(store, band.segments, traces.segments[which])
    for number, which in _by_band(traces.sweep_bands):
        band = bands.setdefault(number, Band([], [], [], []))
        _append(store, band.points, traces.swept[spread(traces.offsets[which], sizes[which])])
        _append(store, band.sizes, sizes[which])
        _append(store, band.pieces, traces.sweeping[which])


def _by_band(spans: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Give the items that meet each band."""
    if not len(spans):
        return
    counts = spans[:, 1] - spans[:, 0] + 1
    item = np.repeat(np.arange(len(spans)), counts)
    band = spread(spans[:, 0], counts)
    order = np.argsort(band, kind="stable")
    cuts = np.flatnonzero(np.diff(band[order])) + 1
    for some in np.split(order, cuts):
        yield int(band[some[0]]), item[some]


def _append(store: Store, ranges: Ranges, values: NDArray[np.generic]) -> None:
    ranges.append((store.append(np.ascontiguousarray(values)), values.nbytes))


def _read(store: Readable, ranges: Ranges) -> NDArray[np.uint8]:
    table = np.array(ranges, np.int64).reshape(-1, 2)
    return store.read_many(table[:, 0], table[:, 1])
