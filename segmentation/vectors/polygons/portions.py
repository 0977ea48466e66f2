"""Objects in portions that one worker shapes or finishes at a time; the polygons come out in the order of the objects.

Objects with very many corners are finished here, chunk by chunk, so that no worker needs memory for all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.components import Statistics
from segflow.segmentation.vectors.execution import Workers
from segflow.segmentation.vectors.geodesy import Ground
from segflow.segmentation.vectors.polygons.arcs import Shaping
from segflow.segmentation.vectors.polygons.conflict_rounds import Band, run_conflict_rounds
from segflow.segmentation.vectors.polygons.conflicts import ShapedEdges
from segflow.segmentation.vectors.polygons.finishing import Finished
from segflow.segmentation.vectors.polygons.long_objects import LONG, FinishedLong, finish_long
from segflow.segmentation.vectors.polygons.objects import StoredObjects
from segflow.segmentation.vectors.polygons.packed_corners import Store
from segflow.segmentation.vectors.polygons.worker_steps import (
    BandTask,
    ObjectsTask,
    finish_objects,
    list_shaped_edges,
    search_one_band,
)
from segflow.segmentation.vectors.ragged import offsets_of
from segflow.tiling import Grid

PORTION = 2**16  # corners that one task holds


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonPortion:
    """Finished polygons of one class: many small ones, or a single long one.

    Attributes
    ----------
    objects
        The object of each polygon; an object that was cut into several polygons is repeated.
    finished
        The polygons.
    """

    objects: StoredObjects
    finished: Finished | FinishedLong

    @classmethod
    def none(cls) -> Self:
        """Give a portion without polygons."""
        none, numbers = np.zeros(0, np.int64), np.zeros(0)
        return cls(
            objects=StoredObjects(statistics=Statistics.none(), first=none, place=none, count=none),
            finished=Finished(
                wkb=np.zeros(0, np.uint8),
                offsets=np.zeros(1, np.int64),
                boxes=np.zeros((0, 4)),
                area_m2=numbers,
                perimeter_m=numbers,
            ),
        )


def find_shaping(objects: StoredObjects, shaping: Shaping, grid: Grid, store: Store, workers: Workers) -> Shaping:
    """Give a shaping under which no boundaries cross: with the sections that must stay exact.

    Parameters
    ----------
    objects
        All objects of the scene, those of nodata too.
    shaping
        How boundaries are to be simplified and smoothed.
    grid
        The scene's grid.
    store
        Holds the corners of the objects, and takes what is searched for conflicts.
    workers
        Shape the objects and search for conflicts.
    """
    slices = list(cut_portions(objects, np.inf))

    def list_edges(shaping: Shaping) -> Iterator[ShapedEdges]:
        reader = store.reader()
        tasks = (
            ObjectsTask(store=reader, grid=grid, place=objects.place[s], count=objects.count[s], shaping=shaping)
            for s in slices
        )
        return workers.run(list_shaped_edges, tasks)

    def search(bands: list[Band]) -> Iterator[NDArray[np.int64]]:
        reader = store.reader()
        return workers.run(search_one_band, (BandTask(store=reader, band=band) for band in bands))

    return run_conflict_rounds(shaping, store, list_edges, search)


def finish_portions(
    objects: StoredObjects | None,
    grid: Grid,
    store: Store,
    workers: Workers,
    *,
    shaping: Shaping | None = None,
    max_vertices: int | None = None,
) -> Iterator[PolygonPortion]:
    """Make polygons of objects, in their order.

    Parameters
    ----------
    objects
        The objects, by class and first pixel; None for none.
    grid
        The scene's grid.
    store
        Holds their corners, and takes the polygons that are long.
    workers
        Finish the objects.
    shaping
        How boundaries are simplified and smoothed; None: not at all.
    max_vertices
        Polygons with more corners are cut along a grid; None: they stay whole.
    """
    if objects is None:
        return
    whole = shaping is not None or max_vertices is not None  # an object is simplified or cut as a whole
    longest = np.inf if whole else LONG
    slices, reader = list(cut_portions(objects, longest)), store.reader()
    tasks = (
        ObjectsTask(
            store=reader,
            grid=grid,
            place=objects.place[part],
            count=objects.count[part],
            shaping=shaping,
            max_vertices=max_vertices,
        )
        for part in slices
        if objects.count[part.start] <= longest
    )
    done = workers.run(finish_objects, tasks)
    for part in slices:
        some = objects.take(np.arange(part.start, part.stop))
        if some.count[0] <= longest:
            finished = next(done)
            owners = some if finished.cut is None else some.take(finished.cut.owner)
            yield PolygonPortion(objects=owners, finished=finished)
        else:
            long = finish_long(store, int(some.place[0]), int(some.count[0]), grid, Ground.of(grid))
            yield PolygonPortion(objects=some, finished=long)


def cut_portions(objects: StoredObjects, longest: float) -> Iterator[slice]:
    """Give slices of objects of one class with about PORTION corners; an object with more than `longest` is alone."""
    ends = offsets_of(objects.count)
    cuts = np.diff(objects.statistics.value) != 0
    long = objects.count > longest
    cuts |= (np.diff(ends[1:] // PORTION) > 0) | long[1:] | long[:-1]
    bounds = [0, *(np.flatnonzero(cuts) + 1).tolist(), len(objects)]
    for start, stop in pairwise(bounds):
        if start < stop:
            yield slice(start, stop)
