"""Objects of pixel corners become polygons: measured on the ground, in world coordinates, as WKB.

Each object is finished on its own, so this can go on in many processes; the corners lie in a store
that all of them read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.geodesy import Ground, world
from segflow.segmentation.vectors.polygons.arcs import Shaping, shape
from segflow.segmentation.vectors.polygons.cutting import cut_polygons
from segflow.segmentation.vectors.polygons.encoding import POINT, encode_polygons, encode_rings, polygon_headers
from segflow.segmentation.vectors.polygons.packed_corners import START, Store, Words, unpack
from segflow.segmentation.vectors.ragged import ends_of, spread
from segflow.tiling import Grid

LONG = 2**18  # words; longer objects are finished piece by piece


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Which polygons are parts of objects that were cut.

    Attributes
    ----------
    owner
        (n,) int64 array: the object of each polygon.
    n_px
        (n,) int64 array: its number of pixels where it is a part, else 0.
    """

    owner: NDArray[np.int64]
    n_px: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Polygons of n objects.

    Attributes
    ----------
    wkb
        (bytes,) uint8 array: their well-known binary, one after the other.
    offsets
        (n + 1,) int64 array: where each begins.
    boxes
        (n, 4) float64 array: least x and y, largest x and y.
    area_m2, perimeter_m
        (n,) float64 arrays: on the ellipsoid [m², m]; NaN without a CRS.
    parts
        Where objects were cut; None: one polygon for each object.
    """

    wkb: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    boxes: NDArray[np.float64]
    area_m2: NDArray[np.float64]
    perimeter_m: NDArray[np.float64]
    parts: Parts | None = None


def finish(
    words: Words,
    counts: NDArray[np.int64],
    grid: Grid,
    ground: Ground | None,
    shaping: Shaping | None = None,
    max_vertices: int | None = None,
) -> Finished:
    """Make polygons of the words of objects: with `shaping` simplified and smoothed ones, cut if they are too long."""
    rings = np.append(np.flatnonzero(words & START), len(words)).astype(np.int64)
    polygons = np.searchsorted(rings, ends_of(counts))
    corners = unpack(words).astype(np.float64)
    if shaping is not None and len(words):
        shaped = shape(words, shaping)
        corners, rings = shaped.points, shaped.rings
    parts = None
    if max_vertices is not None and (np.diff(rings[polygons]) > max_vertices).any():
        cut = cut_polygons(corners, rings, polygons, max_vertices)
        corners, rings, polygons, parts = cut.points, cut.rings, cut.polygons, Parts(owner=cut.owner, n_px=cut.n_px)
    if grid.transform.determinant < 0:
        corners = backwards(corners, rings)
    finished = finish_rings(corners, rings, polygons, grid, ground)
    return finished if parts is None else replace(finished, parts=parts)


def finish_rings(
    corners: NDArray[np.float64],
    rings: NDArray[np.int64],
    polygons: NDArray[np.int64],
    grid: Grid,
    ground: Ground | None,
) -> Finished:
    """Make polygons of rings of points (column, row): outlines counterclockwise in the world, holes clockwise."""
    counts = np.diff(polygons)
    owner = np.repeat(np.arange(len(counts)), counts)
    if ground is None:
        area = perimeter = np.full(len(counts), np.nan)
    else:
        areas, lengths = ground.measure_rings(corners, rings)
        holes = np.ones(len(areas), bool)
        holes[polygons[:-1]] = False
        area, perimeter = (
            np.bincount(owner, values, len(counts)) for values in (np.where(holes, -areas, areas), lengths)
        )
    points = np.stack(world(corners, grid.transform), axis=1)
    wkb, offsets = encode_polygons(points, rings, polygons)
    return Finished(
        wkb=wkb,
        offsets=offsets,
        boxes=_boxes(points, rings, polygons),
        area_m2=area,
        perimeter_m=perimeter,
    )


def backwards(corners: NDArray[np.float64], rings: NDArray[np.int64]) -> NDArray[np.float64]:
    """Run through rings the other way round, from the same first corners."""
    turned = corners[::-1]  # rings come last first, each ending with its first corner
    lengths = np.diff(rings)
    place = spread(len(corners) - rings[1:] - 1, lengths)
    place[rings[:-1]] += lengths
    return turned[place]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedLong:
    """The polygon of one object that is too long for memory; other attributes as of `Finished`.

    Attributes
    ----------
    place, size
        Where its WKB lies in the store, and how long it is [bytes].
    """

    place: int
    size: int
    box: NDArray[np.float64]
    area_m2: float
    perimeter_m: float


def finish_long(store: Store, place: int, count: int, grid: Grid, ground: Ground | None) -> FinishedLong:
    """Make the polygon of one object of any length; its WKB goes to the end of the store."""
    portions = list(_cut(store, place, count))
    header = polygon_headers(np.array([sum(len(rings) for rings in portions)])).tobytes()
    start = store.append(header)
    size, area, perimeter = len(header), 0.0, 0.0
    box = np.array([np.inf, np.inf, -np.inf, -np.inf])
    for number, rings in enumerate(portions):
        done = _finish_portion(store, place, rings, grid, ground)
        areas = done.areas if number else done.areas * np.append(-1.0, np.ones(len(done.areas) - 1))
        area, perimeter, size = area - areas.sum(), perimeter + done.lengths.sum(), size + done.size
        if not number:
            box = done.box  # of the outline
    return FinishedLong(place=start, size=size, box=box, area_m2=float(area), perimeter_m=float(perimeter))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Portion:
    """Rings that were written: their areas and lengths, the box of the first one, and the bytes they took."""

    areas: NDArray[np.float64]
    lengths: NDArray[np.float64]
    box: NDArray[np.float64]
    size: int


def _cut(store: Store, place: int, count: int) -> "list[NDArray[np.int64]]":
    """Give the rings of an object as (begin, length) in portions; long rings stand alone."""
    begins = []
    for start in range(0, count, LONG):
        words = _run(store, place, start, min(LONG, count - start))
        begins.append(np.flatnonzero(words & START) + start)
    begin = np.concatenate(begins)
    length = np.diff(begin, append=count)
    long = np.flatnonzero(length > LONG)
    cuts = np.flatnonzero(np.diff(begin // LONG)) + 1
    parts = np.split(np.stack([begin, length], axis=1), np.unique(np.concatenate([cuts, long, long + 1])))
    return [part for part in parts if len(part)]


def _finish_portion(store: Store, place: int, rings: NDArray[np.int64], grid: Grid, ground: Ground | None) -> _Portion:
    if len(rings) == 1 and rings[0, 1] > LONG:
        return _finish_ring(store, place, rings[0], grid, ground)
    offsets = ends_of(rings[:, 1])
    corners = unpack(_run(store, place, int(rings[0, 0]), int(offsets[-1]))).astype(np.float64)
    corners = backwards(corners, offsets) if grid.transform.determinant < 0 else corners
    points = np.stack(world(corners, grid.transform), axis=1)
    data = encode_rings(points, offsets)
    store.append(data)
    areas, lengths = ground.measure_rings(corners, offsets) if ground else np.full((2, len(rings)), np.nan)
    box = np.concatenate([points[: offsets[1]].min(0), points[: offsets[1]].max(0)])
    return _Portion(areas=areas, lengths=lengths, box=box, size=len(data))


def _finish_ring(store: Store, place: int, ring: NDArray[np.int64], grid: Grid, ground: Ground | None) -> _Portion:
    """Write one long ring, piece by piece."""
    reverse = grid.transform.determinant < 0
    boxes, count = [], int(ring[1])
    first = np.zeros((0, 2))
    store.append(np.array([count + 1], "<u4"))
    for piece in _pieces(store, place, ring, reverse=reverse):
        points = np.stack(world(piece, grid.transform), axis=1)
        first = first if len(first) else points[:1]
        store.append(points.astype("<f8"))
        boxes.append(np.concatenate([points.min(0), points.max(0)]))
    store.append(first.astype("<f8"))
    found = np.stack(boxes)
    area, length = ground.measure_ring(_pieces(store, place, ring, reverse=reverse)) if ground else (np.nan, np.nan)
    return _Portion(
        areas=np.array([area]),
        lengths=np.array([length]),
        box=np.concatenate([found[:, :2].min(0), found[:, 2:].max(0)]),
        size=4 + POINT * (count + 1),
    )


def _pieces(store: Store, place: int, ring: NDArray[np.int64], *, reverse: bool) -> Iterator[NDArray[np.float64]]:
    """Give the corners of a long ring from its first one, piece by piece, forwards or backwards."""
    begin, count = (int(number) for number in ring)
    if reverse:
        yield unpack(_run(store, place, begin, 1)).astype(np.float64)
        for stop in range(count, 1, -LONG):
            start = max(stop - LONG, 1)
            yield unpack(_run(store, place, begin + start, stop - start)).astype(np.float64)[::-1]
    else:
        for start in range(0, count, LONG):
            yield unpack(_run(store, place, begin + start, min(LONG, count - start))).astype(np.float64)


def _run(store: Store, place: int, start: int, count: int) -> Words:
    return np.frombuffer(store.read(place + start * 8, count * 8), np.int64)


def _boxes(points: NDArray[np.float64], rings: NDArray[np.int64], polygons: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the boxes around the outlines of polygons."""
    outlines = polygons[:-1]
    if not len(outlines):
        return np.empty((0, 4))
    bounds = np.stack([rings[outlines], rings[outlines + 1]], axis=1).ravel()
    bounds = bounds[:-1] if bounds[-1] == len(points) else bounds  # reduceat wants starts inside
    least, largest = (edge.reduceat(points, bounds, axis=0)[::2] for edge in (np.minimum, np.maximum))
    return np.concatenate([least, largest], axis=1)
