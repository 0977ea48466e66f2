"""Chains: parts of rings that cross the seams between blocks, and how they are closed to rings.

Where a chain ends, the boundary of its object turns left if the pixel diagonally ahead on the left belongs to the same
object; else it continues straight on where it can, and turns right otherwise. Blocks are traced by the same rule.
Whether two regions of one class that meet diagonally are one object may not be known yet. Then the chain stays open
until the regions are joined or one of them is complete.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.columns import Columns
from segflow.segmentation.vectors.polygons.boundaries import MEETING
from segflow.segmentation.vectors.polygons.packed_corners import (
    NODE,
    PackedCorners,
    Store,
    read_corners,
    unpack,
    without_flags,
)
from segflow.segmentation.vectors.polygons.rings import StoredRings, from_first_corners, start_at_first_corner
from segflow.segmentation.vectors.ragged import index_ranges, offsets_of
from segflow.segmentation.vectors.successor_chains import SuccessorChains, follow_successors
from segflow.tiling import Window

UNKNOWN = -1  # it is not known yet whether three or more boundaries meet where a chain starts
LONG = 2**18  # corners; rings with more are put together chain by chain
LEFT_TURN, STRAIGHT, RIGHT_TURN = -1, 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Chains(Columns):
    """Chains whose corners lie in a store; (n,) arrays.

    Attributes
    ----------
    head, end
        int64: the corners where they start and end.
    leaves, arrives
        int8: directions of their first and last edges.
    owner
        int64: number of the object on the right-hand side.
    node
        int8: 1 where three or more boundaries meet at `head`, 0 where not, UNKNOWN until its blocks are joined.
    place, count
        int64: place of their packed corners in the store [bytes], and their number. A chain of one corner has only
        `head`, which is not stored.
    """

    head: PackedCorners
    end: PackedCorners
    leaves: NDArray[np.int8]
    arrives: NDArray[np.int8]
    owner: NDArray[np.int64]
    node: NDArray[np.int8]
    place: NDArray[np.int64]
    count: NDArray[np.int64]

    def places(self, turn: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give keys of corner and direction: where the chains start, and where they would continue after a turn."""
        return self.head | self.leaves, self.end | ((self.arrives + turn) % 4)

    def find_nodes(self, scene: Window, visible: int) -> Self:
        """Find out where three or more boundaries meet, for heads above row `visible`: all chains are known there."""
        hidden = np.flatnonzero(self.node == UNKNOWN)
        corners = unpack(self.head[hidden])
        shown = corners[:, 1] < visible
        hidden, corners = hidden[shown], corners[shown]
        known, meeting = np.unique(self.head, return_counts=True)
        col, row = corners[:, 0], corners[:, 1]
        outside = (col == 0) | (row == 0) | (col == len(scene.cols)) | (row == len(scene.rows))
        # One chain starts per boundary that meets there, but none for the outside of the scene, which has no owner.
        count = meeting[np.searchsorted(known, self.head[hidden])] + outside
        node = self.node.copy()
        node[hidden] = count >= MEETING
        return replace(self, node=node)

    def successors(self, value: NDArray[np.uint8], grows: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Give the chain that continues each chain; -1 where that is not known yet.

        Parameters
        ----------
        value, grows
            (objects,) arrays: the class, and True for an object that may still be joined with others.
        """
        starts = self.places()[0]
        order = np.argsort(starts)
        starts = starts[order]
        successor = np.full(len(self), -1, np.int32)
        for turn in (RIGHT_TURN, STRAIGHT, LEFT_TURN):  # a later turn replaces an earlier one
            wanted = self.places(turn)[1]
            at = np.minimum(np.searchsorted(starts, wanted), len(starts) - 1)
            found, which = starts[at] == wanted, order[at]
            mine = found & (self.owner[which] == self.owner)
            successor[mine] = which[mine]
            if turn == LEFT_TURN:
                other = self.owner[which]
                both = grows[other] & grows[self.owner] & (value[other] == value[self.owner])
                successor[found & ~mine & both] = -1
        return successor


def close_rings(chains: Chains, successor: NDArray[np.int32], store: Store) -> tuple[StoredRings, Chains]:
    """Put the rings that close into the store; give these rings, and the chains that stay open."""
    followed = follow_successors(successor)
    lengths = np.diff(followed.offsets)
    closed = np.repeat(followed.closed, lengths)
    if not closed.any():
        return StoredRings.of([]), chains
    before = np.zeros(len(chains), np.int32)  # the entries of open chains are not used
    before[successor[successor >= 0]] = np.flatnonzero(successor >= 0)
    # Where the boundary runs straight on, a head is no corner of the ring, unless other boundaries meet there.
    skipped = (chains.arrives[before] == chains.leaves) & (chains.node != 1)
    counts = np.add.reduceat((chains.count - skipped)[followed.order], followed.offsets[:-1])
    short = np.flatnonzero(followed.closed & (counts <= LONG))
    long = np.flatnonzero(followed.closed & (counts > LONG))
    rings = [_close_short(chains, some, skipped, store, followed) for some in _portions(short, counts)]
    rings += [_close_long(chains, followed.order[slice(*followed.offsets[i : i + 2])], skipped, store) for i in long]
    return StoredRings.of(rings), chains.take(followed.order[~closed].astype(np.int64))


def _portions(rings: NDArray[np.intp], counts: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """Divide rings into parts of about LONG corners."""
    return np.split(rings, np.flatnonzero(np.diff(np.cumsum(counts[rings]) // LONG)) + 1) if len(rings) else []


def _close_short(
    chains: Chains, some: NDArray[np.intp], skipped: NDArray[np.bool_], store: Store, followed: SuccessorChains
) -> StoredRings:
    lengths = np.diff(followed.offsets)[some]
    members = followed.order[index_ranges(followed.offsets[:-1][some], lengths)]
    packed, counts = _read(chains, members, skipped, store)
    offsets = offsets_of(counts)[offsets_of(lengths)]
    turned, first = from_first_corners(packed, offsets)
    place = store.append(turned) + offsets[:-1] * 8
    owner = chains.owner[followed.order[followed.offsets[:-1][some]]]
    return StoredRings(owner=owner, first=first, place=place, count=np.diff(offsets))


def _close_long(chains: Chains, members: NDArray[np.integer], skipped: NDArray[np.bool_], store: Store) -> StoredRings:
    """Close one ring with any number of corners; memory holds one of its chains at a time."""
    parts = (_read(chains, members[i : i + 1], skipped, store)[0] for i in range(len(members)))
    lowest = np.array([int(without_flags(part).min()) if len(part) else 2**62 for part in parts])
    turned = np.roll(members, -int(np.argmin(lowest)))
    place, count, head = -1, 0, np.zeros(0, np.int64)
    for number, member in enumerate(turned):
        part = _read(chains, np.array([member]), skipped, store)[0]
        if number == 0:
            head, part = start_at_first_corner(part)
        at = store.append(part)
        place, count = (at if number == 0 else place), count + len(part)
    store.append(head)
    return StoredRings(
        owner=chains.owner[members[:1]],
        first=lowest.min(keepdims=True),
        place=np.array([place]),
        count=np.array([count + len(head)]),
    )


def _read(
    chains: Chains, members: NDArray[np.integer], skipped: NDArray[np.bool_], store: Store
) -> tuple[PackedCorners, NDArray[np.int64]]:
    """Give the packed corners of chains with nodes marked and without skipped heads, and their number in each chain."""
    counts = chains.count[members]
    packed = np.empty(counts.sum(), np.int64)
    offsets = offsets_of(counts)
    stored = counts > 1
    packed[index_ranges(offsets[:-1][stored], counts[stored])] = read_corners(
        store, chains.place[members[stored]], counts[stored]
    )
    packed[offsets[:-1]] = chains.head[members] | np.where(chains.node[members] == 1, NODE, 0)
    kept = np.ones(len(packed), bool)
    kept[offsets[:-1][skipped[members]]] = False
    return packed[kept], counts - skipped[members]
