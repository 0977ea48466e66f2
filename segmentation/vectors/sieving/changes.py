"""The minimum mapping unit on a raster that comes block by block: which regions of each block change their class."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from segflow.errors import SettingsError
from segflow.segmentation.vectors.blocks import Block
from segflow.segmentation.vectors.components import Sides, find_components
from segflow.segmentation.vectors.execution import BlockSource, BlockTask, Workers
from segflow.segmentation.vectors.sieving.area_units import AreaUnits
from segflow.segmentation.vectors.sieving.region_graph import RegionGraph, RegionJoiner
from segflow.segmentation.vectors.sieving.regions import RegionBlock, find_regions
from segflow.segmentation.vectors.sieving.sieve import Moved, count_moves, sieve
from segflow.tiling import Grid, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassChanges:
    """Regions of one block that change their class.

    Attributes
    ----------
    regions
        (n,) int32 array: their numbers, as `find_components` counts them in the block.
    values
        (n,) uint8 array: their new classes.
    """

    regions: NDArray[np.int32]
    values: NDArray[np.uint8]


def find_changes(
    source: BlockSource,
    *,
    min_area_m2: float | Mapping[int, float],
    min_hole_m2: float,
    workers: Workers,
    on_block: Callable[[RegionBlock], None],
) -> tuple[list[ClassChanges], tuple[Moved, ...]]:
    """Decide which regions change their class.

    Parameters
    ----------
    source
        The class raster.
    min_area_m2, min_hole_m2
        The smallest areas of objects and of holes that stay [m²]; of objects also by class, 0 for classes left out.
    workers
        Find the regions of the blocks.
    on_block
        Called with each block's regions, in the order of the blocks.

    Returns
    -------
    The changes of each block, in the order of the blocks, and the pixels that moved from class to class.

    Raises
    ------
    SettingsError
        If the grid has no CRS, and so no areas.
    """
    unit = check_areas(source).square_metres
    joiner = RegionJoiner(source.grid.window)
    for block in workers.run(find_block_regions, BlockTask.all(source)):
        joiner.add(block)
        on_block(block)
    graph = joiner.finish()
    value = sieve(graph, min_units=_by_class(min_area_m2) / unit, min_hole_units=min_hole_m2 / unit)
    return _changes(graph, value), count_moves(graph.regions, value, unit)


def apply_changes(block: Block, changes: ClassChanges, scene: Window) -> Block:
    """Give a block in which regions have changed their class."""
    found = find_components(block.labels, block.confidence, Sides.of(block.window, scene))
    value = found.statistics.value.copy()
    value[changes.regions] = changes.values
    return replace(block, labels=value[found.ids])


def find_block_regions(task: BlockTask) -> RegionBlock:
    """Read one block and find its regions; runs in a worker."""
    grid = task.source.grid
    return find_regions(task.source.read(task.window), scene=grid.window, areas=_areas(grid))


def check_areas(source: BlockSource) -> AreaUnits:
    """Give the areas of a raster's pixels.

    Raises
    ------
    SettingsError
        If the raster has no CRS.
    """
    areas = AreaUnits.on(source.grid)
    if areas is None:
        msg = (
            f"{source.name} has no coordinate reference system, so --min-area and --min-hole have no m²: "
            "leave them out, or give the raster its CRS"
        )
        raise SettingsError(msg)
    return areas


@lru_cache(maxsize=1)
def _areas(grid: Grid) -> AreaUnits:
    areas = AreaUnits.on(grid)
    if areas is None:  # `find_changes` has checked that there are areas
        msg = "a grid without CRS has no areas"
        raise ValueError(msg)
    return areas


def _by_class(least: float | Mapping[int, float]) -> NDArray[np.float64]:
    """Give the smallest area of each class: (256,) array."""
    if not isinstance(least, Mapping):
        return np.full(256, float(least))
    found = np.zeros(256)
    found[list(least)] = list(least.values())
    return found


def _changes(graph: RegionGraph, value: NDArray[np.uint8]) -> list[ClassChanges]:
    changed = value != graph.regions.value
    found = []
    for block in range(len(graph.starts)):
        regions = graph.part(block)
        which = np.flatnonzero(changed[regions]).astype(np.int32)
        found.append(ClassChanges(regions=which, values=value[regions[which]]))
    return found
