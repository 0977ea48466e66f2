"""Networks: nodes, edges between them, and the lines that edges form where nothing branches.

A network starts with the pixels of a skeleton as nodes and the links between neighbouring pixels as edges. Contraction
turns these into edges between junctions and free ends, and it merges edges again after spurs were removed.

Contraction
-----------
Every edge consists of two half-edges, one for each direction. A half-edge that arrives at a node where exactly two ends
meet is followed by the one that leaves it on the other side; at all other nodes it ends. So every line is followed
twice, once in each direction, and the direction that starts with the lower half-edge is kept. Rings without a node at
which to start begin with their lowest half-edge.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.ragged import index_ranges, offsets_of
from segflow.segmentation.vectors.successor_chains import follow_successors

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
PASSING = 2  # ends that meet at a node where a line passes through


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """Points at which edges end or through which lines run, (n,) arrays.

    Attributes
    ----------
    point
        (n, 2) float64: (column, row) counted from the scene's upper left corner [px].
    radius
        float64: of the largest disc around it inside the class [px].
    pixel
        int64: the first of the node's pixels, as a row-major index in the scene.
    """

    point: Floats
    radius: Floats
    pixel: Ints

    def __len__(self) -> int:
        """Give the number of nodes."""
        return len(self.radius)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Chains of edges, from one free end or junction to the next.

    Attributes
    ----------
    half
        (n,) int64: half-edges, line by line; 2 e runs along edge e, 2 e + 1 against it.
    offsets
        (lines + 1,) int64: line i has the half-edges ``half[offsets[i]:offsets[i + 1]]``.
    start, end
        (lines,) int64: nodes.
    """

    half: Ints
    offsets: Ints
    start: Ints
    end: Ints

    def __len__(self) -> int:
        """Give the number of lines."""
        return len(self.start)

    @property
    def owner(self) -> Ints:
        """(n,) int64: the line of each half-edge."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Edges between nodes.

    Attributes
    ----------
    nodes
        All nodes, including those without edges.
    ends
        (edges, 2) int64: the nodes that each edge runs from and to.
    path, offsets
        (n,) int64 and (edges + 1,) int64: edge e runs through the points of the nodes
        ``path[offsets[e]:offsets[e + 1]]``, not counting those at its ends.
    """

    nodes: Nodes
    ends: Ints
    path: Ints
    offsets: Ints

    def __len__(self) -> int:
        """Give the number of edges."""
        return len(self.ends)

    @property
    def degree(self) -> Ints:
        """(nodes,) int64: how many ends of edges meet in each node."""
        return np.bincount(self.ends.ravel(), minlength=len(self.nodes))

    @classmethod
    def of_straight_edges(cls, nodes: Nodes, ends: Ints) -> Self:
        """Give the network of straight edges."""
        return cls(nodes=nodes, ends=ends, path=np.zeros(0, np.int64), offsets=np.zeros(len(ends) + 1, np.int64))

    def take(self, which: NDArray[np.bool_]) -> Self:
        """Give the network of the edges in a mask, with all nodes."""
        lengths = np.diff(self.offsets)[which]
        path = self.path[index_ranges(self.offsets[:-1][which], lengths)]
        return replace(self, ends=self.ends[which], path=path, offsets=offsets_of(lengths))

    def add(self, ends: Ints) -> Self:
        """Give the network with additional straight edges."""
        offsets = np.append(self.offsets, np.full(len(ends), self.offsets[-1]))
        return replace(self, ends=np.concatenate([self.ends, ends]), offsets=offsets)

    def lengths(self) -> Floats:
        """(edges,) float64: length of each edge along its path [px]."""
        points, offsets = self.points()
        step = np.diff(self.nodes.point[points], axis=0, append=0)
        length = np.hypot(step[:, 0], step[:, 1])
        length[offsets[1:] - 1] = 0
        return np.add.reduceat(length, offsets[:-1]) if len(self) else np.zeros(0)

    def points(self) -> tuple[Ints, Ints]:
        """Give the nodes that each edge runs through, including its ends: as one array with offsets."""
        inner = np.diff(self.offsets)
        offsets = offsets_of(inner + 2)
        points = np.empty(offsets[-1], np.int64)
        points[offsets[:-1]], points[offsets[1:] - 1] = self.ends.T
        points[index_ranges(offsets[:-1] + 1, inner)] = self.path
        return points, offsets

    def lines(self) -> Lines:
        """Follow the edges from node to node."""
        tails = self.ends.ravel()  # half-edge 2 e leaves the first end of edge e, 2 e + 1 the second
        chains = follow_successors(_successors(tails, self.degree == PASSING))
        if not len(self):
            return Lines(half=chains.order.astype(np.int64), offsets=chains.offsets, start=tails, end=tails)
        half, offsets = _rings_from_lowest(chains.order.astype(np.int64), chains.offsets, chains.closed)
        lowest = half[offsets[:-1]]
        opposite = np.where(chains.closed, np.minimum.reduceat(half ^ 1, offsets[:-1]), half[offsets[1:] - 1] ^ 1)
        kept = np.flatnonzero(lowest < opposite)
        kept = kept[np.argsort(lowest[kept])]
        lengths = np.diff(offsets)[kept]
        half, offsets = half[index_ranges(offsets[:-1][kept], lengths)], offsets_of(lengths)
        return Lines(half=half, offsets=offsets, start=tails[half[offsets[:-1]]], end=tails[half[offsets[1:] - 1] ^ 1])

    def contract(self) -> Self:
        """Give the network whose edges are the lines."""
        lines = self.lines()
        points, offsets = self.points()
        edge, backwards = lines.half // 2, lines.half % 2
        lengths = np.diff(offsets)[edge] - 1  # the last point of each edge is the first one of the next
        step = 1 - 2 * backwards
        place = index_ranges(np.zeros_like(lengths), lengths) * np.repeat(step, lengths)
        place += np.repeat(np.where(backwards, offsets[1:][edge] - 1, offsets[:-1][edge]), lengths)
        along = points[place]
        per_line = np.add.reduceat(lengths, lines.offsets[:-1]) if len(lines) else lengths
        inner = np.ones(len(along), bool)
        inner[offsets_of(per_line)[:-1]] = False
        return replace(
            self, ends=np.stack([lines.start, lines.end], axis=1), path=along[inner], offsets=offsets_of(per_line - 1)
        )


def _successors(tails: Ints, passing: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Give the half-edge that follows each half-edge through a passing node; -1 where there is none."""
    halves = np.flatnonzero(passing[tails]).astype(np.int32)
    one, other = halves[np.argsort(tails[halves], kind="stable")].reshape(-1, 2).T
    successor = np.full(len(tails), -1, np.int32)
    successor[one ^ 1], successor[other ^ 1] = other, one
    return successor


def _rings_from_lowest(half: Ints, offsets: Ints, closed: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Rotate closed chains so that they start with their lowest half-edge."""
    lengths = np.diff(offsets)
    lowest = np.minimum.reduceat(half, offsets[:-1])
    turned = np.zeros(len(lengths), np.int64)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    found = np.flatnonzero((half == lowest[owner]) & closed[owner])
    turned[owner[found]] = found - offsets[:-1][owner[found]]
    place = index_ranges(np.zeros_like(lengths), lengths) + np.repeat(turned, lengths)
    return half[np.repeat(offsets[:-1], lengths) + place % np.repeat(lengths, lengths)], offsets
