"""Objects whose rings are complete: what is known of each, and where its corners lie."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.components import Statistics
from segflow.segmentation.vectors.polygons.packed_corners import Store, Words, read_words
from segflow.segmentation.vectors.polygons.rings import StoredRings
from segflow.segmentation.vectors.polygons.tracing import Rings
from segflow.segmentation.vectors.ragged import ends_of

PORTION = 2**18  # words that are moved at once


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObjects:
    """Objects whose corners lie in a store, each as one run of words: its outline, then its holes.

    Attributes
    ----------
    statistics
        Of the n objects.
    first
        (n,) int64 array: the word of the first corner in row-major order, which no other object of the class has.
    place, count
        (n,) int64 arrays: where the words lie [bytes], and how many they are.
    """

    statistics: Statistics
    first: Words
    place: NDArray[np.int64]
    count: NDArray[np.int64]

    def __len__(self) -> int:
        """Give the number of objects."""
        return len(self.first)

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """Give the objects of an index or a mask."""
        return type(self)(
            statistics=self.statistics.take(which),
            first=self.first[which],
            place=self.place[which],
            count=self.count[which],
        )

    @classmethod
    def of(cls, parts: list[Self]) -> Self:
        """Give the objects of all parts, of which there is at least one, by class and first corner."""
        columns = {
            f.name: np.concatenate([getattr(part, f.name) for part in parts])
            for f in fields(cls)
            if f.name != "statistics"
        }
        objects = cls(statistics=Statistics.of([part.statistics for part in parts]), **columns)
        return objects.take(np.lexsort((objects.first, objects.statistics.value)))


def store_whole(statistics: Statistics, rings: Rings, store: Store) -> StoredObjects:
    """Put objects that no other block continues into the store."""
    place = store.append(rings.words)
    firsts, ends = _runs(rings.owner, len(statistics))
    starts = rings.offsets[firsts]
    return StoredObjects(
        statistics=statistics,
        first=rings.first[firsts],
        place=place + starts * 8,
        count=rings.offsets[ends] - starts,
    )


def gather_rings(statistics: Statistics, rings: StoredRings, store: Store) -> StoredObjects:
    """Put the rings of each object one after the other in the store."""
    rings = rings.take(np.lexsort((rings.first, rings.owner)))
    firsts, ends = _runs(rings.owner, len(statistics))
    offsets = ends_of(rings.count)
    place = rings.place[firsts]
    several = ends - firsts > 1  # a single ring stays where it is
    moved = np.repeat(several, ends - firsts)
    target = _copy(rings.take(moved), store)
    place[several] = target + ends_of((offsets[ends] - offsets[firsts])[several])[:-1] * 8
    return StoredObjects(
        statistics=statistics, first=rings.first[firsts], place=place, count=offsets[ends] - offsets[firsts]
    )


def _runs(owner: NDArray[np.int64], count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give where each owner's rings begin and end; every owner has one."""
    numbers = np.arange(count)
    return np.searchsorted(owner, numbers), np.searchsorted(owner, numbers, side="right")


def _copy(rings: StoredRings, store: Store) -> int:
    """Copy rings to the end of the store, one after the other, and give the place of the first."""
    start = -1
    cuts = np.flatnonzero(np.diff(np.cumsum(rings.count) // PORTION)) + 1
    long = np.flatnonzero(rings.count > PORTION)  # these stand alone
    for some in np.split(np.arange(len(rings)), np.unique(np.concatenate([cuts, long, long + 1]))):
        for place, count in _slices(rings.take(some)):
            at = store.append(read_words(store, place, count))
            start = at if start < 0 else start
    return max(start, 0)


def _slices(rings: StoredRings) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Give rings to read at once; a ring that is too long for it in slices."""
    if len(rings) != 1:
        return [(rings.place, rings.count)]
    begin = np.arange(0, rings.count[0], PORTION)
    count = np.minimum(PORTION, rings.count[0] - begin)
    return [(rings.place + b * 8, count[i : i + 1]) for i, b in enumerate(begin)]
