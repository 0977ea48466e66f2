"""Objects become polygons: measured on the ellipsoid, in world coordinates, as WKB.

Each object is finished independently of the others, so many processes can do it at once.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.geodesy import Ground, world
from segflow.segmentation.vectors.polygons.arcs import Shaping, shape
from segflow.segmentation.vectors.polygons.cutting import cut_polygons
from segflow.segmentation.vectors.polygons.encoding import encode_polygons
from segflow.segmentation.vectors.polygons.packed_corners import START, PackedCorners, unpack
from segflow.segmentation.vectors.ragged import index_ranges, offsets_of
from segflow.tiling import Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class CutPolygons:
    """Which objects polygons belong to, where objects were cut into several polygons.

    Attributes
    ----------
    owner
        (n,) int64 array: the object of each polygon.
    n_px
        (n,) int64 array: number of pixels of a polygon that is a part of its object, else 0.
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
        (n + 1,) int64 array: where each of them begins.
    boxes
        (n, 4) float64 array: least x and y, largest x and y.
    area_m2, perimeter_m
        (n,) float64 arrays: on the ellipsoid [m², m]; NaN without a CRS.
    cut
        Which objects the polygons belong to; None: one polygon for each object.
    """

    wkb: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    boxes: NDArray[np.float64]
    area_m2: NDArray[np.float64]
    perimeter_m: NDArray[np.float64]
    cut: CutPolygons | None = None


def finish(
    packed: PackedCorners,
    counts: NDArray[np.int64],
    grid: Grid,
    ground: Ground | None,
    shaping: Shaping | None = None,
    max_vertices: int | None = None,
) -> Finished:
    """Make polygons of objects.

    Parameters
    ----------
    packed, counts
        The packed corners of all objects, one after the other, and the number of each object's corners.
    grid, ground
        The scene's grid and the ground under it; without ground there are no areas and lengths.
    shaping
        How boundaries are simplified and smoothed; None: not at all.
    max_vertices
        Polygons with more corners are cut along a grid; None: they stay whole.
    """
    rings = np.append(np.flatnonzero(packed & START), len(packed)).astype(np.int64)
    polygons = np.searchsorted(rings, offsets_of(counts))
    corners = unpack(packed).astype(np.float64)
    if shaping is not None and len(packed):
        shaped = shape(packed, shaping)
        corners, rings = shaped.points, shaped.rings
    owners = None
    if max_vertices is not None and (np.diff(rings[polygons]) > max_vertices).any():
        cut = cut_polygons(corners, rings, polygons, max_vertices)
        corners, rings, polygons = cut.points, cut.rings, cut.polygons
        owners = CutPolygons(owner=cut.owner, n_px=cut.n_px)
    if grid.transform.determinant < 0:
        corners = reverse_rings(corners, rings)
    finished = finish_rings(corners, rings, polygons, grid, ground)
    return finished if owners is None else replace(finished, cut=owners)


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


def reverse_rings(corners: NDArray[np.float64], rings: NDArray[np.int64]) -> NDArray[np.float64]:
    """Reverse the direction of rings; their first corners stay the first ones."""
    reverse = corners[::-1]  # the last ring comes first, and each ring ends with its first corner
    lengths = np.diff(rings)
    place = index_ranges(len(corners) - rings[1:] - 1, lengths)
    place[rings[:-1]] += lengths
    return reverse[place]


def _boxes(points: NDArray[np.float64], rings: NDArray[np.int64], polygons: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the boxes around the outlines of polygons."""
    outlines = polygons[:-1]
    if not len(outlines):
        return np.empty((0, 4))
    bounds = np.stack([rings[outlines], rings[outlines + 1]], axis=1).ravel()
    bounds = bounds[:-1] if bounds[-1] == len(points) else bounds  # reduceat needs indices below the length
    least, largest = (edge.reduceat(points, bounds, axis=0)[::2] for edge in (np.minimum, np.maximum))
    return np.concatenate([least, largest], axis=1)
