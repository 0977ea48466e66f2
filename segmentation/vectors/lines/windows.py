"""A scene that comes in blocks is cut into windows with margins.

The windows depend on the size of the scene, not on the blocks, and so does everything that is made of them.
Memory holds the rows that a window and its margin need, over the width of the scene.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.block_order import BlockOrder
from segflow.segmentation.vectors.blocks import Block
from segflow.tiling import Tile, TileGrid, Window

Raster = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A window of a scene with its margin.

    Attributes
    ----------
    scene
        The window of all pixels.
    tile
        The pixels that the patch owns (core) and those that it contains (read).
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
        Called with the number of pixels of each block that was added.

    Yields
    ------
    The patches in row-major order. Their arrays are views that stay valid until the next row of patches.

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
    """The rows of a scene that are complete and still needed."""

    def __init__(self, scene: Window) -> None:
        self._scene = scene
        self._order = BlockOrder(scene)
        self._open: list[Block] = []  # blocks of the row that is incomplete
        self._start = 0
        self._labels = np.empty((0, len(scene.cols)), np.uint8)
        self._confidence = self._labels

    @property
    def stop(self) -> int:
        """The row after the last complete one."""
        return self._start + len(self._labels)

    def add(self, block: Block) -> None:
        """Add the next block."""
        self._order.add(block.window)
        self._open.append(block)
        if self._order.row_complete:
            self._labels = np.vstack([self._labels, np.hstack([b.labels for b in self._open])])
            self._confidence = np.vstack([self._confidence, np.hstack([b.confidence for b in self._open])])
            self._open = []

    def forget(self, before: int) -> None:
        """Drop the rows before this one."""
        dropped = before - self._start
        self._labels, self._confidence, self._start = self._labels[dropped:], self._confidence[dropped:], before

    def patch(self, tile: Tile) -> Patch:
        """Give a patch whose rows are complete."""
        place = tile.read.shift(-self._start, 0).slices
        return Patch(scene=self._scene, tile=tile, labels=self._labels[place], confidence=self._confidence[place])

    def check_complete(self) -> None:
        """Check that all blocks were added."""
        self._order.check_complete()
