"""Pieces of boundaries, rings and chains, and how chains are linked to rings."""

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.ragged import ends_of, spread
from segflow.segmentation.vectors.trails import follow


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """Pieces of boundaries, each a list of corners with its owner on the right-hand side.

    Attributes
    ----------
    corners
        (n, 2) int32 array of (column, row): where the edges of all pieces start [px].
    offsets
        (pieces + 1,) int64 array: piece i has the corners ``offsets[i]:offsets[i + 1]``.
    owner
        (pieces,) int64 array: number of the object.
    closed
        (pieces,) bool array: True for rings, False for chains.
    end
        (pieces, 2) int32 array of (column, row): where the last edge of each piece ends.
    leaves, arrives
        (pieces,) int8 arrays: directions of the first and last edges.
    """

    corners: NDArray[np.int32]
    offsets: NDArray[np.int64]
    owner: NDArray[np.int64]
    closed: NDArray[np.bool_]
    end: NDArray[np.int32]
    leaves: NDArray[np.int8]
    arrives: NDArray[np.int8]

    def __len__(self) -> int:
        """Give the number of pieces."""
        return len(self.owner)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(pieces,) int64 array: number of corners of each piece."""
        return np.diff(self.offsets)

    @property
    def heads(self) -> NDArray[np.int32]:
        """(pieces, 2) int32 array of (column, row): where each piece starts."""
        return self.corners[self.offsets[:-1]]

    def take(self, which: NDArray[np.intp], owner: NDArray[np.int64]) -> Self:
        """Give the pieces at the indices `which`, with their new owners."""
        lengths = self.lengths[which]
        return type(self)(
            corners=self.corners[spread(self.offsets[which], lengths)],
            offsets=ends_of(lengths),
            owner=owner,
            closed=self.closed[which],
            end=self.end[which],
            leaves=self.leaves[which],
            arrives=self.arrives[which],
        )

    def shift(self, rows: int, cols: int) -> Self:
        """Give the pieces moved by `rows` and `cols` pixels."""
        by = np.array([cols, rows], np.int32)
        return replace(self, corners=self.corners + by, end=self.end + by)

    @classmethod
    def none(cls) -> Self:
        """Give no pieces."""
        return cls(
            corners=np.zeros((0, 2), np.int32),
            offsets=np.zeros(1, np.int64),
            owner=np.zeros(0, np.int64),
            closed=np.zeros(0, bool),
            end=np.zeros((0, 2), np.int32),
            leaves=np.zeros(0, np.int8),
            arrives=np.zeros(0, np.int8),
        )

    @classmethod
    def of(cls, parts: list[Self]) -> Self:
        """Give the pieces of all parts, of which there is at least one."""
        columns = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)}
        columns["offsets"] = ends_of(np.concatenate([part.lengths for part in parts]))
        return cls(**columns)


def link(pieces: Pieces, *, nodes: bool = False) -> Pieces:
    """Link the chains of finished objects to rings; rings stay as they are.

    Where a chain ends, its object's boundary turns left if it can, else goes straight on,
    else turns right: the rule by which blocks are traced.

    Parameters
    ----------
    nodes
        Keep the corners in which three or more boundaries meet, even on straight ones.
    """
    rings, chains = (np.flatnonzero(mask) for mask in (pieces.closed, ~pieces.closed))
    if not len(chains):
        return pieces
    chain = pieces.take(chains, pieces.owner[chains])
    starts = _place(chain.heads, chain.leaves)
    order = np.argsort(starts)
    starts = starts[order]

    def starting(turn: int) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        """Tell whether a chain starts where each one ends, in that direction, and which."""
        wanted = _place(chain.end, (chain.arrives + turn) % 4)
        at = np.minimum(np.searchsorted(starts, wanted), len(starts) - 1)
        return starts[at] == wanted, order[at]

    successor = np.full(len(chain), -1, np.int32)
    junction = np.zeros(len(chain), bool)
    for turn in (1, 0, -1):  # the later one wins: right, straight on, left
        found, which = starting(turn)
        mine = found & (chain.owner[which] == chain.owner)
        successor[mine] = which[mine]
        junction |= found & (turn != 0)
    trails = follow(successor)
    before = np.empty(len(chain), np.int32)
    before[successor] = np.arange(len(chain), dtype=np.int32)
    straight = chain.arrives[before] == chain.leaves
    if nodes:
        straight &= ~junction[before]
    # On straight boundaries the corner between two chains is none of the ring.
    first = (chain.offsets[:-1] + straight)[trails.order]
    lengths = (chain.lengths - straight)[trails.order]
    linked = Pieces(
        corners=chain.corners[spread(first, lengths)],
        offsets=ends_of(lengths)[trails.offsets],
        owner=chain.owner[trails.heads],
        closed=trails.closed,
        end=chain.end[trails.tails],
        leaves=chain.leaves[trails.heads],
        arrives=chain.arrives[trails.tails],
    )
    return Pieces.of([pieces.take(rings, pieces.owner[rings]), linked])


def corner_key(corners: NDArray[np.int32]) -> NDArray[np.int64]:
    """Give a number for each corner (column, row) that grows in row-major order."""
    return (corners[:, 1].astype(np.int64) << 31) | corners[:, 0]


def _place(corners: NDArray[np.int32], direction: NDArray[np.int8]) -> NDArray[np.int64]:
    return corner_key(corners) * 4 + direction
