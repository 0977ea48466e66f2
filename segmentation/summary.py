"""What a map holds, in numbers: pixels, area and confidence of each class."""

import numpy as np
import numpy.typing as npt

from segflow.segmentation.vectors.geodesy import Ground
from segflow.tiling import NODATA, Grid, Span, Window

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
        self._ground = Ground.of(grid)
        self.pixels = np.zeros((VALUES, PERCENT), np.int64)
        self.area = np.zeros(VALUES)

    def __getstate__(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Give what was counted; a summary that went to another process counts no more, but can be merged."""
        return self.pixels, self.area

    def __setstate__(self, state: tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]) -> None:
        self._ground = None
        self.pixels, self.area = state

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
        weights = self._pixel_areas(window)
        self.area += np.bincount(labels.ravel(), weights=weights.ravel(), minlength=VALUES)

    def merge(self, other: "MapSummary") -> None:
        """Count what another summary of the same map has counted; areas to the last bit only in the same order."""
        self.pixels += other.pixels
        self.area += other.area

    def count(self, value: int) -> int:
        """Give the number of pixels of a value."""
        return int(self.pixels[value].sum())

    def mean_confidence(self, value: int) -> float:
        """Give the mean confidence of a class, 0 to 1; NaN for a class without pixels."""
        count = self.count(value)
        return float(self.pixels[value] @ np.arange(PERCENT)) / count / 100 if count else float("nan")

    def _pixel_areas(self, window: Window) -> npt.NDArray[np.float64]:
        """Give the area of every pixel of a window [m²], constant in cells: (height, width) array."""
        if self._ground is None:
            return np.full(window.shape, np.nan)
        rows, cols = _edges(window.rows), _edges(window.cols)
        left, top = np.meshgrid(cols[:-1], rows[:-1])
        right, bottom = np.meshgrid(cols[1:], rows[1:])
        corners = np.stack([left, top, right, top, right, bottom, left, bottom], axis=-1).reshape(-1, 2)
        areas, _ = self._ground.measure_rings(corners, np.arange(0, len(corners) + 1, 4))
        heights, widths = np.diff(rows), np.diff(cols)
        per_pixel = areas.reshape(left.shape) / np.outer(heights, widths)
        return np.repeat(np.repeat(per_pixel, heights, axis=0), widths, axis=1)


def _edges(span: Span) -> npt.NDArray[np.int64]:
    """Give where the cells of a span begin, and its end [px]."""
    return np.append(np.arange(span.start, span.stop, CELL), span.stop)
