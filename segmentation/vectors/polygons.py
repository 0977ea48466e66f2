"""Polygons of a class raster that comes block by block.

The polygons are those of the whole raster, 4-connected, whatever the blocks: same corners, same
order of corners, same numbers. Each block is traced on its own (`tracing`), what reaches its
sides is joined (`seams`), rings of pixel corners become polygons in world coordinates (`tables`).
Memory holds one row of blocks' boundaries and the objects that are still open.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from segflow.errors import SettingsError
from segflow.segmentation.vectors.components import NODATA
from segflow.segmentation.vectors.geodesy import Ground
from segflow.segmentation.vectors.seams import Seams
from segflow.segmentation.vectors.simplification import simplify
from segflow.segmentation.vectors.tables import PolygonTable, build_polygons
from segflow.segmentation.vectors.tracing import Block, Outlines, trace_block
from segflow.tiling import Grid

__all__ = ["Block", "PolygonTable", "polygonise"]


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
    tables = (
        _simplified(blocks, grid, wanted, simplify_px, progress)
        if simplify_px > 0
        else (build_polygons(outlines, grid, ground) for outlines in _outlines(blocks, grid, wanted, progress))
    )
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
    blocks: Iterable[Block],
    grid: Grid,
    wanted: NDArray[np.bool_],
    progress: Callable[[int], None] | None,
    *,
    nodes: bool = False,
) -> Iterator[Outlines]:
    """Give all objects' rings: those inside a block at once, the others with the row of blocks that completes them."""
    seams = Seams(grid.window, nodes=nodes)
    for block in blocks:
        traced = trace_block(block, scene=grid.window, wanted=wanted, nodes=nodes)
        yield traced.whole
        joined = seams.add(traced)
        if joined is not None:
            yield joined
        if progress:
            progress(block.window.size)
    seams.check_complete()


def _simplified(
    blocks: Iterable[Block],
    grid: Grid,
    wanted: NDArray[np.bool_],
    tolerance: float,
    progress: Callable[[int], None] | None,
) -> Iterator[PolygonTable]:
    """Give all polygons, simplified beside those of nodata and of other classes: only so is every edge shared."""
    pixels = replace(grid, transform=Affine.identity(), crs=None)
    outlines = _outlines(blocks, grid, np.ones_like(wanted), progress, nodes=True)
    table = PolygonTable.of(build_polygons(part, pixels, None) for part in outlines)
    yield simplify(table, tolerance=tolerance, chosen=wanted[table.class_id], grid=grid)
