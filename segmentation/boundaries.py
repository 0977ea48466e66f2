"""Boundaries of the components of one block, traced in whole pixels.

The plan
--------
A boundary is made of straight edges between pixel corners, each owned by the component on its
right-hand side, so that outlines run clockwise on the screen and holes against the clock.

1. Edges are the longest stretches along a row (or column) of pixels of one component whose
   neighbours on one side belong to another: four kinds, one for each direction.
2. Where an edge ends, the boundary turns left if the pixel diagonally ahead on the left belongs to
   the same component, else right. At a corner where two pixels of a component meet only
   diagonally, this keeps the two holes (or the hole and the outside) apart, so every ring is
   simple and every polygon valid.
3. At most one edge of each direction starts in a corner, so a lookup by (direction, corner) gives
   the next edge; following it gives rings.

Two things are left to `segflow.segmentation.seams`, where boundaries end as chains: edges on a side
that another block continues, and corners in which two components of one class meet diagonally
and other blocks may yet make them one.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.components import Sides
from segflow.segmentation.pieces import Pieces, follow

# Directions in clockwise order on the screen, so that the next one is a right turn.
RIGHT, DOWN, LEFT, UP = range(4)
AHEAD = ((1, 0), (0, 1), (-1, 0), (0, -1))  # (column, row) step in each direction
CORNER = ((0, 0), (1, 0), (1, 1), (0, 1))  # where an edge along a pixel starts; it ends where the next one starts
NOWHERE = -1
OPEN = -1  # a turn that other blocks decide


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edges:
    """Straight edges between corners, (n, 2) int32 arrays of (column, row).

    `turn` is the direction of the boundary after the edge's end, or OPEN.
    """

    start: NDArray[np.int32]
    end: NDArray[np.int32]
    owner: NDArray[np.int32]
    direction: NDArray[np.int8]
    turn: NDArray[np.int8]


def trace_boundaries(
    ids: NDArray[np.int32],
    wanted: NDArray[np.bool_],
    growing: NDArray[np.int16],
    inner: Sides,
    *,
    nodes: bool = False,
) -> Pieces:
    """Trace the boundaries of the wanted components.

    Parameters
    ----------
    ids
        (height, width) int32 array: the component of each pixel.
    wanted
        (components,) bool array.
    growing
        (components,) int16 array: the class of components that other blocks may join, -1 for the others.
    inner
        The sides beyond which another block lies.
    nodes
        Keep the corners in which three or more boundaries meet, even on straight ones.

    Returns
    -------
    Rings, and chains where other blocks decide how they go on; corners are counted from the block's
    first pixel, owners are components.
    """
    edges = _all_edges(ids, wanted[ids], growing, inner, nodes=nodes)
    trails = follow(_successors(edges, ids.shape, inner))
    return Pieces(
        corners=edges.start[trails.order],
        offsets=trails.offsets,
        owner=edges.owner[trails.heads].astype(np.int64),
        closed=trails.closed,
        end=edges.end[trails.tails],
        leaves=edges.direction[trails.heads],
        arrives=edges.direction[trails.tails],
    )


def stretches(mask: NDArray[np.bool_], cuts: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the longest stretches of True along the rows that no cut divides.

    Parameters
    ----------
    mask
        (n, m) bool array.
    cuts
        (n, m - 1) bool array: True where a stretch must not go on to the next column.

    Returns
    -------
    Flat indices of the first and of the last place of each stretch.
    """
    first, last = mask.copy(), mask.copy()
    first[:, 1:] &= ~mask[:, :-1] | cuts
    last[:, :-1] &= ~mask[:, 1:] | cuts
    return np.flatnonzero(first), np.flatnonzero(last)


def _all_edges(
    ids: NDArray[np.int32], own: NDArray[np.bool_], growing: NDArray[np.int16], inner: Sides, *, nodes: bool
) -> _Edges:
    height, width = ids.shape
    across = np.empty((height + 1, width), bool)  # a boundary lies above row i
    across[0], across[-1], across[1:-1] = not inner.top, not inner.bottom, ids[1:] != ids[:-1]
    down = np.empty((width + 1, height), bool)  # a boundary lies left of column j
    down[0], down[-1], down[1:-1] = not inner.left, not inner.right, (ids[:, 1:] != ids[:, :-1]).T
    padded = np.pad(ids, 1, constant_values=NOWHERE)
    growing = np.append(growing, np.int16(NOWHERE))  # NOWHERE is nothing that grows
    parts = []
    for direction in (RIGHT, DOWN, LEFT, UP):
        level = direction in (RIGHT, LEFT)
        lines, others = (across, down) if level else (down, across)
        along = _along(direction, lines, others[1:-1].T, own if level else own.T, nodes=nodes)
        parts.append(_edges(direction, *along, padded, growing, nodes=nodes))
    return _Edges(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(_Edges)})


def _along(
    direction: int, lines: NDArray[np.bool_], cuts: NDArray[np.bool_], own: NDArray[np.bool_], *, nodes: bool
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Give the first and last pixels, (n, 2) int32 arrays of (column, row), along the edges of one direction.

    Columns stand for rows and rows for columns where the direction is down or up.
    """
    if direction in (RIGHT, UP):  # the owner lies after the line
        mask, across = lines[:-1] & own, np.pad(cuts[:-1], ((1, 0), (0, 0)))
    else:
        mask, across = lines[1:] & own, np.pad(cuts[1:], ((0, 1), (0, 0)))
    ends = stretches(mask, cuts | across if nodes else cuts)
    places = [np.stack(np.divmod(end, mask.shape[1]), axis=1).astype(np.int32) for end in ends]
    if direction in (RIGHT, LEFT):
        places = [place[:, ::-1] for place in places]
    first, last = places if direction in (RIGHT, DOWN) else reversed(places)
    return first, last


def _edges(
    direction: int,
    first: NDArray[np.int32],
    last: NDArray[np.int32],
    padded: NDArray[np.int32],
    growing: NDArray[np.int16],
    *,
    nodes: bool,
) -> _Edges:
    left, ahead = AHEAD[direction - 1], AHEAD[direction]
    owner = _at(padded, last)
    turn = np.full(len(owner), (direction + 1) % 4, np.int8)
    if nodes:
        turn[_at(padded, last + np.int32(ahead)) == owner] = direction
    diagonal = _at(padded, last + np.int32(ahead) + np.int32(left))
    turn[diagonal == owner] = (direction - 1) % 4
    turn[(diagonal != owner) & (growing[diagonal] == growing[owner]) & (growing[owner] != NOWHERE)] = OPEN
    return _Edges(
        start=first + np.int32(CORNER[direction]),
        end=last + np.int32(CORNER[(direction + 1) % 4]),
        owner=owner,
        direction=np.full(len(owner), direction, np.int8),
        turn=turn,
    )


def _at(padded: NDArray[np.int32], pixel: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give the component of each pixel (column, row); NOWHERE just outside the block."""
    return padded[pixel[:, 1] + 1, pixel[:, 0] + 1]


def _successors(edges: _Edges, shape: tuple[int, int], inner: Sides) -> NDArray[np.int32]:
    """Give the edge that follows each edge; NOWHERE at the end of a chain."""
    height, width = shape
    lookup = np.empty((4, height + 1, width + 1), np.int32)
    lookup[edges.direction, edges.start[:, 1], edges.start[:, 0]] = np.arange(len(edges.owner), dtype=np.int32)
    col, row = edges.end.T
    ends = (inner.left & (col == 0)) | (inner.right & (col == width))
    ends |= (inner.top & (row == 0)) | (inner.bottom & (row == height))
    goes_on = np.flatnonzero(~ends & (edges.turn != OPEN))
    successor = np.full(len(edges.owner), NOWHERE, np.int32)
    successor[goes_on] = lookup[edges.turn[goes_on], row[goes_on], col[goes_on]]
    return successor
