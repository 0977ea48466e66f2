"""Polygons of a class raster that comes block by block.

The polygons are those of the whole raster, 4-connected, whatever the blocks: same corners, same
order of corners, same numbers. Each block is traced on its own (`tracing`), what reaches its
sides is joined (`seams`), rings of pixel corners become polygons in world coordinates (`finishing`).
`segflow.flows.vectorize.polygon_map` takes the same steps with many processes and a file for the corners.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from segflow.errors import SettingsError
from segflow.segmentation.vectors.blocks import Block
from segflow.segmentation.vectors.geodesy import Ground
from segflow.segmentation.vectors.polygons.arcs import Shaping
from segflow.segmentation.vectors.polygons.conflict_rounds import search_band, settle
from segflow.segmentation.vectors.polygons.conflicts import Traces, traces_of
from segflow.segmentation.vectors.polygons.finishing import finish
from segflow.segmentation.vectors.polygons.objects import StoredObjects
from segflow.segmentation.vectors.polygons.packed_corners import MemoryStore, Store, read_words
from segflow.segmentation.vectors.polygons.rules import PolygonRules
from segflow.segmentation.vectors.polygons.seams import Seams
from segflow.segmentation.vectors.polygons.tables import PolygonTable, build_table
from segflow.segmentation.vectors.polygons.tracing import TracedBlock, trace_block
from segflow.segmentation.vectors.sieving.regions import AreaUnits, RegionJoiner, find_regions
from segflow.segmentation.vectors.sieving.sieve import Moved, moved, sieve
from segflow.tiling import NODATA, Grid

__all__ = ["Block", "PolygonTable", "polygonise"]


def polygonise(
    blocks: Iterable[Block],
    *,
    grid: Grid,
    classes: Collection[int],
    rules: PolygonRules | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[PolygonTable]:
    """Turn a class raster whose polygons fit into memory into polygons, 4-connected regions of one class.

    Parameters
    ----------
    blocks
        The scene's pixels as a grid of blocks, in row-major order.
    grid
        The scene's grid.
    classes
        The classes to turn into polygons.
    rules
        What the polygons are to be; None: pixel-exact, and all of them.
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
    rules = rules or PolygonRules()
    wanted, ground, store = wanted_classes(classes), Ground.of(grid), MemoryStore()
    if rules.sieves:
        blocks, _ = sieve_blocks(list(blocks), grid, rules)
    traced = _traced(blocks, grid, None if rules.shapes else wanted, progress)
    found: Iterable[StoredObjects] = join_blocks(traced, grid=grid, store=store, nodes=rules.shapes)
    shaping = None
    if rules.shapes:
        found = [StoredObjects.of(list(found))]
        shaping = _settled(found[0], store, grid, rules)
    for objects in found:
        chosen = objects.take(wanted[objects.statistics.value])
        if len(chosen):
            words = read_words(store, chosen.place, chosen.count)
            yield build_table(chosen, finish(words, chosen.count, grid, ground, shaping), grid)


def wanted_classes(classes: Collection[int]) -> NDArray[np.bool_]:
    """Give classes as a (256,) bool array.

    Raises
    ------
    SettingsError
        If a class is out of range.
    """
    outside = [c for c in classes if not 0 <= c < NODATA]
    if outside:
        msg = f"classes of polygons must lie in 0 … {NODATA - 1}, got {outside[0]}"
        raise SettingsError(msg)
    wanted = np.zeros(256, bool)
    wanted[list(classes)] = True
    return wanted


def join_blocks(
    traced: Iterable[TracedBlock], *, grid: Grid, store: Store, nodes: bool = False
) -> Iterator[StoredObjects]:
    """Join traced blocks: give objects as soon as their rings are complete, their corners in the store.

    Raises
    ------
    ValueError
        If the blocks are no grid in row-major order that covers the scene.
    """
    seams = Seams(grid.window, store, nodes=nodes)
    for block in traced:
        yield from seams.add(block)
    seams.check_complete()


def sieve_blocks(blocks: list[Block], grid: Grid, rules: PolygonRules) -> tuple[list[Block], tuple[Moved, ...]]:
    """Give blocks in which small objects and holes have gone to others, and what moved.

    Raises
    ------
    SettingsError
        If the grid has no CRS, and so no areas.
    """
    areas = AreaUnits.on(grid)
    if areas is None:
        msg = "a smallest area in m² needs a scene with a coordinate reference system: leave --min-area out"
        raise SettingsError(msg)
    joiner = RegionJoiner(grid.window)
    ids = []
    for block in blocks:
        regions, of_pixel = find_regions(block, scene=grid.window, areas=areas)
        joiner.add(regions)
        ids.append(of_pixel)
    graph, unit = joiner.finish(), areas.square_metres
    value = sieve(graph, min_units=rules.min_area_m2 / unit, min_hole_units=rules.min_hole_m2 / unit)
    sieved = [
        replace(block, labels=value[graph.part(number)][of_pixel])
        for number, (block, of_pixel) in enumerate(zip(blocks, ids, strict=True))
    ]
    return sieved, moved(graph.regions, value, unit)


def _traced(
    blocks: Iterable[Block], grid: Grid, wanted: NDArray[np.bool_] | None, progress: Callable[[int], None] | None
) -> Iterator[TracedBlock]:
    """Trace blocks; without `wanted` all classes and nodata, with the corners in which three boundaries meet."""
    for block in blocks:
        every = np.ones(256, bool) if wanted is None else wanted
        yield trace_block(block, scene=grid.window, wanted=every, nodes=wanted is None)
        if progress:
            progress(block.window.size)


def _settled(objects: StoredObjects, store: Store, grid: Grid, rules: PolygonRules) -> Shaping:
    words = read_words(store, objects.place, objects.count)

    def trace(shaping: Shaping) -> list[Traces]:
        return [traces_of(words, shaping)]

    shaping = Shaping.of(grid.window, rules)
    return settle(shaping, store, trace, lambda bands: [search_band(store, band) for band in bands])
