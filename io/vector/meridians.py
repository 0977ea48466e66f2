"""Polygons and the meridian where x starts anew, or a projection is torn: in one piece, or cut there."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS, Transformer
from pyproj.enums import TransformDirection
from shapely import affinity

from segflow.io.vector.datums import best_transformer
from segflow.tiling import Grid

Points = npt.NDArray[np.float64]  # (n, 2): x and y

_TURN = 360.0  # °
_MERIDIANS = 12  # that tell whether x starts anew after a turn
_EXACT = 1e-6  # °
_STEP = 1.0  # °; of edges around half the globe or more, which are meant to follow their parallel
_BESIDE = 1e-9  # °; a tenth of a millimetre beside a torn meridian, on the right side of it
_ORIGINS = {"8802", "8822", "8833"}  # EPSG's parameters: longitudes of an origin
_CORNERS = 64  # along the cut of a polygon
_WIDE = 100_000.0  # m; a system whose meridian has sides so far apart is torn there


@dataclass(frozen=True, slots=True, kw_only=True)
class Tear:
    """Where a projection is torn: the points of one meridian lie on both sides of its map.

    Attributes
    ----------
    seam
        Longitude of the meridian [unit of the geographic system].
    turn
        A full turn in that unit.
    width
        How far the sides are apart, at the latitude of the scene [unit of the projection].
    degrees
        The way from longitude and latitude to the projection.
    """

    seam: float
    turn: float
    width: float
    degrees: Transformer

    def cut(self, shape: Any) -> Any:  # noqa: ANN401  # shapely's geometries
        """Give a polygon, whose corners are right and whose edges go through the whole map, cut at the meridian."""
        if shape.geom_type not in {"Polygon", "MultiPolygon"}:
            return shape
        pieces: list[shapely.Polygon] = []
        for part in shapely.get_parts(shape):
            sound = part.bounds[2] - part.bounds[0] <= self.width / 2
            pieces += [part] if sound else self._cut(part)
        return shapely.MultiPolygon(pieces)

    def _cut(self, part: shapely.Polygon) -> list[shapely.Polygon]:
        back = TransformDirection.INVERSE
        flat = shapely.transform(
            part, lambda xy: np.column_stack(self.degrees.transform(xy[:, 0], xy[:, 1], direction=back))
        )
        if not np.isfinite(flat.bounds).all():
            return []
        whole = shapely.make_valid(unwrap_polygon(flat, self.turn), method="structure", keep_collapsed=False)
        x0, y0, x1, y1 = whole.bounds
        first, last = (int(np.floor((x - self.seam) / self.turn)) for x in (x0, x1))
        pieces = []
        for k in range(first, last + 1):
            start = self.seam + k * self.turn
            window = shapely.box(start + _BESIDE, y0 - 1, start + self.turn - _BESIDE, y1 + 1)
            inside = shapely.get_parts(shapely.intersection(whole, window))
            pieces += [affinity.translate(one, -k * self.turn) for one in inside if one.geom_type == "Polygon"]
        # The meridian is a curve in the projection, so the cut needs corners on the way.
        cut = shapely.segmentize(np.array(pieces, object), (y1 - y0) / _CORNERS)
        placed = shapely.transform(cut, lambda xy: np.column_stack(self.degrees.transform(xy[:, 0], xy[:, 1])))
        return list(placed)


def find_tear(crs: CRS, grid: Grid) -> Tear | None:
    """Give where a projection is torn at the latitude of a scene; None if it is not, or not known there."""
    geodetic = crs.geodetic_crs
    origins = [p for p in (crs.coordinate_operation.params if crs.coordinate_operation else []) if p.code in _ORIGINS]
    if geodetic is None or len(origins) != 1:
        return None
    turn = turn_of(geodetic)
    seam = float(origins[0].value) * origins[0].unit_conversion_factor * turn / (2 * np.pi) - turn / 2
    degrees = best_transformer(geodetic, crs, (0.0, 0.0))
    x, y = grid.transform @ (grid.width / 2, grid.height / 2)
    _, lat = degrees.transform(x, y, direction=TransformDirection.INVERSE)
    xs, ys = degrees.transform([seam + _BESIDE, seam + turn - _BESIDE], [lat, lat])
    width = float(np.hypot(xs[1] - xs[0], ys[1] - ys[0])) if np.isfinite([*xs, *ys]).all() else 0.0
    return Tear(seam=seam, turn=turn, width=width, degrees=degrees) if width > _WIDE else None


def turn_of(crs: CRS) -> float:
    """Give a full turn in the unit of a geographic system."""
    return float(2 * np.pi / crs.axis_info[0].unit_conversion_factor) if crs.axis_info else _TURN


@cache
def find_period(wkt: str) -> float | None:
    """Give after which distance x starts anew in a system: a turn of degrees, the equator of a cylinder; else None."""
    crs = CRS.from_wkt(wkt)
    if crs.is_geographic:
        return turn_of(crs)
    geodetic = crs.geodetic_crs
    if geodetic is None:
        return None
    turn = turn_of(geodetic)
    lons, lats = np.meshgrid(np.arange(_MERIDIANS) * turn / _MERIDIANS - turn / 2, np.array([0.0, turn / 9]))
    x, _ = best_transformer(geodetic, crs, (0.0, 0.0)).transform(lons, lats)
    if not np.isfinite(x).all():
        return None
    steps = np.diff(x, axis=1)
    usual = float(np.median(steps))
    even = np.abs(steps - usual) < abs(usual) * 1e-6
    alike = bool((np.abs(x[0] - x[1]) < abs(usual) * 1e-6).all())
    return abs(usual) * _MERIDIANS if usual and alike and (~even).sum(axis=1).max() <= 1 else None


def is_wrapped(shape: Any, turn: float) -> bool:  # noqa: ANN401
    """Tell whether a polygon is drawn over the meridian from one end of the longitudes to the other."""
    steps = np.abs(np.diff(shapely.get_coordinates(shape)[:, 0]))
    return bool(((steps > turn / 2 + _EXACT) & (steps < turn - _EXACT)).any())


def densify(ring: Points, turn: float) -> Points:
    """Give a ring whose edges around half the globe or more have corners on the way, as their ends say nothing.

    An edge from 179° to −179° is meant to go the short way, over the meridian; one from −180° to 180°, as boxes around
    the globe and caps of a pole have them, goes along its parallel.
    """
    steps = np.abs(np.diff(ring[:, 0]))
    long = (np.abs(steps - turn / 2) < _EXACT) | (steps > turn - _EXACT)
    if not long.any():
        return ring
    parts = [
        np.linspace(ring[i], ring[i + 1], int(np.ceil(steps[i] * _TURN / turn / _STEP)), endpoint=False)
        if long[i]
        else ring[i : i + 1]
        for i in range(len(steps))
    ]
    return np.concatenate([*parts, ring[-1:]])


def in_one_piece(shape: Any, turn: float, span: tuple[float, float]) -> Any:  # noqa: ANN401
    """Give a polygon in one piece where x starts anew after a turn, as often as its turns meet a range of x."""
    if shape.geom_type not in {"Polygon", "MultiPolygon"}:
        return shape
    steps = np.abs(np.diff(shapely.get_coordinates(shape)[:, 0]))
    parts = list(shapely.get_parts(shape))
    if (steps > turn / 2 * (1 + _EXACT)).any():
        parts = [unwrap_polygon(part, turn) for part in parts]
    copies = [
        affinity.translate(part, k * turn)
        for part in parts
        for k in range(
            int(np.ceil((span[0] - part.bounds[2]) / turn)), int(np.floor((span[1] - part.bounds[0]) / turn)) + 1
        )
    ]
    if not copies:
        return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
    return copies[0] if len(copies) == 1 else shapely.MultiPolygon(copies)


def unwrap_polygon(polygon: shapely.Polygon, turn: float) -> shapely.Polygon:
    """Let a polygon go on over the meridian, its holes with it."""
    shell, *holes = [_unwrap(np.asarray(ring.coords)[:, :2], turn) for ring in (polygon.exterior, *polygon.interiors)]
    middle = (shell[:, 0].min() + shell[:, 0].max()) / 2
    moved = [hole - (turn * np.round((hole[:, 0].mean() - middle) / turn), 0) for hole in holes]
    return shapely.Polygon(shell, moved)


def _unwrap(ring: Points, turn: float) -> Points:
    """Let a ring go on over the meridian; one around the globe is closed by way of the pole that it encloses."""
    steps = np.diff(ring[:, 0])
    if (np.abs(steps) > turn - _EXACT).any():  # a box around the globe, not a ring over the meridian
        return ring
    x = np.concatenate([ring[:1, 0], ring[0, 0] + np.cumsum(steps - turn * np.round(steps / turn))])
    found = np.column_stack([x, ring[:, 1]])
    if abs(x[-1] - x[0]) < turn / 2:
        return found
    pole = np.copysign(turn / 4, ring[:, 1].mean())
    return np.concatenate([found, [[x[-1], pole], [x[0], pole], found[0]]])


def with_rings(shape: Any, change: Callable[[Points], Points]) -> Any:  # noqa: ANN401
    """Give a polygon, or several, with every ring changed; other shapes as they are."""
    if shape.geom_type == "Polygon":
        shell, *holes = [change(np.asarray(ring.coords)[:, :2]) for ring in (shape.exterior, *shape.interiors)]
        return shapely.Polygon(shell, holes)
    if shape.geom_type == "MultiPolygon":
        return shapely.MultiPolygon([with_rings(part, change) for part in shape.geoms])
    return shape
