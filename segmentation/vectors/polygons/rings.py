"""Rings in canonical form: from their first corner in row-major order, whatever the blocks."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.polygons.packed_corners import START, Words, plain
from segflow.segmentation.vectors.ragged import ends_of, portions, spread


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRings:
    """Closed rings that lie in a store.

    Attributes
    ----------
    owner
        (n,) int64 array: number of the object.
    first
        (n,) int64 array: the first corner's word.
    place, count
        (n,) int64 arrays: where the ring's words lie [bytes], and how many they are.
    """

    owner: NDArray[np.int64]
    first: Words
    place: NDArray[np.int64]
    count: NDArray[np.int64]

    def __len__(self) -> int:
        """Give the number of rings."""
        return len(self.owner)

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """Give the rings of an index or a mask."""
        return type(self)(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    @classmethod
    def of(cls, parts: list[Self]) -> Self:
        """Give the rings of all parts; none of none."""
        empty = [np.zeros(0, np.int64)]
        return cls(**{f.name: np.concatenate(empty + [getattr(p, f.name) for p in parts]) for f in fields(cls)})


def from_first_corners(words: Words, offsets: NDArray[np.int64]) -> tuple[Words, Words]:
    """Turn rings so that each starts with its first corner in row-major order, which it meets once.

    Returns
    -------
    The words, with the mark of a start on the first ones alone, and the (rings,) first corners.
    """
    turned, first = np.empty_like(words), np.empty(len(offsets) - 1, np.int64)
    for some in portions(offsets):
        begin, end = offsets[some.start], offsets[some.stop]
        local = offsets[some.start : some.stop + 1] - begin
        part, lengths = words[begin:end] & ~START, np.diff(local)
        corners = plain(part)
        lowest = np.minimum.reduceat(corners, local[:-1])
        at = np.flatnonzero(corners == np.repeat(lowest, lengths))
        place = spread(at - local[:-1], lengths) % np.repeat(lengths, lengths) + np.repeat(local[:-1], lengths)
        part = part[place]
        part[local[:-1]] |= START
        turned[begin:end], first[some] = part, lowest
    return turned, first


def turn_long_ring(piece: Words) -> tuple[Words, Words]:
    """Cut the piece that holds a ring's first corner: give what comes last in the ring, and what comes first."""
    cut = int(np.argmin(plain(piece)))
    start = piece[cut:].copy()
    start[0] |= START
    return piece[:cut], start


def sorted_rings(
    words: Words, offsets: NDArray[np.int64], first: Words, owner: NDArray[np.int64]
) -> tuple[Words, NDArray[np.int64], NDArray[np.intp]]:
    """Put rings in the order of their owners and first corners: an object's outline comes before its holes.

    Returns
    -------
    The words, their offsets by ring, and the order.
    """
    order = np.lexsort((first, owner))
    lengths = np.diff(offsets)[order]
    return words[spread(offsets[:-1][order], lengths)], ends_of(lengths), order
