"""The steps of the polygon pipeline that run in workers: functions of one task each.

A task holds values, a source of blocks or a reader of the store, so it can be pickled. The result of a step depends on
its task alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.blocks import Block
from segflow.segmentation.vectors.execution import BlockSource
from segflow.segmentation.vectors.geodesy import Ground
from segflow.segmentation.vectors.polygons.arcs import Shaping
from segflow.segmentation.vectors.polygons.conflict_rounds import Band, search_band
from segflow.segmentation.vectors.polygons.conflicts import ShapedEdges, find_shaped_edges
from segflow.segmentation.vectors.polygons.finishing import Finished, finish
from segflow.segmentation.vectors.polygons.packed_corners import StoreReader, read_corners
from segflow.segmentation.vectors.polygons.tracing import TracedBlock, trace_block
from segflow.segmentation.vectors.sieving.changes import ClassChanges, apply_changes
from segflow.tiling import Grid, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceTask:
    """One block to trace.

    Attributes
    ----------
    source, window
        The block.
    classes
        Classes to trace; None: all classes and nodata, with the corners in which three or more boundaries meet.
    changes
        Regions of the block that change their class before it is traced; None: none.
    inspect
        Called with the block as it was read; its result is handed back with the traced block.
    """

    source: BlockSource
    window: Window
    classes: frozenset[int] | None = None
    changes: ClassChanges | None = None
    inspect: Callable[[Block], Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceResult:
    """The boundaries of a block, and what `inspect` gave."""

    traced: TracedBlock
    inspected: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsTask:
    """Objects to shape or finish: where the store holds their corners, their grid, and how they are shaped and cut."""

    store: StoreReader
    grid: Grid
    place: NDArray[np.int64]
    count: NDArray[np.int64]
    shaping: Shaping | None = None
    max_vertices: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BandTask:
    """One band of shaped boundaries to search for conflicts, and the store that holds it."""

    store: StoreReader
    band: Band


def trace_window(task: TraceTask) -> TraceResult:
    """Read and trace one block."""
    block, scene = task.source.read(task.window), task.source.grid.window
    inspected = task.inspect(block) if task.inspect else None
    if task.changes is not None:
        block = apply_changes(block, task.changes, scene)
    wanted = np.ones(256, bool)
    if task.classes is not None:
        wanted[:] = False
        wanted[list(task.classes)] = True
    traced = trace_block(block, scene=scene, wanted=wanted, nodes=task.classes is None)
    return TraceResult(traced=traced, inspected=inspected)


def list_shaped_edges(task: ObjectsTask) -> ShapedEdges:
    """Shape the boundaries of objects, and give the edges that result."""
    if task.shaping is None:  # only boundaries that are shaped are searched for conflicts
        msg = "boundaries that are not shaped have no shaped edges"
        raise ValueError(msg)
    return find_shaped_edges(read_corners(task.store, task.place, task.count), task.shaping)


def search_one_band(task: BandTask) -> NDArray[np.int64]:
    """Give the sections in conflict in one band."""
    return search_band(task.store, task.band)


def finish_objects(task: ObjectsTask) -> Finished:
    """Make polygons of objects."""
    packed = read_corners(task.store, task.place, task.count)
    return finish(packed, task.count, task.grid, _ground(task.grid), task.shaping, task.max_vertices)


@lru_cache(maxsize=1)
def _ground(grid: Grid) -> Ground | None:
    return Ground.of(grid)
