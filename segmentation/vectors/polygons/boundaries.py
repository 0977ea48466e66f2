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

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.components import Sides
from segflow.segmentation.vectors.polygons.boundary_parts import BoundaryParts
from segflow.segmentation.vectors.polygons.edges import NOWHERE, OPEN, ComponentField, Edges, Flat, find_edges
from segflow.segmentation.vectors.polygons.packed_corners import NODE, PackedCorners, pack
from segflow.segmentation.vectors.successor_chains import follow_successors

MEETING = 3  # number of boundaries that meet at a node


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
    field = ComponentField(padded=np.pad(ids, 1, constant_values=NOWHERE), growing=growing, nodes=nodes)
    edges = find_edges(ids, wanted[ids], inner, field)
    chains = follow_successors(_successors(edges, ids.shape, inner))
    heads, tails = chains.heads, chains.tails
    packed = _packed(edges.start[chains.order], ids.shape, origin)
    if nodes:
        packed |= _meetings(field.padded)[edges.start[chains.order]]
    return BoundaryParts(
        packed=packed,
        offsets=chains.offsets,
        owner=edges.owner[heads].astype(np.int64),
        closed=chains.closed,
        end=_packed(edges.end[tails], ids.shape, origin),
        leaves=edges.direction[heads],
        arrives=edges.direction[tails],
    )


def _successors(edges: Edges, shape: tuple[int, int], inner: Sides) -> NDArray[np.int32]:
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
