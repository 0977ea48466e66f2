"""What worker processes do for vectors: they read blocks of a map, and give back what others need of them.

Nothing here loads torch, pyogrio or Dask: a worker is small and quick to start.
"""

import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segflow.io.raster.maps import MapFiles, MapPair
from segflow.io.vector.spill import SpillReader
from segflow.segmentation.summary import MapSummary
from segflow.segmentation.vectors.blocks import Block
from segflow.segmentation.vectors.components import Sides, find_components
from segflow.segmentation.vectors.geodesy import Ground
from segflow.segmentation.vectors.polygons.arcs import Shaping
from segflow.segmentation.vectors.polygons.conflict_rounds import Band, search_band
from segflow.segmentation.vectors.polygons.conflicts import Traces, traces_of
from segflow.segmentation.vectors.polygons.finishing import Finished, finish
from segflow.segmentation.vectors.polygons.packed_corners import read_words
from segflow.segmentation.vectors.polygons.tracing import TracedBlock, trace_block
from segflow.segmentation.vectors.sieving.regions import AreaUnits, RegionBlock, find_regions
from segflow.tiling import Grid, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockTask:
    """One block to read.

    Attributes
    ----------
    files
        Where it lies.
    window
        Its place.
    wanted
        Classes to trace; None: all, and nodata.
    count
        Also count what the block holds.
    moved
        Numbers of the block's regions that change their class, and the classes they get; None: none.
    """

    files: MapFiles
    window: Window
    wanted: frozenset[int] | None = None
    count: bool = False
    moved: tuple[NDArray[np.int32], NDArray[np.uint8]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockDone:
    """A block that was traced.

    Attributes
    ----------
    traced
        Its boundaries.
    summary
        What it holds, if that was asked for.
    """

    traced: TracedBlock
    summary: MapSummary | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsTask:
    """Objects to shape or finish: where their corners lie in the spill file, their grid, what they are to be."""

    spill: Path
    grid: Grid
    place: NDArray[np.int64]
    count: NDArray[np.int64]
    shaping: Shaping | None = None
    max_vertices: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BandTask:
    """A band of shaped boundaries to search for conflicts; it lies in the spill file."""

    spill: Path
    band: Band


def trace_map(task: BlockTask) -> BlockDone:
    """Read and trace one block."""
    block = _read(task)
    summary = None
    if task.count:
        summary = MapSummary(task.files.grid)
        summary.add(block.window, block.labels, block.confidence)
    scene = task.files.grid.window
    if task.moved is not None:
        found = find_components(block.labels, block.confidence, Sides.of(block.window, scene))
        value = found.statistics.value.copy()
        value[task.moved[0]] = task.moved[1]
        block = Block(window=block.window, labels=value[found.ids], confidence=block.confidence)
    wanted = np.ones(256, bool)
    if task.wanted is not None:
        wanted[:] = False
        wanted[list(task.wanted)] = True
    return BlockDone(traced=trace_block(block, scene=scene, wanted=wanted, nodes=task.wanted is None), summary=summary)


def count_map(task: BlockTask) -> MapSummary:
    """Count what one block holds."""
    block = _read(task)
    summary = MapSummary(task.files.grid)
    summary.add(block.window, block.labels, block.confidence)
    return summary


def find_map_regions(task: BlockTask) -> RegionBlock:
    """Read one block and find its regions."""
    return find_regions(_read(task), scene=task.files.grid.window, areas=_areas(task.files.grid))[0]


def read_block(task: BlockTask) -> Block:
    """Read one block."""
    return _read(task)


def list_values(task: BlockTask) -> list[int]:
    """Give the values that one block of a class raster holds, nodata too."""
    values: list[int] = np.unique(_pair(task.files).read_values(task.window)).tolist()
    return values


def finish_objects(task: ObjectsTask) -> Finished:
    """Make polygons of objects."""
    words = read_words(_spill(task.spill), task.place, task.count)
    return finish(words, task.count, task.grid, _ground(task.grid), task.shaping, task.max_vertices)


def trace_objects(task: ObjectsTask) -> Traces:
    """Shape the boundaries of objects, and give what that leaves behind."""
    if task.shaping is None:  # whoever asks for traces has a shaping
        msg = "boundaries that do not change leave no traces"
        raise ValueError(msg)
    return traces_of(read_words(_spill(task.spill), task.place, task.count), task.shaping)


def search_bands(task: BandTask) -> NDArray[np.int64]:
    """Give the pieces in conflict in one band."""
    return search_band(_spill(task.spill), task.band)


def close_files() -> None:
    """Close what this thread has open; other processes end."""
    vars(_open).clear()


def _read(task: BlockTask) -> Block:
    labels, confidence = _pair(task.files).read(task.window)
    return Block(window=task.window, labels=labels, confidence=confidence)


# What each thread has open, the last of its kind. Scenes are mapped side by side in threads of one process, and GDAL's
# environments belong to threads: what one opened, another must not close.
_open = threading.local()


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


@lru_cache(maxsize=1)
def _ground(grid: Grid) -> Ground | None:
    return Ground.of(grid)


@lru_cache(maxsize=1)
def _areas(grid: Grid) -> AreaUnits:
    areas = AreaUnits.on(grid)
    if areas is None:  # whoever asks for areas has checked that there are any
        msg = "a grid without CRS has no areas"
        raise ValueError(msg)
    return areas
