"""The counts of a comparison between a map and a reference, block by block.

A block comes with a halo, so that distances across its border are known; only its core counts.
Every table adds up, so neither the size nor the order of the blocks changes a figure.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segflow.segmentation.scores.bootstrap import block_side
from segflow.segmentation.scores.boundary import BUFFER, TOLERANCE, Labels, count_matches, halo_of
from segflow.segmentation.scores.calibration import PERCENT, reliability
from segflow.segmentation.scores.distance import (
    FARTHEST,
    NAMES,
    boundary_distance,
    count_by_distance,
    tile_distance,
)
from segflow.segmentation.scores.metrics import Counts
from segflow.segmentation.summary import MapSummary
from segflow.tiling import NODATA, Grid, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracySettings:
    """How a map is compared.

    Attributes
    ----------
    classes
        Number of classes.
    tolerance
        Of boundary F1 [px].
    buffer
        Of relaxed scores [px].
    tile
        Side of the cores of the map's tiles [px]; None if that is not known.
    """

    classes: int
    tolerance: float = TOLERANCE
    buffer: float = BUFFER
    tile: int | None = None

    def __post_init__(self) -> None:
        if self.classes < 1 or self.tolerance < 0 or self.buffer < 0 or (self.tile is not None and self.tile < 1):
            msg = f"classes and tile must be positive, tolerance and buffer not negative, got {self}"
            raise ValueError(msg)

    @property
    def halo(self) -> int:
        """How far around a block its pixels must be known [px]."""
        return max(halo_of(self.tolerance), halo_of(self.buffer), FARTHEST + 1)


class AccuracyCounts:
    """Counts block after block of a map and its reference.

    Attributes
    ----------
    settings
        How the map is compared.
    confusion
        (classes, classes) table of pixels, indexed [truth, prediction].
    blocks
        (blocks, classes, classes) the same for each square of side `side`, for the bootstrap.
    side
        Side of those squares [px].
    boundary, relaxed
        (classes, 4) counts of matches.
    by_boundary, by_tile
        (bins, 2) wrong and right pixels by distance; `by_tile` stays empty where there is one tile.
    reliability
        (2, 101) wrong and right pixels by confidence.
    mapped, reference
        What either map holds where both are known, with geodesic areas.
    """

    def __init__(self, grid: Grid, settings: AccuracySettings) -> None:
        self.settings = settings
        self.side = block_side(grid.shape)
        self._shape = grid.shape
        self._across = -(-grid.width // self.side)
        squares = -(-grid.height // self.side) * self._across
        self.blocks: Counts = np.zeros((squares, settings.classes, settings.classes), np.int64)
        self.boundary = np.zeros((settings.classes, 4), np.int64)
        self.relaxed = np.zeros((settings.classes, 4), np.int64)
        self.by_boundary = np.zeros((len(NAMES), 2), np.int64)
        self.by_tile = np.zeros((len(NAMES), 2), np.int64)
        self.reliability = np.zeros((2, PERCENT), np.int64)
        self.mapped, self.reference = MapSummary(grid), MapSummary(grid)

    @property
    def confusion(self) -> Counts:
        """The table of all pixels."""
        total: Counts = self.blocks.sum(0)
        return total

    def add(
        self,
        core: Window,
        read: Window,
        truth: Labels,
        prediction: Labels,
        confidence: npt.NDArray[np.uint8] | None = None,
    ) -> None:
        """Count a block.

        Parameters
        ----------
        core
            The pixels that count, in the map.
        read
            The core and `settings.halo` pixels around it, inside the map.
        truth, prediction
            Class values of `read`, (height, width) uint8 arrays; 255 where unknown.
        confidence
            Confidence of `read` [%], where there is a raster of it.
        """
        settings, inner = self.settings, core.relative_to(read)
        self.boundary += count_matches(truth, prediction, settings.classes, settings.tolerance, "boundary", inner)
        self.relaxed += count_matches(truth, prediction, settings.classes, settings.buffer, "area", inner)
        distances = boundary_distance(truth)[inner.slices]
        true, given = truth[inner.slices], prediction[inner.slices]
        self.by_boundary += count_by_distance(true, given, distances)
        self._add_pixels(core, true, given)
        if confidence is not None:
            self.reliability += reliability(true, given, confidence[inner.slices])
        edges = None if settings.tile is None else tile_distance(core, self._shape, settings.tile)
        if edges is not None:
            self.by_tile += count_by_distance(true, given, edges)

    def _add_pixels(self, core: Window, truth: Labels, prediction: Labels) -> None:
        """Count pixels by their square, true and predicted class, and their areas."""
        classes = self.settings.classes
        known = (truth != NODATA) & (prediction != NODATA)
        first = (core.rows.start // self.side, core.cols.start // self.side)
        rows = np.arange(core.rows.start, core.rows.stop) // self.side - first[0]
        cols = np.arange(core.cols.start, core.cols.stop) // self.side - first[1]
        down, across = int(rows[-1]) + 1, int(cols[-1]) + 1
        squares = (rows[:, None] * across + cols[None])[known]
        places = (squares * classes + truth[known]) * classes + prediction[known]
        counts = np.bincount(places, minlength=down * across * classes**2)
        numbers = (np.arange(down)[:, None] + first[0]) * self._across + np.arange(across) + first[1]
        self.blocks[numbers.ravel()] += counts.reshape(-1, classes, classes)
        blank = np.zeros(truth.shape, np.uint8)
        self.mapped.add(core, np.where(known, prediction, NODATA), blank)
        self.reference.add(core, np.where(known, truth, NODATA), blank)
