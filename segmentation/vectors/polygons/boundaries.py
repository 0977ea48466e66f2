"""Boundaries of the components of one block, traced in whole pixels.

The plan
--------
A boundary is made of straight edges between pixel corners, each owned by the component on its
right-hand side, so that outlines run clockwise on the screen and holes counterclockwise.

1. Edges are the longest runs along a row (or column) of pixels of one component whose neighbours on one side belong
   to another component. There are four kinds, one for each direction.
2. Where an edge ends, the boundary turns left if the pixel diagonally ahead on the left belongs to
   the same component, else right. At a corner where two pixels of a component meet only
   diagonally, this keeps the two holes (or the hole and the outside) apart, so every ring is
   simple and every polygon is valid.
3. At most one edge of each direction starts in a corner, so a lookup by (direction, corner) gives
   the next edge; following it gives rings.

At two kinds of places the block alone cannot tell how a boundary continues. There it ends as a chain, and
`segflow.segmentation.vectors.polygons.seams` continues it: on a side that another block continues, and at corners where
two components of one class meet diagonally that other blocks may connect.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.components import Sides
from segflow.segmentation.vectors.polygons.boundary_parts import BoundaryParts
from segflow.segmentation.vectors.polygons.packed_corners import NODE, PackedCorners, pack
from segflow.segmentation.vectors.successor_chains import follow_successors

# Directions in clockwise order on the screen, so that the next one is a right turn.
RIGHT, DOWN, LEFT, UP = range(4)
AHEAD = ((1, 0), (0, 1), (-1, 0), (0, -1))  # (column, row) step in each direction
CORNER = ((0, 0), (1, 0), (1, 1), (0, 1))  # where an edge along a pixel starts; it ends where the next one starts
NOWHERE = -1
OPEN = -1  # the turn depends on other blocks
MEETING = 3  # number of boundaries that meet at a node


Flat = NDArray[np.int32]  # row-major indices of the corners of the block


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edges:
    """Straight edges between corners; `turn` is the direction of the boundary after the edge ends, or OPEN."""

    start: Flat
    end: Flat
    owner: NDArray[np.int32]
    direction: NDArray[np.int8]
    turn: NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """The components of a block, from which its edges are found.

    Attributes
    ----------
    padded
        (height + 2, width + 2) int32 array: the component of each pixel, NOWHERE around them.
    growing
        (components + 1,) int16 array: the class of components that other blocks may extend, else NOWHERE.
    nodes
        Keep the corners where three or more boundaries meet.
    """

    padded: NDArray[np.int32]
    growing: NDArray[np.int16]
    nodes: bool

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the block [px]."""
        height, width = self.padded.shape
        return height - 2, width - 2

    def component(self, pixel: NDArray[np.int32], col: int = 0, row: int = 0) -> NDArray[np.int32]:
        """Give the components of the pixels (flat places in `padded`) shifted by `col` and `row`."""
        return np.take(self.padded, pixel + np.int32(row * self.padded.shape[1] + col))


def trace_boundaries(
    ids: NDArray[np.int32],
    wanted: NDArray[np.bool_],
    growing: NDArray[np.int16],
    inner: Sides,
    origin: tuple[int, int] = (0, 0),
    *,
    nodes: bool = False,
) -> BoundaryParts:
    """Trace the boundaries of the wanted components.

    Parameters
    ----------
    ids
        (height, width) int32 array: the component of each pixel.
    wanted
        (components,) bool array.
    growing
        (components,) int16 array: the class of components that other blocks may extend, -1 for the others.
    inner
        The sides beyond which another block lies.
    origin
        Row and column of the block's first pixel.
    nodes
        Keep the corners where three or more boundaries meet, also where a boundary runs straight on, and mark them.
        Corners on sides that another block continues are marked when blocks are joined.

    Returns
    -------
    Rings, and chains where the continuation depends on other blocks; owners are components.
    """
    growing = np.append(growing, np.int16(NOWHERE))  # the entry of component NOWHERE, which -1 indexes
    field = _Field(padded=np.pad(ids, 1, constant_values=NOWHERE), growing=growing, nodes=nodes)
    edges = _all_edges(ids, wanted[ids], inner, field)
    trails = follow_successors(_successors(edges, ids.shape, inner))
    heads, tails = trails.heads, trails.tails
    packed = _packed(edges.start[trails.order], ids.shape, origin)
    if nodes:
        packed |= _meetings(field.padded)[edges.start[trails.order]]
    return BoundaryParts(
        packed=packed,
        offsets=trails.offsets,
        owner=edges.owner[heads].astype(np.int64),
        closed=trails.closed,
        end=_packed(edges.end[tails], ids.shape, origin),
        leaves=edges.direction[heads],
        arrives=edges.direction[tails],
    )


def stretches(mask: NDArray[np.bool_], uncut: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the longest runs of True along the rows, divided at cuts.

    Parameters
    ----------
    mask
        (n, m) bool array.
    uncut
        (n, m - 1) bool array: False where a run must not continue to the next column.

    Returns
    -------
    Flat indices of the first and of the last element of each run.
    """
    goes_on = mask[:, :-1] & mask[:, 1:]
    goes_on &= uncut
    first, last = mask.copy(), mask.copy()
    first[:, 1:] ^= goes_on
    last[:, :-1] ^= goes_on
    return np.flatnonzero(first), np.flatnonzero(last)


def _all_edges(ids: NDArray[np.int32], own: NDArray[np.bool_], inner: Sides, field: _Field) -> _Edges:
    height, width = ids.shape
    across = np.empty((height + 1, width), bool)  # a boundary lies above row i
    across[0], across[-1] = not inner.top, not inner.bottom
    np.not_equal(ids[1:], ids[:-1], out=across[1:-1])
    down = np.empty((width + 1, height), bool)  # a boundary lies left of column j
    down[0], down[-1], down[1:-1] = not inner.left, not inner.right, (ids[:, 1:] != ids[:, :-1]).T
    uncut = np.ascontiguousarray(~down[1:-1].T), np.ascontiguousarray(~across[1:-1].T)
    owned = own, np.ascontiguousarray(own.T)
    parts = [
        _edges(direction, *_along(direction, lines, uncut[direction % 2], owned[direction % 2], field), field)
        for direction, lines in ((RIGHT, across), (DOWN, down), (LEFT, across), (UP, down))
    ]
    return _Edges(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(_Edges)})


def _along(
    direction: int, lines: NDArray[np.bool_], uncut: NDArray[np.bool_], own: NDArray[np.bool_], field: _Field
) -> tuple[tuple[Flat, Flat], tuple[Flat, Flat]]:
    """Give (rows, columns) of the first and last pixels along the edges of one direction.

    Where the direction is down or up, the given arrays are transposed: their rows are columns of the block.
    """
    after = direction in (RIGHT, UP)  # the owner lies after the line
    if field.nodes:
        beyond = np.ones_like(uncut)
        beyond[slice(1, None) if after else slice(-1)] = uncut[slice(-1) if after else slice(1, None)]
        uncut = uncut & beyond
    found = stretches((lines[:-1] if after else lines[1:]) & own, uncut)
    first, last = (_places(end.astype(np.int32), own.shape[1], level=direction % 2 == 0) for end in found)
    return (first, last) if direction in (RIGHT, DOWN) else (last, first)


def _places(flat: Flat, length: int, *, level: bool) -> tuple[Flat, Flat]:
    """Give (rows, columns) of flat indices into an array with rows of this length, transposed unless `level`."""
    line = flat // np.int32(length)
    place = flat - line * np.int32(length)
    return (line, place) if level else (place, line)


def _edges(direction: int, first: tuple[Flat, Flat], last: tuple[Flat, Flat], field: _Field) -> _Edges:
    ahead, left = AHEAD[direction], AHEAD[direction - 1]
    width = field.shape[1]
    pixel = (last[0] + np.int32(1)) * np.int32(width + 2) + last[1] + np.int32(1)
    owner = field.component(pixel)
    turn = np.full(len(owner), (direction + 1) % 4, np.int8)
    if field.nodes:
        turn[field.component(pixel, *ahead) == owner] = direction
    diagonal = field.component(pixel, ahead[0] + left[0], ahead[1] + left[1])
    turn[diagonal == owner] = (direction - 1) % 4
    growing = field.growing[owner]
    turn[(growing != NOWHERE) & (field.growing[diagonal] == growing) & (diagonal != owner)] = OPEN

    def corner(place: tuple[Flat, Flat], which: int) -> Flat:
        col, row = CORNER[which % 4]
        return (place[0] + np.int32(row)) * np.int32(width + 1) + place[1] + np.int32(col)

    return _Edges(
        start=corner(first, direction),
        end=corner(last, direction + 1),
        owner=owner,
        direction=np.full(len(owner), direction, np.int8),
        turn=turn,
    )


def _successors(edges: _Edges, shape: tuple[int, int], inner: Sides) -> NDArray[np.int32]:
    """Give the edge that follows each edge; NOWHERE at the end of a chain."""
    height, width = shape
    count = np.int32((height + 1) * (width + 1))
    lookup = np.empty(4 * count, np.int32)
    lookup[edges.start + edges.direction * count] = np.arange(len(edges.owner), dtype=np.int32)
    row = edges.end // np.int32(width + 1)
    col = edges.end - row * np.int32(width + 1)
    ends = edges.turn == OPEN
    for side, line, place in (
        (inner.top, row, 0),
        (inner.left, col, 0),
        (inner.bottom, row, height),
        (inner.right, col, width),
    ):
        if side:
            ends |= line == place
    followed = lookup[np.where(ends, edges.start[:1] + edges.direction[:1] * count, edges.end + edges.turn * count)]
    return np.where(ends, np.int32(NOWHERE), followed)


def _packed(flat: Flat, shape: tuple[int, int], origin: tuple[int, int]) -> PackedCorners:
    row = flat // np.int32(shape[1] + 1)
    return pack(
        np.stack([flat - row * np.int32(shape[1] + 1) + np.int32(origin[1]), row + np.int32(origin[0])], axis=1)
    )


def _meetings(padded: NDArray[np.int32]) -> NDArray[np.int64]:
    """Give NODE for corners where three or more boundaries meet, else 0: one flag for each corner, row by row."""
    across, down = padded[1:] != padded[:-1], padded[:, 1:] != padded[:, :-1]
    count = across[:, :-1].astype(np.int8) + across[:, 1:] + down[:-1] + down[1:]
    nodes: NDArray[np.int64] = (count >= MEETING).ravel() * np.int64(NODE)
    return nodes
