"""Objects joined across the seams between blocks.

The plan
--------
Blocks arrive in row-major order. At each seam, pixels of one class link the parts that they
belong to; pixels of different classes make edges, which the blocks left out.
At the end of a row of blocks the links are resolved (a graph's connected components): objects
without a pixel in the last row of pixels can grow no more. Their chains are linked to rings and
they leave; the others wait, so memory is bounded by what is still open.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.boundaries import DOWN, LEFT, RIGHT, UP, stretches
from segflow.segmentation.vectors.components import NODATA, Statistics, join, mark
from segflow.segmentation.vectors.pieces import Pieces, link
from segflow.segmentation.vectors.tracing import NO_PART, Outlines, Rim, TracedBlock
from segflow.tiling import Span, Window


class Seams:
    """Joins the traced blocks of a scene; give it all of them, in row-major order.

    Parameters
    ----------
    scene
        The window of all pixels.
    nodes
        Keep the corners in which three or more boundaries meet, even on straight ones;
        all objects then wait for the last block, because their neighbours decide where these are.
    """

    def __init__(self, scene: Window, *, nodes: bool = False) -> None:
        width = len(scene.cols)
        self._scene = scene
        self._nodes = nodes
        self._next = (0, 0)  # row and column at which the next block starts
        self._row = Span(0, 0)  # rows of the current row of blocks
        self._count = 0  # of open parts
        self._statistics: list[Statistics] = []  # of the open parts, in the order of their numbers
        self._pages: list[Pieces] = []  # their boundaries
        self._links: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._beside_nodata: list[NDArray[np.int64]] = []
        self._above = Rim(labels=np.zeros(width, np.uint8), parts=np.full(width, NO_PART))  # across the scene
        self._below = self._above
        self._left = self._above

    def add(self, block: TracedBlock) -> Outlines | None:
        """Take the next block, and give the objects that its row of blocks completes, if it is the row's last.

        Raises
        ------
        ValueError
            If it is not the next block.
        """
        window = block.window
        self._expect(window)
        first = self._count
        self._statistics.append(block.parts.statistics)
        self._count += len(block.parts.statistics)
        pieces = block.parts.pieces
        self._pages.append(pieces.take(np.arange(len(pieces)), pieces.owner + first))
        if block.inner.top:
            above = _part_of(self._above, window.cols)
            self._join(above, _numbered(block.top, first), (window.cols.start, window.rows.start), level=True)
        if block.inner.left:
            self._join(self._left, _numbered(block.left, first), (window.cols.start, window.rows.start), level=False)
        self._left = _numbered(block.right, first)
        bottom = _numbered(block.bottom, first)
        self._below.labels[window.cols.slice] = bottom.labels
        self._below.parts[window.cols.slice] = bottom.parts
        return None if block.inner.right else self._end_row()

    def check_complete(self) -> None:
        """Make sure that the last block was given.

        Raises
        ------
        ValueError
            If blocks are missing.
        """
        if self._next != (len(self._scene.rows), 0):
            msg = f"blocks must cover all {len(self._scene.rows)} rows, but they end before row, column {self._next}"
            raise ValueError(msg)

    def _expect(self, window: Window) -> None:
        fits = (window.rows.start, window.cols.start) == self._next and window in self._scene and window.size
        if window.cols.start == 0:
            self._row = window.rows
            self._below = Rim(labels=self._above.labels.copy(), parts=np.full_like(self._above.parts, NO_PART))
        if not fits or window.rows != self._row:
            msg = (
                f"blocks must come in row-major order, the next one at row, column {self._next} "
                f"in the rows of those before it, got {window}"
            )
            raise ValueError(msg)
        ends = window.cols.stop == len(self._scene.cols)
        self._next = (window.rows.stop, 0) if ends else (window.rows.start, window.cols.stop)

    def _join(self, one: Rim, other: Rim, corner: tuple[int, int], *, level: bool) -> None:
        """Join the pixels on both sides of a seam that starts at `corner` and runs right (level) or down."""
        differ = one.labels != other.labels
        equal = ~differ & (one.parts != NO_PART)
        self._links.append((one.parts[equal], other.parts[equal]))
        for mine, its, directions in ((one, other, (LEFT, DOWN)), (other, one, (RIGHT, UP))):
            own = differ & (mine.parts != NO_PART)
            self._beside_nodata.append(mine.parts[own & (its.labels == NODATA)])
            uncut = np.diff(mine.parts) == 0
            if self._nodes:
                uncut &= np.diff(its.parts) == 0
            places = stretches(own[None], uncut[None])
            self._pages.append(_edges(directions[0 if level else 1], *places, mine.parts, corner))

    def _end_row(self) -> Outlines:
        """Resolve the links, and give the objects that can grow no more."""
        links = [np.concatenate(side) for side in zip((_NONE, _NONE), *self._links, strict=True)]
        count, of_part = join(links[0], links[1], self._count)
        parts = Statistics.of(self._statistics)
        parts.touches_nodata[np.concatenate([_NONE, *self._beside_nodata])] = True
        objects = parts.merge(of_part, count)
        ends = self._row.stop == len(self._scene.rows)
        reach = self._below.parts
        waits = mark(of_part[reach[reach != NO_PART]], count) if not ends else np.zeros(count, bool)
        if self._nodes and not ends:
            waits[:] = True
        number = np.where(waits, np.cumsum(waits), np.cumsum(~waits)) - 1
        leaving = self._split(of_part, waits, number)
        self._statistics, self._count = [objects.take(waits)], int(waits.sum())
        self._links, self._beside_nodata = [], []
        self._above = Rim(
            labels=self._below.labels,
            parts=np.where(reach == NO_PART, NO_PART, number[of_part[reach]] if count else reach),
        )
        return Outlines(pieces=link(leaving, nodes=self._nodes), statistics=objects.take(~waits))

    def _split(self, of_part: NDArray[np.int32], waits: NDArray[np.bool_], number: NDArray[np.int64]) -> Pieces:
        """Give the pieces of objects that leave; the others stay, with their objects' new numbers."""
        staying: list[Pieces] = []
        leaving: list[Pieces] = []
        for page in self._pages:
            owner = of_part[page.owner]
            stays = waits[owner]
            for which, pile in ((stays, staying), (~stays, leaving)):
                if which.all():
                    pile.append(replace(page, owner=number[owner]))
                elif which.any():
                    pile.append(page.take(np.flatnonzero(which), number[owner[which]]))
        self._pages = staying or [Pieces.none()]
        return Pieces.of(leaving or [Pieces.none()])


_NONE = np.zeros(0, np.int64)


def _part_of(rim: Rim, span: Span) -> Rim:
    return Rim(labels=rim.labels[span.slice], parts=rim.parts[span.slice])


def _numbered(rim: Rim, first: int) -> Rim:
    """Give the pixels with their parts counted from `first`."""
    return Rim(labels=rim.labels, parts=np.where(rim.parts == NO_PART, NO_PART, rim.parts + first))


def _edges(
    direction: int,
    first: NDArray[np.intp],
    last: NDArray[np.intp],
    parts: NDArray[np.int64],
    corner: tuple[int, int],
) -> Pieces:
    """Give the edges along a seam as chains of one edge each."""
    axis = 0 if direction in (RIGHT, LEFT) else 1
    ends = np.tile(np.array(corner, np.int32), (2, len(first), 1))
    ends[0, :, axis] += first.astype(np.int32)
    ends[1, :, axis] += last.astype(np.int32) + 1
    start, end = ends if direction in (RIGHT, DOWN) else ends[::-1]
    directions = np.full(len(first), direction, np.int8)
    return Pieces(
        corners=start,
        offsets=np.arange(len(first) + 1, dtype=np.int64),
        owner=parts[first],
        closed=np.zeros(len(first), bool),
        end=end,
        leaves=directions,
        arrives=directions,
    )
