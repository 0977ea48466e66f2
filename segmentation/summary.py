"""What a map holds, in numbers: pixels, area and confidence of each class."""

import numpy as np
import numpy.typing as npt
from pyproj import CRS, Geod, Transformer

from segflow.segmentation.spec import NODATA
from segflow.tiling import Grid, Window

VALUES = 256  # of a uint8 raster
PERCENT = 101  # confidence is a whole number from 0 to 100
CELL = 64  # px; a pixel's area is taken as constant in a cell of this side: 1e-5 off at most at 10 m


class MapSummary:
    """Counts what block after block of a map holds; the order of the blocks does not matter.

    Attributes
    ----------
    pixels
        (256, 101) int64 array: number of pixels of each value at each confidence [%];
        nodata counts at confidence 0.
    area
        (256,) float64 array: geodesic area of each value [m²]; NaN for a grid without CRS.
    """

    def __init__(self, grid: Grid) -> None:
        self._cells = CellAreas(grid)
        self.pixels = np.zeros((VALUES, PERCENT), np.int64)
        self.area = np.zeros(VALUES)

    def add(self, window: Window, labels: npt.NDArray[np.uint8], confidence: npt.NDArray[np.uint8]) -> None:
        """Count a block.

        Parameters
        ----------
        window
            Its place in the map.
        labels, confidence
            (height, width) uint8 arrays; 255 where there is no data.
        """
        percent = np.where(labels == NODATA, 0, confidence).astype(np.int64)
        joint = np.bincount((labels.astype(np.int64) * PERCENT + percent).ravel(), minlength=VALUES * PERCENT)
        self.pixels += joint.reshape(VALUES, PERCENT)
        for top in range(0, labels.shape[0], CELL):
            for left in range(0, labels.shape[1], CELL):
                cell = labels[top : top + CELL, left : left + CELL]
                place = Window.of_shape(*cell.shape).shift(window.rows.start + top, window.cols.start + left)
                self.area += np.bincount(cell.ravel(), minlength=VALUES) * (self._cells.area(place) / cell.size)

    def count(self, value: int) -> int:
        """Give the number of pixels of a value."""
        return int(self.pixels[value].sum())

    def mean_confidence(self, value: int) -> float:
        """Give the mean confidence of a class, 0 to 1; NaN for a class without pixels."""
        count = self.count(value)
        return float(self.pixels[value] @ np.arange(PERCENT)) / count / 100 if count else float("nan")


class CellAreas:
    """Geodesic areas of windows of a grid."""

    def __init__(self, grid: Grid) -> None:
        self._transform = grid.transform
        self._to_degrees: Transformer | None = None
        self._geod: Geod | None = None
        if grid.crs is not None:
            crs = CRS.from_wkt(grid.crs)
            geographic, self._geod = crs.geodetic_crs, crs.get_geod()
            if geographic is not None and self._geod is not None:
                self._to_degrees = Transformer.from_crs(crs, geographic, always_xy=True)

    def area(self, window: Window) -> float:
        """Give the area of a window on the ellipsoid [m²]; NaN for a grid without CRS."""
        if self._to_degrees is None or self._geod is None:
            return float("nan")
        rows, cols = window.rows, window.cols
        corners = [(cols.start, rows.start), (cols.stop, rows.start), (cols.stop, rows.stop), (cols.start, rows.stop)]
        xs, ys = zip(*(self._transform @ corner for corner in corners), strict=True)
        lons, lats = self._to_degrees.transform(xs, ys)
        area, _ = self._geod.polygon_area_perimeter(lons, lats)
        return abs(float(area))
