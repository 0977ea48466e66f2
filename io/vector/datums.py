"""How far coordinates may be off once they are in another system: what PROJ knows of it, and what it only guesses.

Between two datums PROJ takes the best transformation that it knows. Where it knows none it takes longitude and latitude
as they are, a "ballpark" transformation, and says nothing of the 100 m or so that this may cost. Here the cost is
estimated: the datums that are known for the place and have the same ellipsoid stand for the one that is not.
"""

import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from pyproj import CRS, Geod, Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_crs_info
from pyproj.enums import PJType, TransformDirection
from pyproj.exceptions import ProjError
from pyproj.transformer import TransformerGroup

from segflow.errors import SceneError
from segflow.io.scene.ground import ground_sides
from segflow.tiling import Grid

Place = tuple[float, float]  # longitude and latitude [°]

UNKNOWN = 100.0  # m; what is said where nothing else is known: local datums lie so far from each other, or farther
_DRIFT = 2.0  # m; datums tied to the Earth's centre differ by no more, continents having moved since they were fixed
_HARMLESS = 0.25  # px; a guess that can be off by less is told of unknown datums only
_NEAR = 0.01  # ° around a place
_SAME_AXIS, _SAME_FLATTENING = 0.5, 1e-3  # m, of 1/f: ellipsoids that differ by less are one, written twice
_CENTRIC = ((6_378_137.0, 298.257_222_101), (6_378_137.0, 298.257_223_563))  # GRS 80 and WGS 84: half axis [m], 1/f
_UNNAMED = re.compile(r"(d_|gcs_)?(unknown|unnamed|undefined|not[ _]specified|user[ _-]?defined)", re.IGNORECASE)
_WGS84 = CRS.from_epsg(4326)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatumShift:
    """How far coordinates may be off in another system.

    Attributes
    ----------
    metres
        At most, as far as is known [m]; None: not known, 100 m or more.
    guessed
        Whether PROJ knows no transformation between the datums and takes degrees as they are.
    nameless
        Whether one of the datums is none that PROJ has heard of.
    """

    metres: float | None
    guessed: bool = False
    nameless: bool = False

    @property
    def bound(self) -> float:
        """What to reckon with [m]."""
        return UNKNOWN if self.metres is None else self.metres

    @property
    def text(self) -> str:
        """The figure in words."""
        return f"{UNKNOWN:.0f} m or more" if self.metres is None else f"{_figure(self.metres)} m"


def reprojection_accuracy(source: CRS, target: CRS, place: Place) -> float | None:
    """Give how far coordinates may be off that are brought from one system to another at a place [m].

    Returns
    -------
    float or None
        0 where both have one datum; what PROJ states of its transformation; where it only guesses,
        the largest shift between datums that may be meant; None where that is not known, 100 m or more.

    Raises
    ------
    SceneError
        If there is no way from one to the other.
    """
    return find_datum_shift(source, target, place).metres


def find_datum_shift(source: CRS, target: CRS, place: Place) -> DatumShift:
    """Give how far coordinates may be off, and whether PROJ guesses; see `reprojection_accuracy`."""
    return _find_shift(source.to_wkt(), target.to_wkt(), _rounded(place))


def best_transformer(source: CRS, target: CRS, place: Place) -> Transformer:
    """Give the best transformation between two systems at a place, x before y.

    Raises
    ------
    SceneError
        If there is none.
    """
    return _best(source.to_wkt(), target.to_wkt(), _rounded(place))


def place_of(grid: Grid) -> Place:
    """Give longitude and latitude of a grid's centre, in its own datum [°]; (0, 0) where it has none."""
    crs = CRS.from_user_input(grid.crs)
    x, y = grid.transform @ (grid.width / 2, grid.height / 2)
    try:
        lon, lat = _degrees(crs).transform(x, y)
    except ProjError:
        return 0.0, 0.0
    if not (np.isfinite(lon) and np.isfinite(lat)):
        return 0.0, 0.0
    return float((lon + 180.0) % 360.0 - 180.0), float(np.clip(lat, -90.0, 90.0))


def check_datum_shift(source: CRS, grid: Grid, *, what: str, allowed: bool) -> tuple[str, ...]:
    """Say how far something may be off on a grid, where that matters.

    Parameters
    ----------
    source
        The system it comes in.
    grid
        The grid it is brought onto, with a CRS.
    what
        What it is, for the message: ``labels forest.shp``.
    allowed
        Whether more than a pixel is accepted where PROJ only guesses.

    Returns
    -------
    A warning, or none: of what PROJ knows where it may be off by more than a pixel, of what it guesses always, except
    between well-known datums whose shift is a small part of a pixel.

    Raises
    ------
    SceneError
        If PROJ only guesses, more than a pixel may be lost and that is not allowed; or there is no way to the grid.
    """
    target = CRS.from_user_input(grid.crs)
    shift = find_datum_shift(source, target, place_of(grid))
    sides = ground_sides(grid)
    pixel = max(sides) if sides else None
    share = f", {_figure(shift.bound / pixel)} px of the scene" if pixel else ""
    between = f"from {source.name} to {target.name}"
    if not shift.guessed:
        matters = pixel is not None and shift.bound > pixel
        found = f"{what} may be off by {shift.text}{share}: that is how well the way {between} is known"
        return (found,) if matters else ()
    if not shift.nameless and pixel is not None and shift.metres is not None and shift.metres <= _HARMLESS * pixel:
        return ()
    found = f"{what} may be off by {shift.text}{share}: PROJ knows no datum shift {between} and takes none"
    if pixel is not None and shift.bound > pixel and not allowed:
        advice = (
            "set the right CRS" if shift.nameless else f"transform to {target.name} with a tool that has PROJ's grids"
        )
        msg = f"{found}; {advice}, or accept it with --allow-datum-shift (allow_datum_shift: true)"
        raise SceneError(msg)
    return (found,)


def horizontal(crs: CRS) -> CRS:
    """Give a system without its heights."""
    while crs.is_compound:
        crs = crs.sub_crs_list[0]
    return crs.to_2d() if len(crs.axis_info) > 2 else crs  # noqa: PLR2004  # x and y


@cache
def _find_shift(source: str, target: str, place: Place) -> DatumShift:
    one, other = horizontal(CRS.from_wkt(source)), horizontal(CRS.from_wkt(target))
    way = _best(source, target, place)
    ballpark = "ballpark" in way.description.lower()
    empty = [crs for crs in (one, other) if _is_empty_shift(crs)]
    if not ballpark and not empty:
        # An accuracy of -1 is left to a shift that the file itself declares, which is honoured.
        return DatumShift(metres=max(0.0, way.accuracy))
    if not empty and _is_same_unnamed(one, other):
        return DatumShift(metres=0.0)
    nameless = any(not _is_known(crs) for crs in (one, other))
    ways = [list(_offsets(crs, place)) for crs in (one, other)]
    pairs = [float(np.hypot(*np.subtract(a, b))) for a, b in product(*ways)]
    if not pairs:
        return DatumShift(metres=None, guessed=True, nameless=nameless)
    drift = _DRIFT if all(_is_centric(crs) for crs in (one, other)) else 0.0
    return DatumShift(metres=max(drift, *pairs), guessed=True, nameless=nameless)


@cache
def _best(source: str, target: str, place: Place) -> Transformer:
    one, other = horizontal(CRS.from_wkt(source)), horizontal(CRS.from_wkt(target))
    lon, lat = place
    area: Any = AreaOfInterest(  # pyproj's stubs have two classes of this name
        max(-180.0, lon - _NEAR), max(-90.0, lat - _NEAR), min(180.0, lon + _NEAR), min(90.0, lat + _NEAR)
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of grids that are not installed: the accuracy says what that costs
            ways = TransformerGroup(one, other, always_xy=True, area_of_interest=area, allow_ballpark=True).transformers
    except ProjError as error:
        ways, reason = [], f" ({' '.join(str(error).split())[:200]})"
    else:
        reason = ""
    if not ways:
        msg = f"there is no way from the coordinate system {one.name} to {other.name}{reason}: set the right CRS"
        raise SceneError(msg)
    return ways[0]


def _offsets(crs: CRS, place: Place) -> Iterator[tuple[float, float]]:
    """Give where WGS 84's degrees at a place lie in the datums that a system may have: (east, north) [m]."""
    if _is_centric(crs):
        yield 0.0, 0.0
        return
    for candidate in _candidates(crs, place):
        way = _best(candidate.to_wkt(), _WGS84.to_wkt(), place)
        if "ballpark" in way.description.lower() or way.accuracy < 0:
            continue
        lon, lat = way.transform(*place, direction=TransformDirection.INVERSE)
        azimuth, _, length = Geod(ellps="WGS84").inv(*place, lon, lat)
        if np.isfinite(length):
            yield length * np.sin(np.radians(azimuth)), length * np.cos(np.radians(azimuth))


def _candidates(crs: CRS, place: Place) -> Iterator[CRS]:
    """Give the system itself where PROJ knows its datum, else those of the same ellipsoid that are in use there."""
    geographic = crs.geodetic_crs
    if geographic is None or crs.ellipsoid is None:
        return
    if _is_known(crs) and not _is_empty_shift(crs):
        yield geographic
        return
    lon, lat = place
    area = AreaOfInterest(lon - _NEAR, lat - _NEAR, lon + _NEAR, lat + _NEAR)
    kinds = [PJType.GEOGRAPHIC_2D_CRS]
    for info in query_crs_info(auth_name="EPSG", pj_types=kinds, area_of_interest=area, contains=True):
        candidate = CRS.from_authority(info.auth_name, info.code)
        if _same_ellipsoid(candidate, crs) and _meridian(candidate) == _meridian(crs):
            yield candidate


def _is_known(crs: CRS) -> bool:
    """Tell whether PROJ has heard of a system's datum."""
    inner = crs.source_crs if crs.is_bound and crs.source_crs is not None else crs
    geographic = inner.geodetic_crs
    return geographic is not None and geographic.to_authority(min_confidence=70) is not None


def _is_same_unnamed(one: CRS, other: CRS) -> bool:
    """Tell whether two systems have one ellipsoid and no name for their datum, as one system written by two tools."""
    names = [crs.datum.name if crs.datum is not None else "" for crs in (one, other)]
    return all(_UNNAMED.match(name) for name in names) and _same_ellipsoid(one, other)


def _is_empty_shift(crs: CRS) -> bool:
    """Tell whether a file declares that an old datum is shifted by nothing, as tools write that do not know."""
    operation = crs.coordinate_operation if crs.is_bound else None
    return operation is not None and not any(operation.towgs84) and not _is_centric(crs)


def _is_centric(crs: CRS) -> bool:
    """Tell whether a system has an ellipsoid that only datums tied to the Earth's centre have."""
    ellipsoid = crs.ellipsoid
    return ellipsoid is not None and any(
        abs(ellipsoid.semi_major_metre - axis) < _SAME_AXIS
        and abs(ellipsoid.inverse_flattening - flattening) < _SAME_FLATTENING
        for axis, flattening in _CENTRIC
    )


def _same_ellipsoid(one: CRS, other: CRS) -> bool:
    a, b = one.ellipsoid, other.ellipsoid
    return (
        a is not None
        and b is not None
        and abs(a.semi_major_metre - b.semi_major_metre) < _SAME_AXIS
        and abs(a.inverse_flattening - b.inverse_flattening) < _SAME_FLATTENING
    )


def _meridian(crs: CRS) -> float:
    return 0.0 if crs.prime_meridian is None else float(crs.prime_meridian.longitude)


@cache
def _degrees_of(wkt: str) -> Transformer:
    crs = horizontal(CRS.from_wkt(wkt))
    return Transformer.from_crs(crs, crs.geodetic_crs or _WGS84, always_xy=True)


def _degrees(crs: CRS) -> Transformer:
    return _degrees_of(crs.to_wkt())


def _rounded(place: Place) -> Place:
    return round(place[0], 2), round(place[1], 2)


def _figure(value: float) -> str:
    """Give two figures of a bound, rounded up, so that scenes side by side are told the same."""
    if value <= 0:
        return "0"
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(round(value / unit, 6)) * unit:,.4g}" if value < 1000 else f"{math.ceil(value):,}"  # noqa: PLR2004
