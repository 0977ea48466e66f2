"""Why pixels of a map are nodata: each has one cause, so that classes and causes add up to the scene.

A pixel outside the area of interest counts there, whatever else holds; then one of a tile that could not be read; then
one that a quality mask hides, by the mask's first cause; the rest has no data in the scene itself.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from segflow.flows.planning.plan import RunPlan
from segflow.flows.products.entries import CLASSES
from segflow.io.raster.maps import open_map
from segflow.io.scene.masks import MaskReader, cause_names, open_mask
from segflow.segmentation.summary import MapSummary
from segflow.tiling import NODATA, Tile

OUTSIDE = "outside the area of interest"
UNREADABLE = "tile that could not be read"
EMPTY = "no data in the scene"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodataCause:
    """How much of a map is nodata for one reason.

    Attributes
    ----------
    cause
        The reason, in words.
    pixels
        Number of pixels.
    area_m2
        Their area on the ellipsoid [m²]; None for a scene without CRS.
    """

    cause: str
    pixels: int
    area_m2: float | None

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Read a cause from plain values."""
        return cls(cause=plain["cause"], pixels=plain["pixels"], area_m2=plain["area_m2"])

    def as_dict(self) -> dict[str, Any]:
        """Give the cause as plain values for JSON."""
        return {"cause": self.cause, "pixels": self.pixels, "area_m2": self.area_m2}


def count_causes(plan: RunPlan, damaged: Iterable[int], summary: MapSummary) -> tuple[NodataCause, ...]:
    """Count the nodata pixels of a finished class raster by cause; causes without a pixel are left out.

    Parameters
    ----------
    plan
        The run.
    damaged
        Indices of tiles that were left empty.
    summary
        What the map holds; where nodata has one possible cause, nothing is read again.

    Raises
    ------
    SceneError
        If a mask cannot be read.
    DamagedError
        If the class raster cannot be read.
    """
    if not summary.count(NODATA):
        return ()
    unreadable = set(damaged)
    if plan.area is None and not unreadable and not plan.scene.masks:
        return (_cause(EMPTY, summary, NODATA),)
    counts = MapSummary(plan.scene.grid)
    with ExitStack() as held:
        masks = [held.enter_context(open_mask(each, plan.scene.grid, plan.access)) for each in plan.scene.masks]
        raster = held.enter_context(open_map(plan.products.path(CLASSES)))
        names = [OUTSIDE, UNREADABLE, *(name for mask in masks for name in cause_names(mask.mask)), EMPTY]
        for tile in plan.tiles:
            empty = raster.read(tile.core) == NODATA
            if empty.any():
                codes = _codes(plan, tile, empty, masks, unreadable=tile.index in unreadable)
                counts.add(tile.core, codes, np.zeros(codes.shape, np.uint8))
    return tuple(_cause(name, counts, code) for code, name in enumerate(names, start=1) if counts.count(code))


def _codes(
    plan: RunPlan, tile: Tile, empty: npt.NDArray[np.bool_], masks: list[MaskReader], *, unreadable: bool
) -> npt.NDArray[np.uint8]:
    """Give the code of the cause of every nodata pixel of a core, 0 for others."""
    codes = np.zeros(empty.shape, np.uint8)
    for code, where in _wheres(plan, tile, empty.shape, masks, unreadable=unreadable):
        codes[empty & (codes == 0) & where] = code
    return codes


def _wheres(
    plan: RunPlan, tile: Tile, shape: tuple[int, int], masks: list[MaskReader], *, unreadable: bool
) -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
    if plan.area is not None:
        yield 1, ~plan.area.inside(tile.core)
    if unreadable:
        yield 2, np.ones(shape, np.bool_)
    first = 3
    for mask in masks:
        found, count = mask.read(tile.core), len(cause_names(mask.mask))
        for index in range(count):
            yield first + index, found == index + 1
        first += count
    yield first, np.ones(shape, np.bool_)


def _cause(name: str, summary: MapSummary, code: int) -> NodataCause:
    area = float(summary.area[code])
    return NodataCause(cause=name, pixels=summary.count(code), area_m2=round(area, 6) if np.isfinite(area) else None)
