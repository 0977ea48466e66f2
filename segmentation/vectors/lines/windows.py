"""A scene's blocks, cut anew into windows with margins.

The windows lie where the scene says, not where the blocks do; so does all that is made of them.
Memory holds the rows that a window and its margin need, over the width of the scene.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.blocks import Block
from segflow.tiling import Span, Tile, TileGrid, Window

Raster = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A window of a scene with its margin.

    Attributes
    ----------
    scene
        The window of all pixels.
    tile
        The pixels that the patch owns (core) and those that it holds (read).
    labels, confidence
        (height, width) uint8 arrays of the pixels read.
    """

    scene: Window
    tile: Tile
    labels: Raster
    confidence: Raster


def cut(blocks: Iterable[Block], tiles: TileGrid, progress: Callable[[int], None] | None = None) -> Iterator[Patch]:
    """Cut blocks into patches.

    Parameters
    ----------
    blocks
        The scene's pixels as a grid of blocks, in row-major order.
    tiles
        The patches to cut, of stride 1.
    progress
        Called with the number of pixels of each block that was taken.

    Yields
    ------
    The patches in row-major order. Their arrays are views of rows that are kept until the next row of patches.

    Raises
    ------
    ValueError
        If the blocks are no grid in row-major order that covers the scene.
    """
    scene = Window.of_shape(tiles.height, tiles.width)
    rows = _Rows(scene)
    waiting = iter(range(len(tiles.rows)))
    row = next(waiting, None)
    for block in blocks:
        rows.add(block)
        if progress:
            progress(block.window.size)
        while row is not None and _read(tiles, row, 0).read.rows.stop <= rows.stop:
            rows.forget(_read(tiles, row, 0).read.rows.start)
            yield from (rows.patch(_read(tiles, row, col)) for col in range(len(tiles.cols)))
            row = next(waiting, None)
    rows.check_complete()


def _read(tiles: TileGrid, row: int, col: int) -> Tile:
    return tiles.around(Window(tiles.rows.core_at(row), tiles.cols.core_at(col)))


class _Rows:
    """The rows of a scene that are complete and still wanted."""

    def __init__(self, scene: Window) -> None:
        """Start before the first block."""
        self._scene = scene
        self._next = (0, 0)  # row and column of the next block
        self._open: list[Block] = []  # the row of blocks that grows
        self._start = 0
        self._labels = np.empty((0, len(scene.cols)), np.uint8)
        self._confidence = self._labels

    @property
    def stop(self) -> int:
        """The row after the last complete one."""
        return self._start + len(self._labels)

    def add(self, block: Block) -> None:
        """Take the next block."""
        self._expect(block.window)
        self._open.append(block)
        if self._next[1] == 0:
            self._labels = np.vstack([self._labels, np.hstack([b.labels for b in self._open])])
            self._confidence = np.vstack([self._confidence, np.hstack([b.confidence for b in self._open])])
            self._open = []

    def forget(self, before: int) -> None:
        """Let the rows before this one go."""
        gone = before - self._start
        self._labels, self._confidence, self._start = self._labels[gone:], self._confidence[gone:], before

    def patch(self, tile: Tile) -> Patch:
        """Give a patch of rows that are there."""
        place = tile.read.shift(-self._start, 0).slices
        return Patch(scene=self._scene, tile=tile, labels=self._labels[place], confidence=self._confidence[place])

    def check_complete(self) -> None:
        """Make sure that the last block was given."""
        if self._next != (len(self._scene.rows), 0):
            msg = f"blocks must cover all {len(self._scene.rows)} rows, but they end before row, column {self._next}"
            raise ValueError(msg)

    def _expect(self, window: Window) -> None:
        fits = (window.rows.start, window.cols.start) == self._next and window in self._scene and window.size
        rows: Span = self._open[0].window.rows if self._open else window.rows
        if not fits or window.rows != rows:
            msg = (
                f"blocks must come in row-major order, the next one at row, column {self._next} "
                f"in the rows of those before it, got {window}"
            )
            raise ValueError(msg)
        ends = window.cols.stop == len(self._scene.cols)
        self._next = (window.rows.stop, 0) if ends else (window.rows.start, window.cols.stop)
