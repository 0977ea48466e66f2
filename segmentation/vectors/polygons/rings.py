"""Rings that start at their first corner in row-major order, so that they do not depend on the blocks."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.columns import Columns
from segflow.segmentation.vectors.polygons.packed_corners import START, PackedCorners, without_flags
from segflow.segmentation.vectors.ragged import index_ranges, offsets_of, portions


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRings(Columns):
    """Closed rings that lie in a store.

    Attributes
    ----------
    owner
        (n,) int64 array: number of the object.
    first
        (n,) int64 array: the first corner, packed.
    place, count
        (n,) int64 arrays: place of the ring's packed corners in the store [bytes], and their number.
    """

    owner: NDArray[np.int64]
    first: PackedCorners
    place: NDArray[np.int64]
    count: NDArray[np.int64]

    @classmethod
    def of(cls, parts: list[Self]) -> Self:
        """Give the rings of all parts, in their order; no rings if there are no parts."""
        none = np.zeros(0, np.int64)
        return cls.concatenate([cls(owner=none, first=none, place=none, count=none), *parts])


def from_first_corners(packed: PackedCorners, offsets: NDArray[np.int64]) -> tuple[PackedCorners, PackedCorners]:
    """Rotate rings so that each starts at its first corner in row-major order; a ring has that corner only once.

    Returns
    -------
    The packed corners, of which only the first of each ring has the flag START, and the (rings,) first corners.
    """
    turned, first = np.empty_like(packed), np.empty(len(offsets) - 1, np.int64)
    for some in portions(offsets):
        begin, end = offsets[some.start], offsets[some.stop]
        local = offsets[some.start : some.stop + 1] - begin
        part, lengths = packed[begin:end] & ~START, np.diff(local)
        corners = without_flags(part)
        lowest = np.minimum.reduceat(corners, local[:-1])
        at = np.flatnonzero(corners == np.repeat(lowest, lengths))
        place = index_ranges(at - local[:-1], lengths) % np.repeat(lengths, lengths) + np.repeat(local[:-1], lengths)
        part = part[place]
        part[local[:-1]] |= START
        turned[begin:end], first[some] = part, lowest
    return turned, first


def start_at_first_corner(part: PackedCorners) -> tuple[PackedCorners, PackedCorners]:
    """Divide the chain that holds the first corner of a ring: give the part before that corner and the rest."""
    cut = int(np.argmin(without_flags(part)))
    start = part[cut:].copy()
    start[0] |= START
    return part[:cut], start


def sorted_rings(
    packed: PackedCorners, offsets: NDArray[np.int64], first: PackedCorners, owner: NDArray[np.int64]
) -> tuple[PackedCorners, NDArray[np.int64], NDArray[np.intp]]:
    """Sort rings by owner and first corner, so that the outline of an object comes before its holes.

    Returns
    -------
    The packed corners, the offsets of the rings, and the order: indices into the given rings.
    """
    order = np.lexsort((first, owner))
    lengths = np.diff(offsets)[order]
    return packed[index_ranges(offsets[:-1][order], lengths)], offsets_of(lengths), order
