"""Straight edges between the components of one block: four kinds, one for each direction.

An edge is the longest run along a row (or column) of pixels of one component whose neighbours on one side belong to
another. It is owned by the component on its right-hand side.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.components import Sides

# Directions in clockwise order on the screen, so that the next one is a right turn.
RIGHT, DOWN, LEFT, UP = range(4)
AHEAD = ((1, 0), (0, 1), (-1, 0), (0, -1))  # (column, row) step in each direction
CORNER = ((0, 0), (1, 0), (1, 1), (0, 1))  # where an edge along a pixel starts; it ends where the next one starts
NOWHERE = -1
OPEN = -1  # the turn depends on other blocks


Flat = NDArray[np.int32]  # row-major indices of the corners of the block


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """Straight edges between corners; `turn` is the direction of the boundary after the edge ends, or OPEN."""

    start: Flat
    end: Flat
    owner: NDArray[np.int32]
    direction: NDArray[np.int8]
    turn: NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentField:
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


def find_runs(mask: NDArray[np.bool_], uncut: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
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


def find_edges(ids: NDArray[np.int32], own: NDArray[np.bool_], inner: Sides, field: ComponentField) -> Edges:
    """Find the edges of all wanted components: `own` is a (height, width) bool array of their pixels."""
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
    return Edges(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Edges)})


def _along(
    direction: int, lines: NDArray[np.bool_], uncut: NDArray[np.bool_], own: NDArray[np.bool_], field: ComponentField
) -> tuple[tuple[Flat, Flat], tuple[Flat, Flat]]:
    """Give (rows, columns) of the first and last pixels along the edges of one direction.

    Where the direction is down or up, the given arrays are transposed: their rows are columns of the block.
    """
    after = direction in (RIGHT, UP)  # the owner lies after the line
    if field.nodes:
        beyond = np.ones_like(uncut)
        beyond[slice(1, None) if after else slice(-1)] = uncut[slice(-1) if after else slice(1, None)]
        uncut = uncut & beyond
    found = find_runs((lines[:-1] if after else lines[1:]) & own, uncut)
    first, last = (_places(end.astype(np.int32), own.shape[1], level=direction % 2 == 0) for end in found)
    return (first, last) if direction in (RIGHT, DOWN) else (last, first)


def _places(flat: Flat, length: int, *, level: bool) -> tuple[Flat, Flat]:
    """Give (rows, columns) of flat indices into an array with rows of this length, transposed unless `level`."""
    line = flat // np.int32(length)
    place = flat - line * np.int32(length)
    return (line, place) if level else (place, line)


def _edges(direction: int, first: tuple[Flat, Flat], last: tuple[Flat, Flat], field: ComponentField) -> Edges:
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

    return Edges(
        start=corner(first, direction),
        end=corner(last, direction + 1),
        owner=owner,
        direction=np.full(len(owner), direction, np.int8),
        turn=turn,
    )
