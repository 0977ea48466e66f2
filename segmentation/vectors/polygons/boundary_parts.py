"""Parts of boundaries that lie in one block: closed rings, and chains that other blocks continue."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.polygons.packed_corners import PackedCorners
from segflow.segmentation.vectors.ragged import index_ranges, offsets_of


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryParts:
    """Parts of boundaries, each a list of corners with its owner on the right-hand side.

    Attributes
    ----------
    packed
        (n,) int64 array: corners of the scene at which the edges of all parts start.
    offsets
        (parts + 1,) int64 array: part i has the corners ``packed[offsets[i]:offsets[i + 1]]``.
    owner
        (parts,) int64 array: number of the object.
    closed
        (parts,) bool array: True for rings, False for chains.
    end
        (parts,) int64 array: the corner at which the last edge of each part ends.
    leaves, arrives
        (parts,) int8 arrays: directions of the first and last edges.
    """

    packed: PackedCorners
    offsets: NDArray[np.int64]
    owner: NDArray[np.int64]
    closed: NDArray[np.bool_]
    end: PackedCorners
    leaves: NDArray[np.int8]
    arrives: NDArray[np.int8]

    def __len__(self) -> int:
        """Give the number of parts."""
        return len(self.owner)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(parts,) int64 array: number of corners of each part."""
        return np.diff(self.offsets)

    def take(self, which: NDArray[np.intp], owner: NDArray[np.int64]) -> "BoundaryParts":
        """Give the parts at the indices `which`, with their new owners."""
        lengths = self.lengths[which]
        return BoundaryParts(
            packed=self.packed[index_ranges(self.offsets[which], lengths)],
            offsets=offsets_of(lengths),
            owner=owner,
            closed=self.closed[which],
            end=self.end[which],
            leaves=self.leaves[which],
            arrives=self.arrives[which],
        )
