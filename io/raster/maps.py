"""Read finished maps back: class and confidence rasters, block by block."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterioWindow

from segflow.errors import DamagedError
from segflow.io.scene.access import Access
from segflow.io.scene.gdal import gdal_env
from segflow.io.scene.info import SceneInfo
from segflow.io.scene.scenes import open_scene
from segflow.tiling import NODATA, Grid, TileGrid, Window

BLOCK = 1024  # px; side of the blocks that maps are read in, a multiple of the COG block


@dataclass(frozen=True, slots=True, kw_only=True)
class MapBlock:
    """A part of a map.

    Attributes
    ----------
    window
        Its place in the map.
    labels, confidence
        (height, width) uint8 arrays; 255 for nodata.
    """

    window: Window
    labels: np.ndarray
    confidence: np.ndarray


def read_blocks(classes: Path, confidence: Path, grid: Grid, block: int = BLOCK) -> Iterator[MapBlock]:
    """Read a class raster and its confidence raster in row-major blocks.

    Raises
    ------
    DamagedError
        If a raster cannot be read.
    """
    with open_map(classes) as labels, open_map(confidence) as percent:
        for tile in TileGrid(height=grid.height, width=grid.width, core=block, margin=0, stride=1):
            yield MapBlock(window=tile.core, labels=labels.read(tile.core), confidence=percent.read(tile.core))


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignClasses:
    """A class raster of any tool: what it says of itself, and how it may be opened.

    Its nodata value, mask and alpha band say which pixels are valid, as those of a scene do.
    """

    info: SceneInfo
    access: Access

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Give the values in a window, and where they are valid: (height, width) arrays.

        Raises
        ------
        SceneError
            If they cannot be read.
        """
        # Opened for this read alone, as readers that take turns may not nest their GDAL environments.
        with open_scene(self.info, (self.info.bands[0].number,), self.access) as scene:
            pixels, valid = scene.read_window(window)
        return pixels[0], valid


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFiles:
    """The files of a map, as they are handed to readers in this process or another.

    Attributes
    ----------
    classes, confidence
        Its rasters; a map without confidences has None.
    grid
        Their grid.
    codes
        ``(value, code)`` of the values in the class raster, in order; all others are nodata.
        Empty where the values are the classes, and 255 nodata.
    foreign
        The class raster of another tool; None: segflow wrote it, or wrote it so, and 255 alone is nodata.
    """

    classes: Path
    confidence: Path | None
    grid: Grid
    codes: tuple[tuple[int, int], ...] = ()
    foreign: ForeignClasses | None = None

    def windows(self, block: int = BLOCK) -> Iterator[Window]:
        """Give the blocks to read the map in, in row-major order."""
        for tile in TileGrid(height=self.grid.height, width=self.grid.width, core=block, margin=0, stride=1):
            yield tile.core


class MapPair:
    """The open rasters of a map."""

    def __init__(self, files: MapFiles) -> None:
        self._files = files
        self._stack = ExitStack()
        self._classes = None if files.foreign else self._stack.enter_context(open_map(files.classes))
        self._confidence = self._stack.enter_context(open_map(files.confidence)) if files.confidence else None

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Give classes and confidences of a window, (height, width) uint8 arrays; 255 for nodata, 0 for unknown."""
        labels, valid = self._read_classes(window)
        if self._files.codes:
            values = np.array([value for value, _ in self._files.codes])
            codes = np.array([code for _, code in self._files.codes], np.uint8)
            at = np.minimum(np.searchsorted(values, labels), len(values) - 1)
            labels = np.where(values[at] == labels, codes[at], np.uint8(NODATA))
        if valid is not None:
            labels = np.where(valid, labels, np.uint8(NODATA))
        if self._confidence is None:
            return labels, np.zeros(window.shape, np.uint8)
        return labels, self._confidence.read(window)

    def read_values(self, window: Window) -> np.ndarray:
        """Give the values of the valid pixels of the class raster in a window: (n,) array."""
        labels, valid = self._read_classes(window)
        return labels.ravel() if valid is None else labels[valid]

    def _read_classes(self, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        """Give the pixels of the class raster, and where they are valid; None where their values say it."""
        if self._files.foreign is not None:
            return self._files.foreign.read(window)
        if self._classes is None:
            msg = "a map is either ours or foreign"
            raise ValueError(msg)
        return self._classes.read(window), None


@dataclass(frozen=True, slots=True)
class MapReader:
    """An open single-band raster that segflow wrote."""

    dataset: rasterio.DatasetReader
    path: Path

    def read(self, window: Window) -> np.ndarray:
        """Give the pixels of a window: (height, width) uint8 array."""
        rows, cols = window.rows, window.cols
        box = RasterioWindow(cols.start, rows.start, len(cols), len(rows))
        try:
            with gdal_env():  # for this read alone: readers that take turns may not nest their environments
                pixels: np.ndarray = self.dataset.read(1, window=box)
        except RasterioError as error:
            msg = f"{self.path} cannot be read ({error}): delete it and run again"
            raise DamagedError(msg) from error
        return pixels


@contextmanager
def open_map(path: Path) -> Iterator[MapReader]:
    """Open a raster that segflow wrote.

    Raises
    ------
    DamagedError
        If it cannot be opened.
    """
    try:
        with gdal_env():
            dataset = rasterio.open(path, driver="GTiff")
    except RasterioError as error:
        msg = f"{path} cannot be opened ({error}): delete it and run again"
        raise DamagedError(msg) from error
    with dataset:
        yield MapReader(dataset, path)
