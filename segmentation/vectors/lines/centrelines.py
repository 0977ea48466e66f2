"""Centrelines of a class raster that comes block by block.

The plan
--------
1. The scene is cut into windows with margins, whatever its blocks (`windows`).
2. In each window the wanted classes are thinned to skeletons, and the middle and the width of the line are measured at
   every skeleton pixel (`skeleton`). With the margin this is exact: the result is that of the whole raster, in every
   bit.
3. The pixels of all windows, one or two in a hundred where lines are thin, are traced as one network
   (`pixels`, `network`). The steps after that do not depend on blocks or windows.
4. Spurs are removed and crossings that thinning split are merged (`pruning`, `narrow_crossings`), gaps are bridged
   (`bridging`), lines are smoothed between their nodes (`shaping`) and measured (`table`).

Memory holds the rows of one row of windows, and about 400 bytes for each pixel of the skeleton: it grows with
the length of the lines, not with the scene.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, fields

import numpy as np

from segflow.errors import SettingsError
from segflow.segmentation.vectors.blocks import Block
from segflow.segmentation.vectors.lines.bridging import bridge
from segflow.segmentation.vectors.lines.ends import straighten
from segflow.segmentation.vectors.lines.narrow_crossings import join_crossings
from segflow.segmentation.vectors.lines.pixels import trace_pixels
from segflow.segmentation.vectors.lines.pruning import join_junctions, prune, without_short
from segflow.segmentation.vectors.lines.shaping import shape_lines
from segflow.segmentation.vectors.lines.skeleton import Reach, Skeleton, find_skeleton
from segflow.segmentation.vectors.lines.table import LineTable, build_lines
from segflow.segmentation.vectors.lines.windows import cut
from segflow.tiling import NODATA, Grid, TileGrid

__all__ = ["Block", "LineTable", "trace_centrelines"]

MOST = 20_000_000  # pixels of a skeleton: 20,000 km of road at 1 m, and about 8 GB to trace it
WINDOW = 1024  # px; smaller ones spend more time on margins, larger ones do not fit into the cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules for lines; lengths in pixels, as in `trace_centrelines`."""

    max_gap: float
    min_length: float
    spur_factor: float
    smooth: float
    simplify: float
    reach: Reach

    def __post_init__(self) -> None:
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "reach"}
        values |= {"max_width": self.reach.max_width - 1, "max_hole": self.reach.max_hole}
        for name, value in values.items():
            if not 0 <= value < np.inf:
                msg = f"{name} of centrelines must be a number from {int(name == 'max_width')} up, got {value}"
                raise SettingsError(msg)


def trace_centrelines(
    blocks: Iterable[Block],
    *,
    grid: Grid,
    classes: Collection[int],
    max_gap_px: float = 0.0,
    min_length_px: float = 10.0,
    spur_factor: float = 2.5,
    smooth_px: float = 2.0,
    simplify_px: float = 0.2,
    max_width_px: int = 48,
    max_hole_px: int = 16,
    progress: Callable[[int], None] | None = None,
    on_wide: Callable[[int, int], None] | None = None,
) -> LineTable:
    """Turn classes of a class raster into centrelines: the middle lines of their regions.

    Parameters
    ----------
    blocks
        The scene's pixels as a grid of blocks, in row-major order. The lines do not depend on the blocks.
    grid
        The scene's grid.
    classes
        The classes to turn into lines.
    max_gap_px
        Gaps up to this width between free ends that point at each other are bridged [px]; 0 bridges none.
    min_length_px
        Connected networks of less total length are left out [px].
    spur_factor
        Spurs, branches with a free end, that are shorter than this many half widths of their line are left out.
    smooth_px
        Standard deviation of a Gaussian along the lines; junctions and ends stay [px].
    simplify_px
        Points closer than this to the line through their neighbours are left out [px].
    max_width_px
        Regions wider than this are no lines: their core, which is left after thinning from all sides by this much, is
        cut out, and lines end there [px].
    max_hole_px
        Holes of at most this many pixels are filled before thinning, so that lines do not run around them [px].
    progress
        Called with the number of pixels of each block that is done.
    on_wide
        Called with a class and the number of its pixels that were cut out, where regions are wider than `max_width_px`.

    Raises
    ------
    SettingsError
        If a class or a number is out of range, or a class has too many lines to trace them as one network.
    ValueError
        If the blocks are no grid in row-major order that covers the scene.
    """
    rules = Rules(
        max_gap=max_gap_px,
        min_length=min_length_px,
        spur_factor=spur_factor,
        smooth=smooth_px,
        simplify=simplify_px,
        reach=Reach(max_width=max_width_px, max_hole=max_hole_px),
    )
    outside = [c for c in classes if not 0 <= c < NODATA]
    if outside:
        msg = f"classes of centrelines must lie in 0 … {NODATA - 1}, got {outside[0]}"
        raise SettingsError(msg)
    found = find_skeletons(blocks, grid=grid, classes=classes, reach=rules.reach, progress=progress)
    for value, skeleton in found.items():
        if skeleton.wide and on_wide:
            on_wide(value, skeleton.wide)
    tables = [_lines(skeleton, value, grid, rules) for value, skeleton in found.items()]
    return LineTable.of(tables or [_lines(Skeleton.empty(), 0, grid, rules)])


def find_skeletons(
    blocks: Iterable[Block],
    *,
    grid: Grid,
    classes: Collection[int],
    reach: Reach,
    window: int = WINDOW,
    progress: Callable[[int], None] | None = None,
) -> dict[int, Skeleton]:
    """Find the skeleton of each wanted class that the scene has; `window` [px] affects the running time alone."""
    tiles = TileGrid(height=grid.height, width=grid.width, core=window, margin=reach.margin, stride=1)
    parts: dict[int, list[Skeleton]] = {value: [] for value in sorted(set(classes))}
    for patch in cut(blocks, tiles, progress):
        for value, found in parts.items():
            part = find_skeleton(patch, value, reach)
            if part is not None:
                found.append(part)
                _check_size(value, sum(len(some) for some in found))
    return {value: Skeleton.of(found) for value, found in parts.items() if found}


def _check_size(value: int, size: int) -> None:
    if size > MOST:
        msg = (
            f"class {value} has more than {MOST:,} pixels along its middle lines, more than a network of lines has "
            f"that can be traced at once: make polygons of it, or trace a part of the scene"
        )
        raise SettingsError(msg)


def _lines(skeleton: Skeleton, value: int, grid: Grid, rules: Rules) -> LineTable:
    """Trace, clean, shape and measure the network of one class."""
    network = prune(trace_pixels(skeleton, grid.width), rules.spur_factor)
    network = prune(join_crossings(join_junctions(network)), rules.spur_factor)
    network = without_short(bridge(straighten(network), rules.max_gap), rules.min_length)
    to_nodata = np.append(skeleton.to_nodata, np.full(len(network.nodes) - len(skeleton), np.inf))
    courses = shape_lines(network, grid.shape, to_nodata, rules.smooth)
    while not (lasting := np.array([np.ptp(course, axis=0).any() for course in courses], bool)).all():
        network = network.take(lasting).contract()
        courses = shape_lines(network, grid.shape, to_nodata, rules.smooth)
    return build_lines(network, courses, skeleton, value=value, grid=grid, simplify_px=rules.simplify)
