"""Files that worker processes read: maps block by block, and the spill file of corners.

What travels to a worker is a path; each thread opens its file at the first read and keeps it open. Scenes may be
mapped side by side in threads of one process, and GDAL's environments belong to threads, so no thread uses a file that
another one opened.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segflow.io.raster.maps import MapFiles, MapPair
from segflow.io.vector.spill import SpillFile, SpillReader
from segflow.segmentation.vectors.blocks import Block
from segflow.tiling import Grid, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class MapBlocks:
    """The blocks of a map on disk; a `BlockSource`."""

    files: MapFiles

    @property
    def name(self) -> str:
        """Path of the class raster."""
        return str(self.files.classes)

    @property
    def grid(self) -> Grid:
        """Grid of the map."""
        return self.files.grid

    def windows(self) -> Iterator[Window]:
        """Give the windows of all blocks, in row-major order."""
        return self.files.windows()

    def read(self, window: Window) -> Block:
        """Read one block."""
        labels, confidence = _pair(self.files).read(window)
        return Block(window=window, labels=labels, confidence=confidence)

    def read_values(self, window: Window) -> np.ndarray:
        """Read the values of the class raster as they are: (height, width) array."""
        return _pair(self.files).read_values(window)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpilledCorners:
    """Reads a spill file that this or another process writes; a `StoreReader`."""

    path: Path

    def read_many(self, places: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Give the bytes of many ranges, one after the other."""
        return _spill(self.path).read_many(places, sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpillStore:
    """A spill file as the `Store` of the polygon pipeline."""

    file: SpillFile

    def append(self, data: NDArray[np.generic] | bytes) -> int:
        """Write at the end, and give the place."""
        return self.file.append(data)

    def read(self, place: int, size: int) -> bytes:
        """Give `size` bytes from a place."""
        return self.file.read(place, size)

    def read_many(self, places: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Give the bytes of many ranges, one after the other."""
        return self.file.read_many(places, sizes)

    def reader(self) -> SpilledCorners:
        """Write buffered bytes to the disk, and give a reader of the file."""
        self.file.flush()
        return SpilledCorners(path=self.file.path)


def close_files() -> None:
    """Close the files that this thread holds open; those of worker processes close when the processes end."""
    vars(_open).clear()


_open = threading.local()  # the map and the spill file that each thread used last


def _pair(files: MapFiles) -> MapPair:
    if getattr(_open, "files", None) != files:
        _open.pair, _open.files = MapPair(files), files
    pair: MapPair = _open.pair
    return pair


def _spill(path: Path) -> SpillReader:
    if getattr(_open, "path", None) != path:
        _open.spill, _open.path = SpillReader(path), path
    spill: SpillReader = _open.spill
    return spill
