"""Polygons of a map of any size: blocks to boundaries, boundaries to objects, objects to features.

Blocks are traced by all processes and joined here in their order; corners wait in a file beside the
product. Finished objects are measured and encoded by all processes again, and come out by class and first pixel,
so what is written does not depend on the number of processes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from segflow.errors import SettingsError
from segflow.flows.progress import Progress
from segflow.flows.vectorize.pool import Pool
from segflow.flows.vectorize.worker_tasks import (
    BandTask,
    BlockTask,
    ObjectsTask,
    find_map_regions,
    finish_objects,
    search_bands,
    trace_map,
    trace_objects,
)
from segflow.io.raster.maps import MapFiles
from segflow.io.vector.spill import SpillFile
from segflow.segmentation.summary import MapSummary
from segflow.segmentation.vectors.geodesy import Ground
from segflow.segmentation.vectors.polygons.arcs import Shaping
from segflow.segmentation.vectors.polygons.conflict_rounds import Band, settle
from segflow.segmentation.vectors.polygons.conflicts import Traces
from segflow.segmentation.vectors.polygons.finishing import LONG, Finished, FinishedLong, finish_long
from segflow.segmentation.vectors.polygons.objects import StoredObjects
from segflow.segmentation.vectors.polygons.pipeline import join_blocks
from segflow.segmentation.vectors.polygons.rules import FEW, NOISE, PolygonRules
from segflow.segmentation.vectors.polygons.tracing import TracedBlock
from segflow.segmentation.vectors.ragged import ends_of
from segflow.segmentation.vectors.sieving.regions import AreaUnits, RegionGraph, RegionJoiner
from segflow.segmentation.vectors.sieving.sieve import Moved, moved, sieve

PORTION = 2**16  # corners that are finished in one task

Changes = list[tuple[NDArray[np.int32], NDArray[np.uint8]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonJob:
    """What polygons are to be made of.

    Attributes
    ----------
    files
        The map.
    classes
        Classes that become polygons.
    rules
        What they are to be.
    """

    files: MapFiles
    classes: frozenset[int]
    rules: PolygonRules


@dataclass(slots=True, kw_only=True)
class PolygonMap:
    """Polygons whose corners lie in a spill file, by class and first pixel.

    Attributes
    ----------
    objects
        What is known of them; None where there are none.
    moved
        What small objects and holes moved from class to class.
    shaping
        How boundaries change; None where they do not.
    """

    objects: StoredObjects | None = None
    moved: tuple[Moved, ...] = ()
    shaping: Shaping | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonPortion:
    """Finished polygons of one class: many small ones, or a single long one."""

    objects: StoredObjects
    finished: Finished | FinishedLong


def trace_polygons(
    job: PolygonJob, spill: SpillFile, pool: Pool, progress: Progress, summary: MapSummary | None = None
) -> PolygonMap:
    """Read a map and find its objects; their corners go to the spill file.

    Parameters
    ----------
    summary
        Counts what the map holds, as it was read.

    Raises
    ------
    DamagedError
        If the map cannot be read.
    SettingsError
        If it has more objects than the rules allow, or areas are asked for without a CRS.
    """
    changes: Changes | None = None
    what = PolygonMap()
    if job.rules.sieves:
        changes, what.moved = _sieve(job, pool, progress)
    guard = _Guard(job, progress)
    found = []
    traced = _traced(job, pool, progress, changes, summary)
    for objects in join_blocks(traced, grid=job.files.grid, store=spill, nodes=job.rules.shapes):
        guard.add(len(objects))
        # Where edges change, those of all classes and of nodata are looked at.
        wanted = job.rules.shapes | np.isin(objects.statistics.value, list(job.classes))
        if wanted.any():
            found.append(objects if wanted.all() else objects.take(wanted))
    spill.flush()
    what.objects = StoredObjects.of(found) if found else None
    if job.rules.shapes and what.objects is not None:
        what.shaping = _settle(job, what.objects, spill, pool)
        if len(what.shaping.exact):
            progress.note(f"{len(what.shaping.exact):,} pieces of boundaries stay exact, for they would cross others")
        what.objects = what.objects.take(np.isin(what.objects.statistics.value, list(job.classes)))
    return what


def finish_polygons(job: PolygonJob, found: PolygonMap, spill: SpillFile, pool: Pool) -> Iterator[PolygonPortion]:
    """Measure and encode objects, in their order."""
    objects = found.objects
    if objects is None:
        return
    grid = job.files.grid
    whole = found.shaping is not None or job.rules.max_vertices is not None  # what is simplified or cut
    longest = np.inf if whole else LONG
    slices = list(_portions(objects, longest))
    tasks = (_task(job, objects, part, spill, found.shaping) for part in slices if objects.count[part.start] <= longest)
    done = pool.run(finish_objects, tasks)
    for part in slices:
        some = objects.take(np.arange(part.start, part.stop))
        if some.count[0] <= longest:
            finished = next(done)
            parts = some if finished.parts is None else some.take(finished.parts.owner)
            yield PolygonPortion(objects=parts, finished=finished)
        else:
            long = finish_long(spill, int(some.place[0]), int(some.count[0]), grid, Ground.of(grid))
            yield PolygonPortion(objects=some, finished=long)


def _settle(job: PolygonJob, objects: StoredObjects, spill: SpillFile, pool: Pool) -> Shaping:
    """Find out which pieces of boundaries must stay exact."""
    parts = list(_portions(objects, np.inf))

    def trace(shaping: Shaping) -> Iterator[Traces]:
        return pool.run(trace_objects, (_task(job, objects, part, spill, shaping) for part in parts))

    def search(bands: list[Band]) -> Iterator[NDArray[np.int64]]:
        spill.flush()
        return pool.run(search_bands, (BandTask(spill=spill.path, band=band) for band in bands))

    return settle(Shaping.of(job.files.grid.window, job.rules), spill, trace, search)


def _task(
    job: PolygonJob, objects: StoredObjects, part: slice, spill: SpillFile, shaping: Shaping | None
) -> ObjectsTask:
    return ObjectsTask(
        spill=spill.path,
        grid=job.files.grid,
        place=objects.place[part],
        count=objects.count[part],
        shaping=shaping,
        max_vertices=job.rules.max_vertices,
    )


def check_areas(job: PolygonJob) -> AreaUnits:
    """Give the areas of a map's grid.

    Raises
    ------
    SettingsError
        If it has no CRS.
    """
    areas = AreaUnits.on(job.files.grid)
    if areas is None:
        msg = (
            f"{job.files.classes} has no coordinate reference system, so --min-area and --min-hole have no m²: "
            "leave them out, or give the raster its CRS"
        )
        raise SettingsError(msg)
    return areas


@dataclass(slots=True)
class _Guard:
    """Stops at too many objects, and warns of what looks like noise."""

    job: PolygonJob
    progress: Progress
    count: int = 0
    warned: bool = field(default=False)

    def add(self, objects: int) -> None:
        self.count += objects
        limit = self.job.rules.max_objects
        if self.count > limit:
            msg = (
                f"{self.job.files.classes} has more than {limit:,} objects, as noise has: "
                "clean it with a filter first, choose --classes, or raise --max-objects"
            )
            raise SettingsError(msg)
        pixels = self.job.files.grid.window.size
        if not self.warned and self.count > max(FEW, NOISE * pixels):
            self.warned = True
            self.progress.note(
                f"warning: {self.count:,} objects so far in {pixels:,} pixels look like noise; "
                f"the limit is {limit:,} (--max-objects)"
            )


def _traced(
    job: PolygonJob, pool: Pool, progress: Progress, changes: Changes | None, summary: MapSummary | None
) -> Iterator[TracedBlock]:
    tasks = (
        BlockTask(
            files=job.files,
            window=window,
            wanted=None if job.rules.shapes else job.classes,
            count=summary is not None,
            moved=changes[number] if changes is not None else None,
        )
        for number, window in enumerate(job.files.windows())
    )
    for done in pool.run(trace_map, tasks):
        if summary is not None and done.summary is not None:
            summary.merge(done.summary)
        yield done.traced
        progress.advance(done.traced.window.size)


def _sieve(job: PolygonJob, pool: Pool, progress: Progress) -> tuple[Changes, tuple[Moved, ...]]:
    """Decide which regions change their class: give the changes of each block, and what moved in all."""
    grid = job.files.grid
    unit = check_areas(job).square_metres
    joiner, guard = RegionJoiner(grid.window), _Guard(job, progress)
    for block in pool.run(find_map_regions, (BlockTask(files=job.files, window=w) for w in job.files.windows())):
        joiner.add(block)
        guard.add(len(block.regions))
        progress.advance(block.window.size)
    graph = joiner.finish()
    value = sieve(graph, min_units=job.rules.min_area_m2 / unit, min_hole_units=job.rules.min_hole_m2 / unit)
    return _changes(graph, value), moved(graph.regions, value, unit)


def _changes(graph: RegionGraph, value: NDArray[np.uint8]) -> Changes:
    changed = value != graph.regions.value
    found = []
    for block in range(len(graph.starts)):
        regions = graph.part(block)
        which = np.flatnonzero(changed[regions]).astype(np.int32)
        found.append((which, value[regions[which]]))
    return found


def _portions(objects: StoredObjects, longest: float) -> Iterator[slice]:
    """Cut objects into tasks of one class each; long ones stand alone."""
    ends = ends_of(objects.count)
    cuts = np.diff(objects.statistics.value) != 0
    long = objects.count > longest
    cuts |= (np.diff(ends[1:] // PORTION) > 0) | long[1:] | long[:-1]
    bounds = [0, *(np.flatnonzero(cuts) + 1).tolist(), len(objects)]
    for start, stop in pairwise(bounds):
        if start < stop:
            yield slice(start, stop)
