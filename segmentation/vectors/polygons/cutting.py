"""Polygons with very many corners are cut along the lines of a fixed grid.

A polygon is cut in two along the grid line that is nearest to the middle of its longer side. Its parts are cut again
until each has few enough corners or is not crossed by a grid line. The grid starts at the scene's first pixel.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from segflow.segmentation.vectors.ragged import offsets_of

GRID = 1024  # px between the lines along which polygons may be cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Polygons after cutting, as rings of points (column, row), outlines clockwise on the screen.

    Attributes
    ----------
    points
        (n, 2) float64 array.
    rings, polygons
        (rings + 1,) and (polygons + 1,) int64 arrays: offsets of rings in the points, and of polygons in the rings.
    owner
        (polygons,) int64 array: the polygon that each is a part of.
    n_px
        (polygons,) int64 array: areas [px], for parts; 0 for polygons that are whole.
    """

    points: NDArray[np.float64]
    rings: NDArray[np.int64]
    polygons: NDArray[np.int64]
    owner: NDArray[np.int64]
    n_px: NDArray[np.int64]


def cut_polygons(points: NDArray[np.float64], rings: NDArray[np.int64], polygons: NDArray[np.int64], most: int) -> Cut:
    """Cut polygons with more than `most` corners; the others stay whole."""
    counts = np.diff(rings[polygons])
    parts: list[NDArray[np.float64]] = []
    lengths: list[int] = []
    ring_counts: list[int] = []
    owner: list[int] = []
    n_px: list[int] = []
    for number in range(len(counts)):
        own = [points[rings[i] : rings[i + 1]] for i in range(polygons[number], polygons[number + 1])]
        members = [own]
        if counts[number] > most:
            whole = shapely.Polygon(own[0], own[1:])
            halves = _halve(whole, most)
            members = [_rings(half) for half in halves]
            n_px += [round(half.area) for half in halves]
        else:
            n_px.append(0)
        for member in members:
            parts += member
            lengths += [len(ring) for ring in member]
            ring_counts.append(len(member))
            owner.append(number)
    return Cut(
        points=np.concatenate([np.zeros((0, 2)), *parts]),
        rings=offsets_of(np.array(lengths, np.int64)),
        polygons=offsets_of(np.array(ring_counts, np.int64)),
        owner=np.array(owner, np.int64),
        n_px=np.array(n_px, np.int64),
    )


def _halve(polygon: shapely.Polygon, most: int) -> list[shapely.Polygon]:
    """Cut one polygon until its parts have at most `most` corners."""
    if shapely.get_num_coordinates(polygon) <= most:
        return [polygon]
    left, top, right, bottom = polygon.bounds
    across = right - left >= bottom - top
    low, high = (left, right) if across else (top, bottom)
    line = round((low + high) / 2 / GRID) * GRID
    if not low < line < high:
        return [polygon]
    boxes = (
        (shapely.box(left, top, line, bottom), shapely.box(line, top, right, bottom))
        if across
        else (shapely.box(left, top, right, line), shapely.box(left, line, right, bottom))
    )
    found: list[shapely.Polygon] = []
    for box in boxes:
        for part in shapely.get_parts(shapely.intersection(polygon, box)):
            if isinstance(part, shapely.Polygon):
                found += _halve(part, most)
    return found


def _rings(polygon: shapely.Polygon) -> list[NDArray[np.float64]]:
    turned = shapely.orient_polygons(shapely.normalize(polygon), exterior_cw=False)
    return [shapely.get_coordinates(ring)[:-1] for ring in (turned.exterior, *turned.interiors)]
