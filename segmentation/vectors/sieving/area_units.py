"""Areas of pixels in whole units, so that sums of areas do not depend on the order of their terms."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.geodesy import Ground
from segflow.tiling import Grid, Span, Window

UNITS = 2**16  # of area in the pixel at the scene's centre: rounding costs less than the cells
CELL = 64  # px; the area of a pixel is taken as constant in cells of this side,
CELL_M = 1000.0  # m; and of no more than this: 1e-4 off at most at 50° of latitude


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


def _lines(span: Span, cell: int, end: int) -> NDArray[np.int64]:
    """Give where the cells that a span meets begin, and where the last one ends; cells are those of the scene [px]."""
    lines = np.arange(span.start // cell * cell, span.stop + cell, cell)
    lines = lines[: np.searchsorted(lines, span.stop) + 1]
    return np.minimum(lines, end)


def _of_cell(span: Span, lines: NDArray[np.int64]) -> NDArray[np.intp]:
    return np.searchsorted(lines, np.arange(span.start, span.stop), side="right") - 1
