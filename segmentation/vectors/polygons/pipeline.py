"""Polygons of a class raster of any size: blocks to boundaries, boundaries to objects, objects to polygons.

The polygons are those of the whole raster, 4-connected, however it is divided into blocks: same corners, same order
of corners, same fields. The steps are

1. sieve: regions below the minimum mapping unit change their class (`sieving`),
2. trace: workers trace the boundaries of each block (`tracing`),
3. join: objects that cross the seams between blocks are joined, here and in order of the blocks (`seams`),
4. conflict rounds: where boundaries are simplified or smoothed, sections that would cross others stay as they are
   (`conflict_rounds`),
5. finish: workers make polygons in world coordinates of the objects, by class and first pixel (`portions`).

Corners wait in a store that the caller gives, a file for large rasters. Workers may be other processes or this one;
the result does not depend on them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segflow.errors import SettingsError
from segflow.segmentation.vectors.blocks import Block
from segflow.segmentation.vectors.execution import BlockSource, Watcher, Workers
from segflow.segmentation.vectors.polygons.arcs import Shaping
from segflow.segmentation.vectors.polygons.objects import StoredObjects
from segflow.segmentation.vectors.polygons.packed_corners import Store
from segflow.segmentation.vectors.polygons.portions import PolygonPortion, find_shaping, finish_portions
from segflow.segmentation.vectors.polygons.rules import FEW, NOISE, PolygonRules
from segflow.segmentation.vectors.polygons.seams import Seams
from segflow.segmentation.vectors.polygons.tracing import TracedBlock
from segflow.segmentation.vectors.polygons.worker_steps import TraceTask, trace_window
from segflow.segmentation.vectors.sieving.changes import ClassChanges, find_changes
from segflow.segmentation.vectors.sieving.regions import RegionBlock
from segflow.segmentation.vectors.sieving.sieve import Moved
from segflow.tiling import NODATA, Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonJob:
    """A class raster, the classes of it that become polygons, and the rules for these.

    Raises
    ------
    SettingsError
        If a class is out of range.
    """

    source: BlockSource
    classes: frozenset[int]
    rules: PolygonRules

    def __post_init__(self) -> None:
        outside = [c for c in self.classes if not 0 <= c < NODATA]
        if outside:
            msg = f"classes of polygons must lie in 0 … {NODATA - 1}, got {outside[0]}"
            raise SettingsError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A computation on the blocks of a raster that is done while they are read for polygons: they are read once.

    Attributes
    ----------
    inspect
        Called in a worker with each block as it was read; picklable, as is its result.
    collect
        Called here with these results, in the order of the blocks.
    """

    inspect: Callable[[Block], Any]
    collect: Callable[[Any], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonMap:
    """The objects of a raster, by class and first pixel, before they become polygons.

    Attributes
    ----------
    objects
        The objects; None where there are none.
    moved
        Pixels that the minimum mapping unit moved from class to class.
    shaping
        How boundaries are simplified and smoothed; None where they stay exact.
    """

    objects: StoredObjects | None = None
    moved: tuple[Moved, ...] = ()
    shaping: Shaping | None = None


def trace_polygons(
    job: PolygonJob, store: Store, workers: Workers, watcher: Watcher, inspection: Inspection | None = None
) -> PolygonMap:
    """Find the objects of a raster; their corners go to the store.

    Raises
    ------
    SegflowError
        If the raster cannot be read.
    SettingsError
        If it has more objects than the rules allow, or a minimum area is given and it has no CRS.
    ValueError
        If the blocks of the source are no grid in row-major order that covers the scene.
    """
    rules = job.rules
    changes, moved = _sieve(job, workers, watcher) if rules.sieves else (None, ())
    traced = _traced(job, workers, watcher, changes, inspection)
    joined = join_blocks(traced, grid=job.source.grid, store=store, nodes=rules.shapes)
    objects = _collect(job, joined, watcher)
    if objects is None or not rules.shapes:
        return PolygonMap(objects=objects, moved=moved)
    shaping = find_shaping(objects, Shaping.of(job.source.grid.window, rules), job.source.grid, store, workers)
    if len(shaping.exact):
        watcher.note(f"{len(shaping.exact):,} sections of boundaries stay exact, because they would cross others")
    chosen = objects.take(np.isin(objects.statistics.value, list(job.classes)))
    return PolygonMap(objects=chosen, moved=moved, shaping=shaping)


def finish_polygons(job: PolygonJob, found: PolygonMap, store: Store, workers: Workers) -> Iterator[PolygonPortion]:
    """Make polygons of the objects of a raster, in their order: measured, and in world coordinates."""
    return finish_portions(
        found.objects,
        job.source.grid,
        store,
        workers,
        shaping=found.shaping,
        max_vertices=job.rules.max_vertices,
    )


def join_blocks(
    traced: Iterable[TracedBlock], *, grid: Grid, store: Store, nodes: bool = False
) -> Iterator[StoredObjects]:
    """Join traced blocks: give objects as soon as their rings are complete, with their corners in the store.

    Raises
    ------
    ValueError
        If the blocks are no grid in row-major order that covers the scene.
    """
    seams = Seams(grid.window, store, nodes=nodes)
    for block in traced:
        yield from seams.add(block)
    seams.check_complete()


def _sieve(job: PolygonJob, workers: Workers, watcher: Watcher) -> tuple[list[ClassChanges], tuple[Moved, ...]]:
    limit = _ObjectLimit(job, watcher)

    def count(block: RegionBlock) -> None:
        limit.add(len(block.regions))
        watcher.advance(block.window.size)

    return find_changes(
        job.source,
        min_area_m2=job.rules.min_area_m2,
        min_hole_m2=job.rules.min_hole_m2,
        workers=workers,
        on_block=count,
    )


def _traced(
    job: PolygonJob,
    workers: Workers,
    watcher: Watcher,
    changes: list[ClassChanges] | None,
    inspection: Inspection | None,
) -> Iterator[TracedBlock]:
    """Trace all blocks. Where boundaries are shaped, all classes and nodata are traced, as they share boundaries."""
    tasks = (
        TraceTask(
            source=job.source,
            window=window,
            classes=None if job.rules.shapes else job.classes,
            changes=changes[number] if changes is not None else None,
            inspect=inspection.inspect if inspection else None,
        )
        for number, window in enumerate(job.source.windows())
    )
    for done in workers.run(trace_window, tasks):
        if inspection:
            inspection.collect(done.inspected)
        yield done.traced
        watcher.advance(done.traced.window.size)


def _collect(job: PolygonJob, joined: Iterable[StoredObjects], watcher: Watcher) -> StoredObjects | None:
    """Give the objects that are needed, by class and first pixel."""
    limit, found = _ObjectLimit(job, watcher), []
    for objects in joined:
        limit.add(len(objects))
        wanted = job.rules.shapes | np.isin(objects.statistics.value, list(job.classes))
        if wanted.any():
            found.append(objects if wanted.all() else objects.take(wanted))
    return StoredObjects.of(found) if found else None


@dataclass(slots=True)
class _ObjectLimit:
    """Stops at too many objects, and warns of a raster that looks like noise."""

    job: PolygonJob
    watcher: Watcher
    count: int = 0
    warned: bool = field(default=False)

    def add(self, objects: int) -> None:
        self.count += objects
        limit, source = self.job.rules.max_objects, self.job.source
        if self.count > limit:
            msg = (
                f"{source.name} has more than {limit:,} objects, as noise has: "
                "clean it with a filter first, choose --classes, or raise --max-objects"
            )
            raise SettingsError(msg)
        pixels = source.grid.window.size
        if not self.warned and self.count > max(FEW, NOISE * pixels):
            self.warned = True
            self.watcher.note(
                f"warning: {self.count:,} objects so far in {pixels:,} pixels look like noise; "
                f"the limit is {limit:,} (--max-objects)"
            )
