"""Pieces of boundaries, rings and chains, as one block knows them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.polygons.packed_corners import Words
from segflow.segmentation.vectors.ragged import ends_of, spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """Pieces of boundaries, each a list of corners with its owner on the right-hand side.

    Attributes
    ----------
    words
        (n,) int64 array: the corners where the edges of all pieces start, in the scene.
    offsets
        (pieces + 1,) int64 array: piece i has the words ``offsets[i]:offsets[i + 1]``.
    owner
        (pieces,) int64 array: number of the object.
    closed
        (pieces,) bool array: True for rings, False for chains.
    end
        (pieces,) int64 array: the corner where the last edge of each piece ends.
    leaves, arrives
        (pieces,) int8 arrays: directions of the first and last edges.
    """

    words: Words
    offsets: NDArray[np.int64]
    owner: NDArray[np.int64]
    closed: NDArray[np.bool_]
    end: Words
    leaves: NDArray[np.int8]
    arrives: NDArray[np.int8]

    def __len__(self) -> int:
        """Give the number of pieces."""
        return len(self.owner)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(pieces,) int64 array: number of corners of each piece."""
        return np.diff(self.offsets)

    def take(self, which: NDArray[np.intp], owner: NDArray[np.int64]) -> "Pieces":
        """Give the pieces at the indices `which`, with their new owners."""
        lengths = self.lengths[which]
        return Pieces(
            words=self.words[spread(self.offsets[which], lengths)],
            offsets=ends_of(lengths),
            owner=owner,
            closed=self.closed[which],
            end=self.end[which],
            leaves=self.leaves[which],
            arrives=self.arrives[which],
        )
