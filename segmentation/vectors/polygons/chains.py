"""Chains: parts of rings that cross the seams between blocks, and how they close.

Where a chain ends, its object's boundary turns left if the pixel diagonally ahead on the left belongs to
the same object, else goes straight on, else turns right: the rule by which blocks are traced.
Whether two regions of one class that meet diagonally are one object may not be known yet; the chain
then waits until they are joined or one of them is complete.
"""

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.polygons.boundaries import MEETING
from segflow.segmentation.vectors.polygons.packed_corners import NODE, Store, Words, plain, read_words, unpack
from segflow.segmentation.vectors.polygons.rings import StoredRings, from_first_corners, turn_long_ring
from segflow.segmentation.vectors.ragged import ends_of, spread
from segflow.segmentation.vectors.successor_chains import Trails, follow
from segflow.tiling import Window

UNKNOWN = -1  # whether three or more boundaries meet where a chain starts
LONG = 2**18  # words; rings that are longer are put together piece by piece
LEFT_TURN, STRAIGHT, RIGHT_TURN = -1, 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Chains:
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
        int8: 1 where three or more boundaries meet in `head`, 0 where not, UNKNOWN while a seam hides it.
    place, count
        int64: where their words lie [bytes], and how many they are; a single one is `head` and lies nowhere.
    """

    head: Words
    end: Words
    leaves: NDArray[np.int8]
    arrives: NDArray[np.int8]
    owner: NDArray[np.int64]
    node: NDArray[np.int8]
    place: NDArray[np.int64]
    count: NDArray[np.int64]

    def __len__(self) -> int:
        """Give the number of chains."""
        return len(self.owner)

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """Give the chains of an index or a mask."""
        return type(self)(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    @classmethod
    def of(cls, parts: list[Self]) -> Self:
        """Give the chains of all parts, of which there is at least one."""
        return cls(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)})

    def places(self, turn: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give numbers for where the chains start, and for where they would go on after a turn."""
        return self.head | self.leaves, self.end | ((self.arrives + turn) % 4)

    def find_nodes(self, scene: Window, visible: int) -> Self:
        """Tell where three or more boundaries meet, as far as the rows above `visible` show it."""
        hidden = np.flatnonzero(self.node == UNKNOWN)
        corners = unpack(self.head[hidden])
        shown = corners[:, 1] < visible
        hidden, corners = hidden[shown], corners[shown]
        known, meeting = np.unique(self.head, return_counts=True)
        col, row = corners[:, 0], corners[:, 1]
        outside = (col == 0) | (row == 0) | (col == len(scene.cols)) | (row == len(scene.rows))
        # Each boundary leaves a corner on one of its two sides; the scene's outline has but one.
        count = meeting[np.searchsorted(known, self.head[hidden])] + outside
        node = self.node.copy()
        node[hidden] = count >= MEETING
        return replace(self, node=node)

    def successors(self, value: NDArray[np.uint8], grows: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Give the chain that follows each one; -1 where that is not known yet.

        Parameters
        ----------
        value, grows
            (objects,) arrays: classes, and True for objects that may yet be joined with others.
        """
        starts = self.places()[0]
        order = np.argsort(starts)
        starts = starts[order]
        successor = np.full(len(self), -1, np.int32)
        for turn in (RIGHT_TURN, STRAIGHT, LEFT_TURN):  # the later one wins
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
    """Put closed rings into the store, and give them and the chains that stay open."""
    trails = follow(successor)
    lengths = np.diff(trails.offsets)
    closed = np.repeat(trails.closed, lengths)
    if not closed.any():
        return StoredRings.of([]), chains
    before = np.zeros(len(chains), np.int32)  # those of open chains are not looked at
    before[successor[successor >= 0]] = np.flatnonzero(successor >= 0)
    # On straight boundaries the corner between two chains is none of the ring, unless others meet it there.
    skipped = (chains.arrives[before] == chains.leaves) & (chains.node != 1)
    words = np.add.reduceat((chains.count - skipped)[trails.order], trails.offsets[:-1])
    short = np.flatnonzero(trails.closed & (words <= LONG))
    long = np.flatnonzero(trails.closed & (words > LONG))
    rings = [_close_short(chains, some, skipped, store, trails) for some in _portions(short, words)]
    rings += [_close_long(chains, trails.order[slice(*trails.offsets[i : i + 2])], skipped, store) for i in long]
    return StoredRings.of(rings), chains.take(trails.order[~closed].astype(np.int64))


def _portions(rings: NDArray[np.intp], words: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """Cut a list of rings so that each part has about LONG words."""
    return np.split(rings, np.flatnonzero(np.diff(np.cumsum(words[rings]) // LONG)) + 1) if len(rings) else []


def _close_short(
    chains: Chains, some: NDArray[np.intp], skipped: NDArray[np.bool_], store: Store, trails: Trails
) -> StoredRings:
    lengths = np.diff(trails.offsets)[some]
    members = trails.order[spread(trails.offsets[:-1][some], lengths)]
    words, counts = _read(chains, members, skipped, store)
    offsets = ends_of(counts)[ends_of(lengths)]
    turned, first = from_first_corners(words, offsets)
    place = store.append(turned) + offsets[:-1] * 8
    owner = chains.owner[trails.order[trails.offsets[:-1][some]]]
    return StoredRings(owner=owner, first=first, place=place, count=np.diff(offsets))


def _close_long(chains: Chains, members: NDArray[np.integer], skipped: NDArray[np.bool_], store: Store) -> StoredRings:
    """Close one ring of any length; memory holds its chains, one after the other."""
    pieces = (_read(chains, members[i : i + 1], skipped, store)[0] for i in range(len(members)))
    lowest = np.array([int(plain(piece).min()) if len(piece) else 2**62 for piece in pieces])
    turned = np.roll(members, -int(np.argmin(lowest)))
    place, count, head = -1, 0, np.zeros(0, np.int64)
    for number, member in enumerate(turned):
        piece = _read(chains, np.array([member]), skipped, store)[0]
        if number == 0:
            head, piece = turn_long_ring(piece)
        at = store.append(piece)
        place, count = (at if number == 0 else place), count + len(piece)
    store.append(head)
    one = (chains.owner[members[:1]], lowest.min(keepdims=True), np.array([place]), np.array([count + len(head)]))
    return StoredRings(**dict(zip((f.name for f in fields(StoredRings)), one, strict=True)))


def _read(
    chains: Chains, members: NDArray[np.integer], skipped: NDArray[np.bool_], store: Store
) -> tuple[Words, NDArray[np.int64]]:
    """Give the words of chains, marked where nodes are and without heads that are no corners, and their numbers."""
    counts = chains.count[members]
    words = np.empty(counts.sum(), np.int64)
    offsets = ends_of(counts)
    stored = counts > 1
    words[spread(offsets[:-1][stored], counts[stored])] = read_words(
        store, chains.place[members[stored]], counts[stored]
    )
    words[offsets[:-1]] = chains.head[members] | np.where(chains.node[members] == 1, NODE, 0)
    kept = np.ones(len(words), bool)
    kept[offsets[:-1][skipped[members]]] = False
    return words[kept], counts - skipped[members]
