"""Where a grid lies on the globe: its outline in longitude and latitude, as GeoJSON wants it."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
import shapely
from pyproj.exceptions import ProjError
from shapely import MultiPolygon, Polygon, affinity

from segflow.tiling import Grid

EDGE_POINTS = 21  # per side: straight sides of a projected grid are curves on the globe
_POLAR_POINTS = 361  # per side near a pole, where they curve most
_POLAR = 80.0  # °; nearer to a pole than this
_INSET = 1e-6  # of the grid; a pole on its outline has any longitude, one that far inside or outside has none
DECIMALS = 7  # of degrees, about a centimetre
_HALF_TURN = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """The outline of a grid on the globe.

    Attributes
    ----------
    geometry
        GeoJSON Polygon, or MultiPolygon where the outline crosses the antimeridian.
    bbox
        (west, south, east, north) [°]; west is greater than east across the antimeridian.
    """

    geometry: dict[str, Any]
    bbox: tuple[float, float, float, float]


def footprint(grid: Grid) -> Footprint | None:
    """Give the footprint of a grid.

    Returns
    -------
    The footprint; None for a grid without a CRS, with one that has no place on the Earth,
    or that reaches past the Earth's rim as a satellite sees it.

    References
    ----------
    RFC 7946, sections 3.1.6 (orientation), 3.1.9 and 5.2 (antimeridian).
    """
    outline = _outline(grid)
    if outline is None:
        return None
    lon, lat = outline
    if np.abs(lat).max() > _POLAR and not pyproj.CRS.from_user_input(grid.crs).is_geographic:
        on_it = np.abs(lat).max() > 90.0 - 1e-7  # °
        again = _outline(grid, _POLAR_POINTS, _INSET if on_it else 0.0)
        lon, lat = again or outline
    lon = np.unwrap(lon, period=2 * _HALF_TURN)
    if abs(lon[-1] - lon[0]) > _HALF_TURN:  # once around a pole
        return _around_pole(lon, lat)
    lon = lon - 2 * _HALF_TURN * np.floor((lon.min() + _HALF_TURN) / (2 * _HALF_TURN))  # starts within −180 … 180
    shape = _split(Polygon(np.column_stack([lon, lat])))
    west, east = lon.min(), lon.max()
    east = east - 2 * _HALF_TURN if east > _HALF_TURN else east
    return _rounded(shape, (west, lat.min(), east, lat.max()))


def _outline(
    grid: Grid, points: int = EDGE_POINTS, inset: float = 0.0
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Give longitudes and latitudes around the grid, or a little inside, the first point again as the last [°]."""
    if grid.crs is None:
        return None
    ramp = np.linspace(inset, 1 - inset, points)[:-1]
    low, high = np.full_like(ramp, inset), np.full_like(ramp, 1 - inset)
    cols = grid.width * np.concatenate([ramp, high, 1 - ramp, low, [inset]])
    rows = grid.height * np.concatenate([low, ramp, high, 1 - ramp, [inset]])
    a, b, c, d, e, f = grid.transform[:6]
    x, y = a * cols + b * rows + c, d * cols + e * rows + f
    try:
        transformer = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
        lon, lat = transformer.transform(x, y)
    except ProjError:
        return None
    return (lon, lat) if np.isfinite(lon).all() and np.isfinite(lat).all() else None


def _split(outline: Polygon) -> Polygon | MultiPolygon:
    """Cut an outline at the antimeridian, and turn what lies past it back."""
    whole = shapely.make_valid(outline)
    parts: list[Polygon] = []
    for turn in (0.0, 2 * _HALF_TURN):
        globe = shapely.box(turn - _HALF_TURN, -90, turn + _HALF_TURN, 90)
        pieces = shapely.get_parts(shapely.intersection(whole, globe))
        parts += [affinity.translate(piece, -turn) for piece in pieces if piece.area > 0]
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def _around_pole(lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]) -> Footprint:
    """Give what an outline around a pole encloses: from the outline, whose longitudes make a turn, up to the pole."""
    pole = float(np.copysign(90.0, lat.mean()))
    lon = lon - 2 * _HALF_TURN * np.floor((lon.min() + _HALF_TURN) / (2 * _HALF_TURN))
    ring = np.column_stack([[*lon, lon[-1], lon[0]], [*lat, pole, pole]])
    south, north = (float(lat.min()), pole) if pole > 0 else (pole, float(lat.max()))
    return _rounded(
        shapely.union_all(shapely.get_parts(_split(Polygon(ring)))), (-_HALF_TURN, south, _HALF_TURN, north)
    )


def _rounded(shape: shapely.Geometry, bbox: tuple[float, float, float, float]) -> Footprint:
    """Round a footprint, outlines counterclockwise."""
    west, south, east, north = (round(float(value), DECIMALS) for value in bbox)
    oriented = shapely.orient_polygons(shapely.transform(shape, lambda points: points.round(DECIMALS)))
    return Footprint(geometry=json.loads(shapely.to_geojson(oriented)), bbox=(west, south, east, north))
