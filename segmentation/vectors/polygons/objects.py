"""Complete objects: their statistics, and the place of their corners in the store."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.columns import Columns
from segflow.segmentation.vectors.components import Statistics
from segflow.segmentation.vectors.polygons.packed_corners import PackedCorners, Store, read_corners
from segflow.segmentation.vectors.polygons.rings import StoredRings
from segflow.segmentation.vectors.polygons.tracing import Rings
from segflow.segmentation.vectors.ragged import offsets_of

PORTION = 2**18  # corners that are copied at once


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObjects(Columns):
    """Objects whose corners lie in a store, each as one range of packed corners: its outline, then its holes.

    Attributes
    ----------
    statistics
        Of the n objects.
    first
        (n,) int64 array: the first corner in row-major order; no other object of the class has the same one.
    place, count
        (n,) int64 arrays: place of the packed corners in the store [bytes], and their number.
    """

    statistics: Statistics
    first: PackedCorners
    place: NDArray[np.int64]
    count: NDArray[np.int64]

    @classmethod
    def of(cls, parts: list[Self]) -> Self:
        """Give the objects of all parts, of which there is at least one, by class and first corner."""
        objects = cls.concatenate(parts)
        return objects.take(np.lexsort((objects.first, objects.statistics.value)))


def store_whole(statistics: Statistics, rings: Rings, store: Store) -> StoredObjects:
    """Put the complete objects of one block into the store."""
    place = store.append(rings.packed)
    firsts, ends = _runs(rings.owner, len(statistics))
    starts = rings.offsets[firsts]
    return StoredObjects(
        statistics=statistics,
        first=rings.first[firsts],
        place=place + starts * 8,
        count=rings.offsets[ends] - starts,
    )


def gather_rings(statistics: Statistics, rings: StoredRings, store: Store) -> StoredObjects:
    """Arrange the rings of each object one after the other in the store."""
    rings = rings.take(np.lexsort((rings.first, rings.owner)))
    firsts, ends = _runs(rings.owner, len(statistics))
    offsets = offsets_of(rings.count)
    place = rings.place[firsts]
    several = ends - firsts > 1  # a single ring stays where it is
    moved = np.repeat(several, ends - firsts)
    target = _copy(rings.take(moved), store)
    place[several] = target + offsets_of((offsets[ends] - offsets[firsts])[several])[:-1] * 8
    return StoredObjects(
        statistics=statistics, first=rings.first[firsts], place=place, count=offsets[ends] - offsets[firsts]
    )


def _runs(owner: NDArray[np.int64], count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give where the rings of each owner begin and end; every owner has at least one."""
    numbers = np.arange(count)
    return np.searchsorted(owner, numbers), np.searchsorted(owner, numbers, side="right")


def _copy(rings: StoredRings, store: Store) -> int:
    """Copy rings to the end of the store, one after the other, and give the place of the first."""
    start = -1
    cuts = np.flatnonzero(np.diff(np.cumsum(rings.count) // PORTION)) + 1
    long = np.flatnonzero(rings.count > PORTION)  # each of these is copied by itself
    for some in np.split(np.arange(len(rings)), np.unique(np.concatenate([cuts, long, long + 1]))):
        for place, count in _slices(rings.take(some)):
            at = store.append(read_corners(store, place, count))
            start = at if start < 0 else start
    return max(start, 0)


def _slices(rings: StoredRings) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Give ranges (places, counts) to copy at once; a single long ring is divided into several."""
    if len(rings) != 1:
        return [(rings.place, rings.count)]
    begin = np.arange(0, rings.count[0], PORTION)
    count = np.minimum(PORTION, rings.count[0] - begin)
    return [(rings.place + b * 8, count[i : i + 1]) for i, b in enumerate(begin)]
