"""Simpler polygons of a class raster, without gaps or overlaps between neighbours."""

from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray

from segflow.segmentation.vectors.geodesy import Ground, world
from segflow.segmentation.vectors.ragged import ends_of
from segflow.segmentation.vectors.tables import PolygonTable, grouped
from segflow.tiling import Grid


def simplify(table: PolygonTable, *, tolerance: float, chosen: NDArray[np.bool_], grid: Grid) -> PolygonTable:
    """Simplify polygons that cover the whole scene; shared edges stay shared, the scene's outline stays.

    Parameters
    ----------
    table
        Polygons in pixels (column, row), with a corner wherever three of them meet.
    tolerance
        Roughly the square root of the area of the triangles that go [px].
    chosen
        (n,) bool array: the polygons to give back.
    grid
        The scene's grid.

    Returns
    -------
    The chosen polygons in world coordinates, measured again.

    References
    ----------
    Visvalingam and Whyatt, Line generalisation by repeated elimination of points (1993),
    as in GEOS' CoverageSimplifier.
    """
    simpler = shapely.coverage_simplify(table.geometry, tolerance, simplify_boundary=False)
    kept = replace(table, geometry=simpler).take(chosen)
    area, perimeter = _measure(kept.geometry, Ground.of(grid))
    placed = shapely.transform(kept.geometry, lambda points: np.stack(world(points, grid.transform), axis=1))
    geometry = shapely.orient_polygons(placed, exterior_cw=False)
    return replace(kept, geometry=geometry, area_m2=area, perimeter_m=perimeter)


def _measure(polygons: NDArray[np.object_], ground: Ground | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give areas [m²] and perimeters [m] of polygons in pixels; NaN without a ground."""
    n = len(polygons)
    if ground is None or not n:
        return np.full(n, np.nan), np.full(n, np.nan)
    rings, owner = shapely.get_rings(polygons, return_index=True)
    corners, ring = shapely.get_coordinates(rings, return_index=True)
    last = np.diff(ring, append=-1) != 0  # repeats the first
    offsets = ends_of(np.bincount(ring[~last], minlength=len(rings)))
    areas, perimeters = ground.measure_rings(corners[~last], offsets)
    holes = np.concatenate([[False], owner[1:] == owner[:-1]])  # a polygon's outline is its first ring
    return grouped(owner, np.where(holes, -areas, areas), n), grouped(owner, perimeters, n)
