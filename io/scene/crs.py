"""Coordinate reference systems compared for what they mean on the map, not for how they are written."""

from collections.abc import Iterable
from functools import lru_cache

import rasterio.crs
from pyproj import CRS
from pyproj.exceptions import CRSError

_SURE = 70  # of 100: how sure PROJ must be of a code; names may differ, definitions not


@lru_cache(maxsize=256)
def same_crs(one: str | None, other: str | None) -> bool:
    """Tell whether two systems, given as WKT, put the same coordinates at the same place on the map.

    Heights do not count: a compound system and its horizontal part are one. Nor does the order in which the axes are
    declared, since GDAL always gives x before y, nor a TOWGS84 that only one of them has. Two datums are two systems.
    """
    if one == other or one is None or other is None:
        return one == other
    try:
        return rasterio.crs.CRS.from_wkt(one) == rasterio.crs.CRS.from_wkt(other) or _means_the_same(
            CRS.from_wkt(one), CRS.from_wkt(other)
        )
    except (CRSError, rasterio.errors.CRSError):
        return False


def count_crs(systems: Iterable[str | None]) -> int:
    """Give how many different systems there are, having none counted as one."""
    found: list[str | None] = []
    for system in systems:
        if not any(same_crs(system, other) for other in found):
            found.append(system)
    return len(found)


def _means_the_same(one: CRS, other: CRS) -> bool:
    shifts = _shift(one), _shift(other)
    if all(shifts) and shifts[0] != shifts[1]:
        return False
    one, other = _horizontal(one), _horizontal(other)
    if one.equals(other, ignore_axis_order=True):
        return True
    codes = [crs.to_authority(min_confidence=_SURE) for crs in (one, other)]
    return codes[0] is not None and codes[0] == codes[1]


def _horizontal(crs: CRS) -> CRS:
    """Give the horizontal part of a system, without heights and without a shift to another datum."""
    while crs.is_compound or crs.is_bound:
        found = crs.sub_crs_list[0] if crs.is_compound else crs.source_crs
        if found is None:
            break
        crs = found
    return crs.to_2d() if len(crs.axis_info) > 2 else crs  # noqa: PLR2004


def _shift(crs: CRS) -> tuple[float, ...]:
    """Give the TOWGS84 of a system, also of the horizontal part of a compound one; empty without one."""
    part = crs.sub_crs_list[0] if crs.is_compound else crs
    operation = part.coordinate_operation if part.is_bound else None
    return () if operation is None else tuple(float(value) for value in operation.towgs84)
