"""Polygons of objects with more corners than fit into memory: written chunk by chunk to the store.

The rings of an object are taken in groups of about LONG corners; a ring that is longer by itself is read, measured and
written in chunks of LONG corners.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.geodesy import Ground, world
from segflow.segmentation.vectors.polygons.encoding import POINT, encode_rings, polygon_headers
from segflow.segmentation.vectors.polygons.finishing import reverse_rings
from segflow.segmentation.vectors.polygons.packed_corners import CORNER_BYTES, START, PackedCorners, Store, unpack
from segflow.segmentation.vectors.ragged import offsets_of
from segflow.tiling import Grid

LONG = 2**18  # corners; an object with more is finished chunk by chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedLong:
    """The polygon of one object with more than LONG corners; other attributes as of `Finished`.

    Attributes
    ----------
    place, size
        Where its WKB lies in the store, and its length [bytes].
    """

    place: int
    size: int
    box: NDArray[np.float64]
    area_m2: float
    perimeter_m: float


def finish_long(store: Store, place: int, count: int, grid: Grid, ground: Ground | None) -> FinishedLong:
    """Make the polygon of one object with any number of corners; its WKB goes to the end of the store."""
    groups = _group_rings(store, place, count)
    header = polygon_headers(np.array([sum(len(rings) for rings in groups)])).tobytes()
    start = store.append(header)
    size, area, perimeter = len(header), 0.0, 0.0
    box = np.array([np.inf, np.inf, -np.inf, -np.inf])
    for number, rings in enumerate(groups):
        done = _finish_group(store, place, rings, grid, ground)
        areas = done.areas if number else done.areas * np.append(-1.0, np.ones(len(done.areas) - 1))
        area, perimeter, size = area - areas.sum(), perimeter + done.lengths.sum(), size + done.size
        if not number:
            box = done.box  # the first ring is the outline
    return FinishedLong(place=start, size=size, box=box, area_m2=float(area), perimeter_m=float(perimeter))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """Rings that were written: their areas and lengths, the bounding box of the first one, and the number of bytes."""

    areas: NDArray[np.float64]
    lengths: NDArray[np.float64]
    box: NDArray[np.float64]
    size: int


def _group_rings(store: Store, place: int, count: int) -> list[NDArray[np.int64]]:
    """Give the rings of an object as rows (begin, length), in groups; a long ring is a group of its own."""
    begins = []
    for start in range(0, count, LONG):
        packed = _read_range(store, place, start, min(LONG, count - start))
        begins.append(np.flatnonzero(packed & START) + start)
    begin = np.concatenate(begins)
    length = np.diff(begin, append=count)
    long = np.flatnonzero(length > LONG)
    cuts = np.flatnonzero(np.diff(begin // LONG)) + 1
    parts = np.split(np.stack([begin, length], axis=1), np.unique(np.concatenate([cuts, long, long + 1])))
    return [part for part in parts if len(part)]


def _finish_group(store: Store, place: int, rings: NDArray[np.int64], grid: Grid, ground: Ground | None) -> _Written:
    if len(rings) == 1 and rings[0, 1] > LONG:
        return _finish_ring(store, place, rings[0], grid, ground)
    offsets = offsets_of(rings[:, 1])
    corners = unpack(_read_range(store, place, int(rings[0, 0]), int(offsets[-1]))).astype(np.float64)
    corners = reverse_rings(corners, offsets) if grid.transform.determinant < 0 else corners
    points = np.stack(world(corners, grid.transform), axis=1)
    data = encode_rings(points, offsets)
    store.append(data)
    areas, lengths = ground.measure_rings(corners, offsets) if ground else np.full((2, len(rings)), np.nan)
    box = np.concatenate([points[: offsets[1]].min(0), points[: offsets[1]].max(0)])
    return _Written(areas=areas, lengths=lengths, box=box, size=len(data))


def _finish_ring(store: Store, place: int, ring: NDArray[np.int64], grid: Grid, ground: Ground | None) -> _Written:
    """Write one long ring, chunk by chunk."""
    reverse = grid.transform.determinant < 0
    boxes, count = [], int(ring[1])
    first = np.zeros((0, 2))
    store.append(np.array([count + 1], "<u4"))
    for chunk in _chunks(store, place, ring, reverse=reverse):
        points = np.stack(world(chunk, grid.transform), axis=1)
        first = first if len(first) else points[:1]
        store.append(points.astype("<f8"))
        boxes.append(np.concatenate([points.min(0), points.max(0)]))
    store.append(first.astype("<f8"))
    found = np.stack(boxes)
    area, length = ground.measure_ring(_chunks(store, place, ring, reverse=reverse)) if ground else (np.nan, np.nan)
    return _Written(
        areas=np.array([area]),
        lengths=np.array([length]),
        box=np.concatenate([found[:, :2].min(0), found[:, 2:].max(0)]),
        size=4 + POINT * (count + 1),
    )


def _chunks(store: Store, place: int, ring: NDArray[np.int64], *, reverse: bool) -> Iterator[NDArray[np.float64]]:
    """Give the corners of a long ring from its first one, chunk by chunk, in either direction."""
    begin, count = (int(number) for number in ring)
    if reverse:
        yield unpack(_read_range(store, place, begin, 1)).astype(np.float64)
        for stop in range(count, 1, -LONG):
            start = max(stop - LONG, 1)
            yield unpack(_read_range(store, place, begin + start, stop - start)).astype(np.float64)[::-1]
    else:
        for start in range(0, count, LONG):
            yield unpack(_read_range(store, place, begin + start, min(LONG, count - start))).astype(np.float64)


def _read_range(store: Store, place: int, start: int, count: int) -> PackedCorners:
    return np.frombuffer(store.read(place + start * CORNER_BYTES, count * CORNER_BYTES), np.int64)
