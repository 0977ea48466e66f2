"""Regions of a class raster and what they border on, block by block: what decisions about small ones need.

Here every class counts, nodata too. Borders are counted in pixel edges, areas in whole units, so that
sums know no order.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.blocks import Block
from segflow.segmentation.vectors.components import Sides, find_components, join, mark
from segflow.segmentation.vectors.geodesy import Ground
from segflow.tiling import Grid, Span, Window

UNITS = 2**16  # of area in the pixel at the scene's centre: rounding costs less than the cells
CELL = 64  # px; the area of a pixel is taken as constant in cells of this side,
CELL_M = 1000.0  # m; and of no more than this: 1e-4 off at most at 50° of latitude


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """Regions of a raster, or of a part of it; (n,) arrays.

    Attributes
    ----------
    value
        uint8: the class.
    first
        int64: row-major index in the scene of the first pixel.
    n_px
        int64: number of pixels.
    units
        int64: area, see `AreaUnits`.
    edge
        bool: a pixel lies on the scene's edge.
    """

    value: NDArray[np.uint8]
    first: NDArray[np.int64]
    n_px: NDArray[np.int64]
    units: NDArray[np.int64]
    edge: NDArray[np.bool_]

    def __len__(self) -> int:
        """Give the number of regions."""
        return len(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionBlock:
    """The regions of one block.

    Attributes
    ----------
    window, inner
        Where it lies, and beyond which sides other blocks lie.
    regions
        Its regions.
    pairs, lengths
        (m, 2) int32 and (m,) int64 arrays: regions that meet and in how many pixel edges, the lower number first.
    top, left, bottom, right
        int32 arrays: the regions along its sides.
    """

    window: Window
    inner: Sides
    regions: Regions
    pairs: NDArray[np.int32]
    lengths: NDArray[np.int64]
    top: NDArray[np.int32]
    left: NDArray[np.int32]
    bottom: NDArray[np.int32]
    right: NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaUnits:
    """Areas of pixels in whole units.

    Attributes
    ----------
    grid
        The scene's grid.
    ground
        What measures it.
    square_metres
        One unit [m²].
    cell
        Side of the cells in which the area of a pixel is taken as constant [px].
    """

    grid: Grid
    ground: Ground
    square_metres: float
    cell: int

    @classmethod
    def on(cls, grid: Grid) -> Self | None:
        """Give the areas of a grid; None where it has no CRS."""
        ground = Ground.of(grid)
        if ground is None:
            return None
        col, row = grid.width / 2, grid.height / 2
        corners = np.array([[col, row], [col + 1, row], [col + 1, row + 1], [col, row + 1]])
        pixel = float(ground.measure_rings(corners, np.array([0, 4]))[0][0])
        cell = int(np.clip(CELL_M // np.sqrt(pixel), 1, CELL))
        return cls(grid=grid, ground=ground, square_metres=pixel / UNITS, cell=cell)

    def of(self, window: Window) -> NDArray[np.float64]:
        """Give the units of each pixel of a window: (height, width) array of whole numbers."""
        rows = _lines(window.rows, self.cell, self.grid.height)
        cols = _lines(window.cols, self.cell, self.grid.width)
        left, top = np.meshgrid(cols[:-1], rows[:-1])
        right, bottom = np.meshgrid(cols[1:], rows[1:])
        corners = np.stack([left, top, right, top, right, bottom, left, bottom], axis=-1).reshape(-1, 2)
        areas, _ = self.ground.measure_rings(corners, np.arange(0, len(corners) + 1, 4))
        heights, widths = np.diff(rows), np.diff(cols)
        units = np.rint(areas.reshape(left.shape) / np.outer(heights, widths) / self.square_metres)
        of_pixel: NDArray[np.float64] = units[np.ix_(_of_cell(window.rows, rows), _of_cell(window.cols, cols))]
        return of_pixel


def find_regions(block: Block, *, scene: Window, areas: AreaUnits) -> tuple[RegionBlock, NDArray[np.int32]]:
    """Give the regions of a block, and the region of each pixel: (height, width) int32 array."""
    inner = Sides.of(block.window, scene)
    found = find_components(block.labels, block.confidence, inner)
    ids, count = found.ids, len(found.statistics)
    first = np.empty(count, np.int64)
    flat = ids.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=-1))[::-1]  # the first one is written last
    first[flat[starts]] = starts
    row, col = np.divmod(first, len(block.window.cols))
    regions = Regions(
        value=found.statistics.value,
        first=(row + block.window.rows.start) * len(scene.cols) + col + block.window.cols.start,
        n_px=found.statistics.n_px,
        units=np.bincount(flat, areas.of(block.window).ravel(), count).astype(np.int64),
        edge=found.statistics.touches_edge,
    )
    beside = [(ids[:, :-1], ids[:, 1:]), (ids[:-1], ids[1:])]
    pairs, lengths = count_pairs(*(np.concatenate([pair[i][pair[0] != pair[1]] for pair in beside]) for i in (0, 1)))
    block_regions = RegionBlock(
        window=block.window,
        inner=inner,
        regions=regions,
        pairs=pairs.astype(np.int32),
        lengths=lengths,
        top=ids[0].copy(),
        left=ids[:, 0].copy(),
        bottom=ids[-1].copy(),
        right=ids[:, -1].copy(),
    )
    return block_regions, ids


def count_pairs(
    one: NDArray[np.integer], other: NDArray[np.integer], lengths: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the different pairs, the lower number first, and how often (or with what sum of lengths) each comes."""
    key = (np.minimum(one, other).astype(np.int64) << 32) | np.maximum(one, other)
    known, of_pair, counts = np.unique(key, return_inverse=True, return_counts=True)
    pairs = np.stack([known >> 32, known & 0xFFFFFFFF], axis=1)
    if lengths is None:
        return pairs, counts
    return pairs, np.bincount(of_pair, lengths, len(known)).astype(np.int64)


class RegionJoiner:
    """Joins the regions of blocks, which come in row-major order, to those of the scene."""

    def __init__(self, scene: Window) -> None:
        self._blocks: list[Regions] = []
        self._starts: list[int] = []
        self._count = 0
        self._equal: list[NDArray[np.int64]] = []  # (n, 2) regions of one class that meet across seams
        self._pairs: list[NDArray[np.int64]] = []
        self._lengths: list[NDArray[np.int64]] = []
        self._values = np.zeros(0, np.uint8)
        self._above = np.zeros(len(scene.cols), np.int64)
        self._above_values = np.zeros(len(scene.cols), np.uint8)
        self._left = np.zeros(0, np.int64)
        self._left_values = np.zeros(0, np.uint8)

    @property
    def count(self) -> int:
        """Number of regions so far, those of each block by themselves."""
        return self._count

    def add(self, block: RegionBlock) -> None:
        """Take the next block."""
        start, values, cols = self._count, block.regions.value, block.window.cols.slice
        self._starts.append(start)
        self._blocks.append(block.regions)
        self._count += len(block.regions)
        self._pairs.append(block.pairs.astype(np.int64) + start)
        self._lengths.append(block.lengths)
        if block.inner.top:
            self._join(self._above[cols], self._above_values[cols], block.top + start, values[block.top])
        if block.inner.left:
            self._join(self._left, self._left_values, block.left + start, values[block.left])
        self._left, self._left_values = block.right.astype(np.int64) + start, values[block.right]
        self._above[cols], self._above_values[cols] = block.bottom.astype(np.int64) + start, values[block.bottom]

    def _join(
        self,
        one: NDArray[np.int64],
        values: NDArray[np.uint8],
        other: NDArray[np.integer],
        other_values: NDArray[np.uint8],
    ) -> None:
        equal = values == other_values
        self._equal.append(np.stack([one[equal], other[equal]], axis=1))
        pairs, lengths = count_pairs(one[~equal], other[~equal])
        self._pairs.append(pairs)
        self._lengths.append(lengths)

    def finish(self) -> "RegionGraph":
        """Give the scene's regions."""
        none = np.zeros((0, 2), np.int64)
        links = np.concatenate([none, *self._equal])
        count, of_part = join(links[:, 0], links[:, 1], self._count)
        parts = {name: np.concatenate([getattr(b, name) for b in self._blocks]) for name in Regions.__slots__}
        value, first = np.zeros(count, np.uint8), np.full(count, np.iinfo(np.int64).max)
        value[of_part] = parts["value"]
        np.minimum.at(first, of_part, parts["first"])
        regions = Regions(
            value=value,
            first=first,
            n_px=np.bincount(of_part, parts["n_px"], count).astype(np.int64),
            units=np.bincount(of_part, parts["units"], count).astype(np.int64),
            edge=mark(of_part[parts["edge"]], count),
        )
        pairs = of_part[np.concatenate([none, *self._pairs])]
        pairs, lengths = count_pairs(pairs[:, 0], pairs[:, 1], np.concatenate([np.zeros(0, np.int64), *self._lengths]))
        return RegionGraph(
            regions=regions, pairs=pairs, lengths=lengths, of_part=of_part, starts=np.array(self._starts)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionGraph:
    """The regions of a scene and their borders.

    Attributes
    ----------
    regions
        The regions.
    pairs, lengths
        (m, 2) and (m,) int64 arrays: regions that meet, and in how many pixel edges.
    of_part
        (parts,) int32 array: the region of each region of a block.
    starts
        (blocks,) int64 array: number of each block's first one among the parts.
    """

    regions: Regions
    pairs: NDArray[np.int64]
    lengths: NDArray[np.int64]
    of_part: NDArray[np.int32]
    starts: NDArray[np.int64]

    def part(self, block: int) -> NDArray[np.int32]:
        """Give the region of each region of a block."""
        stop = self.starts[block + 1] if block + 1 < len(self.starts) else len(self.of_part)
        return self.of_part[self.starts[block] : stop]


def _lines(span: Span, cell: int, end: int) -> NDArray[np.int64]:
    """Give where the cells that a span meets begin, and where the last one ends; cells are those of the scene [px]."""
    lines = np.arange(span.start // cell * cell, span.stop + cell, cell)
    lines = lines[: np.searchsorted(lines, span.stop) + 1]
    return np.minimum(lines, end)


def _of_cell(span: Span, lines: NDArray[np.int64]) -> NDArray[np.intp]:
    return np.searchsorted(lines, np.arange(span.start, span.stop), side="right") - 1
