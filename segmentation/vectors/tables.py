"""Polygons with their fields, and how they are made of rings of pixel corners."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import shapely
from numpy.typing import NDArray

from segflow.segmentation.vectors.geodesy import Ground, world
from segflow.segmentation.vectors.pieces import Pieces, corner_key
from segflow.segmentation.vectors.ragged import ends_of, portions, spread
from segflow.segmentation.vectors.tracing import Outlines
from segflow.tiling import Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonTable:
    """Polygons and their fields, (n,) arrays.

    Attributes
    ----------
    geometry
        Polygons in world coordinates: outlines counterclockwise, holes clockwise, each from
        the upper left one of its corners in the raster.
    class_id
        uint8: the class.
    first_px
        int64: row-major index in the scene of the object's first pixel; no two objects of a scene share it.
    n_px
        int64: number of pixels.
    confidence_mean, confidence_min
        float64: of the pixels' confidences, 0 … 1.
    touches_edge, touches_nodata
        bool: a pixel lies on the scene's edge, or has a nodata pixel above, below, left or right of it.
    area_m2, perimeter_m
        float64: on the ellipsoid, the perimeter with that of holes [m², m]; NaN without a CRS.
    """

    geometry: NDArray[np.object_]
    class_id: NDArray[np.uint8]
    first_px: NDArray[np.int64]
    n_px: NDArray[np.int64]
    confidence_mean: NDArray[np.float64]
    confidence_min: NDArray[np.float64]
    touches_edge: NDArray[np.bool_]
    touches_nodata: NDArray[np.bool_]
    area_m2: NDArray[np.float64]
    perimeter_m: NDArray[np.float64]

    def __len__(self) -> int:
        """Give the number of polygons."""
        return len(self.geometry)

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """Give the polygons of an index or a mask."""
        return type(self)(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    @classmethod
    def of(cls, tables: Iterable[Self]) -> Self:
        """Give the polygons of all tables, of which there is at least one, by class and first pixel."""
        tables = list(tables)
        table = cls(**{f.name: np.concatenate([getattr(t, f.name) for t in tables]) for f in fields(cls)})
        return table.take(np.lexsort((table.first_px, table.class_id)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rings:
    """Rings in order: (n, 2) corners, (rings + 1,) offsets into them, (rings,) owners, and True for holes."""

    corners: NDArray[np.int32]
    offsets: NDArray[np.int64]
    owner: NDArray[np.int64]
    holes: NDArray[np.bool_]


def build_polygons(outlines: Outlines, grid: Grid, ground: Ground | None) -> PolygonTable:
    """Make polygons of objects whose boundaries are complete.

    Parameters
    ----------
    outlines
        Objects with rings only.
    grid
        The scene's grid; polygons lie in its world coordinates.
    ground
        What measures areas and perimeters; without it they are NaN.
    """
    rings = _in_order(outlines.pieces, reverse=grid.transform.determinant < 0)
    n = len(outlines.statistics)
    if ground is None:
        area = perimeter = np.full(n, np.nan)
    else:
        areas, perimeters = ground.measure_rings(rings.corners, rings.offsets)
        area = grouped(rings.owner, np.where(rings.holes, -areas, areas), n)
        perimeter = grouped(rings.owner, perimeters, n)
    stats = outlines.statistics
    first = rings.corners[rings.offsets[:-1][~rings.holes]].astype(np.int64)
    return PolygonTable(
        geometry=_polygons(rings, grid),
        class_id=stats.value,
        first_px=first[:, 1] * grid.width + first[:, 0],
        n_px=stats.n_px,
        confidence_mean=stats.confidence_sum / stats.n_px / 100,
        confidence_min=stats.confidence_min / 100,
        touches_edge=stats.touches_edge,
        touches_nodata=stats.touches_nodata,
        area_m2=area,
        perimeter_m=perimeter,
    )


def _in_order(rings: Pieces, *, reverse: bool) -> Rings:
    """Put rings into the one order that depends on nothing but their corners.

    Rings start at their upper left corner (the first in row-major order; a ring meets no corner
    twice) and come by owner: its outline, then its holes by their first corners.
    In `reverse` they are run through backwards, from the same corner.
    """
    lengths, starts = rings.lengths, rings.offsets[:-1]
    lowest, turned = _first_corners(rings)
    # Outlines run clockwise on the screen: from their upper left corner to the right, holes downwards.
    x = rings.corners[:, 0]
    holes = x[starts + (turned + 1) % np.maximum(lengths, 1)] == x[starts + turned]
    order = np.lexsort((lowest, holes, rings.owner))
    lengths, starts, turned = lengths[order], starts[order], turned[order]
    offsets = ends_of(lengths)
    corners = np.empty_like(rings.corners)
    for some in portions(offsets):
        place = spread(np.zeros_like(lengths[some]), lengths[some])
        place = np.repeat(turned[some], lengths[some]) + (-place if reverse else place)
        place %= np.repeat(lengths[some], lengths[some])
        place += np.repeat(starts[some], lengths[some])
        corners[offsets[some.start] : offsets[some.stop]] = rings.corners[place]
    return Rings(corners=corners, offsets=offsets, owner=rings.owner[order], holes=holes[order])


def _first_corners(rings: Pieces) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the key of each ring's first corner in row-major order, and its place in the ring."""
    lowest, turned = np.empty(len(rings), np.int64), np.empty(len(rings), np.int64)
    for some in portions(rings.offsets):
        offsets = rings.offsets[some.start : some.stop + 1]
        key = corner_key(rings.corners[offsets[0] : offsets[-1]])
        offsets = offsets - offsets[0]
        lowest[some] = np.minimum.reduceat(key, offsets[:-1])
        turned[some] = np.flatnonzero(key == np.repeat(lowest[some], np.diff(offsets))) - offsets[:-1]
    return lowest, turned


def _polygons(rings: Rings, grid: Grid) -> NDArray[np.object_]:
    if not len(rings.owner):
        return np.empty(0, object)
    of_corner = np.repeat(np.arange(len(rings.owner)), np.diff(rings.offsets))
    linear = np.asarray(shapely.linearrings(*world(rings.corners, grid.transform), indices=of_corner))
    return np.asarray(shapely.polygons(linear, indices=rings.owner))


def grouped(owner: NDArray[np.integer], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Add up the rings' values by owner, in the order of the rings: (count,) float64 array."""
    return np.bincount(owner, weights=values, minlength=count).astype(np.float64)
