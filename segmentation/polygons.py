"""Polygons of a class raster that comes block by block.

The polygons are those of the whole raster, 4-connected, whatever the blocks: same corners, same
order of corners, same numbers. Each block is traced on its own (`tracing`), what reaches its
sides is joined (`seams`), and rings of whole pixels become polygons in world coordinates here.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import shapely
from numpy.typing import NDArray

from segflow.errors import SettingsError
from segflow.segmentation.components import NODATA
from segflow.segmentation.geodesy import Ground, world
from segflow.segmentation.pieces import Pieces, corner_key, spread
from segflow.segmentation.seams import Seams
from segflow.segmentation.tracing import Block, Outlines, trace_block
from segflow.tiling import Grid

__all__ = ["Block", "PolygonTable", "polygonise"]


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


def polygonise(
    blocks: Iterable[Block],
    *,
    grid: Grid,
    classes: Collection[int],
    min_area_m2: float = 0.0,
    simplify_px: float = 0.0,
    progress: Callable[[int], None] | None = None,
) -> Iterator[PolygonTable]:
    """Turn a class raster into polygons, 4-connected regions of one class.

    Parameters
    ----------
    blocks
        The scene's pixels as a grid of blocks, in row-major order.
    grid
        The scene's grid.
    classes
        The classes to turn into polygons.
    min_area_m2
        Objects below this area are left out, whole objects only [m²].
    simplify_px
        Tolerance of a simplification in which neighbours keep their shared edges [px]; the outline
        of the scene stays. With it, all polygons wait in memory for the last block.
    progress
        Called with the number of pixels of each block that is done.

    Yields
    ------
    Tables in which the polygons' order depends on the blocks; the set of polygons and every field do
    not. Sorted by (`class_id`, `first_px`), as by `PolygonTable.of`, the order does not either.

    Raises
    ------
    SettingsError
        If a class is out of range, or an area is asked for without a CRS.
    ValueError
        If the blocks are no grid in row-major order that covers the scene.
    """
    ground = Ground.of(grid)
    wanted = _wanted(classes)
    if min_area_m2 > 0 and ground is None:
        msg = "a smallest area in m² needs a scene with a coordinate reference system: leave --min-area out"
        raise SettingsError(msg)
    tables = (_table(outlines, grid, ground) for outlines in _outlines(blocks, grid, wanted, progress))
    for table in tables:
        large = table if min_area_m2 <= 0 else table.take(table.area_m2 >= min_area_m2)
        if len(large):
            yield large


def _wanted(classes: Collection[int]) -> NDArray[np.bool_]:
    outside = [c for c in classes if not 0 <= c < NODATA]
    if outside:
        msg = f"classes of polygons must lie in 0 … {NODATA - 1}, got {outside[0]}"
        raise SettingsError(msg)
    wanted = np.zeros(256, bool)
    wanted[list(classes)] = True
    return wanted


def _outlines(
    blocks: Iterable[Block], grid: Grid, wanted: NDArray[np.bool_], progress: Callable[[int], None] | None
) -> Iterator[Outlines]:
    """Give all objects' rings: those inside a block at once, the others with the row of blocks that completes them."""
    seams = Seams(grid.window)
    for block in blocks:
        traced = trace_block(block, scene=grid.window, wanted=wanted)
        yield traced.whole
        joined = seams.add(traced)
        if joined is not None:
            yield joined
        if progress:
            progress(block.window.size)
    seams.check_complete()


def _table(outlines: Outlines, grid: Grid, ground: Ground | None) -> PolygonTable:
    rings, holes = _in_order(outlines.pieces, reverse=grid.transform.determinant < 0)
    n = len(outlines.statistics)
    if ground is None:
        area = perimeter = np.full(n, np.nan)
    else:
        areas, perimeters = ground.measure_rings(rings.corners, rings.offsets)
        area = np.bincount(rings.owner, weights=np.where(holes, -areas, areas), minlength=n)
        perimeter = np.bincount(rings.owner, weights=perimeters, minlength=n)
    stats = outlines.statistics
    first = rings.heads[~holes].astype(np.int64)
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


def _in_order(rings: Pieces, *, reverse: bool) -> tuple[Pieces, NDArray[np.bool_]]:
    """Put rings into the one order that depends on nothing but their corners.

    Rings start at their upper left corner (the first in row-major order; a ring meets no corner
    twice) and come by owner: its outline, then its holes by their first corners.

    Returns
    -------
    The rings, run through in reverse where asked, and a bool array: True for holes.
    """
    if not len(rings):
        return rings, np.zeros(0, bool)
    key = corner_key(rings.corners)
    lengths, starts = rings.lengths, rings.offsets[:-1]
    lowest = np.minimum.reduceat(key, starts)
    turned = np.flatnonzero(key == np.repeat(lowest, lengths)) - starts
    # Outlines run clockwise on the screen: from their upper left corner to the right, holes downwards.
    x = rings.corners[:, 0]
    ahead = x[starts + (turned + 1) % lengths]
    holes = ahead == x[starts + turned]
    order = np.lexsort((lowest, holes, rings.owner))
    lengths, starts, turned = lengths[order], starts[order], turned[order]
    place = spread(np.zeros(len(order), np.int64), lengths)
    places = np.repeat(turned, lengths) + (-place if reverse else place)
    places %= np.repeat(lengths, lengths)
    ordered = rings.take(order, rings.owner[order])
    corners = rings.corners[np.repeat(starts, lengths) + places]
    return replace(ordered, corners=corners), holes[order]


def _polygons(rings: Pieces, grid: Grid) -> NDArray[np.object_]:
    if not len(rings):
        return np.empty(0, object)
    of_corner = np.repeat(np.arange(len(rings)), rings.lengths)
    linear = shapely.linearrings(*world(rings.corners, grid.transform), indices=of_corner)
    polygons: NDArray[np.object_] = shapely.polygons(linear, indices=rings.owner)
    return polygons
