"""Vectors of any coordinate system on the grid of a scene, wherever on the globe it lies.

Longitudes jump at the 180th meridian and mean nothing at a pole, and other systems tear the Earth elsewhere: an outline
of the scene drawn in the system of the vectors may be no outline there. So vectors are chosen in the scene's own
system. What is sought in theirs beforehand is a box around many points of the scene, and only where these lie side by
side; where they do not, everything is read.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from pyproj import CRS
from pyproj.enums import TransformDirection
from shapely import affinity

from segflow.io.vector.datums import best_transformer, horizontal, place_of
from segflow.tiling import Grid

Box = tuple[float, float, float, float]  # left, bottom, right, top
Points = npt.NDArray[np.float64]  # (n, 2): x and y
Shapes = npt.NDArray[np.object_]  # of shapely's geometries, or None

_TURN = 360.0  # °
_MERIDIANS = 12  # that tell whether x starts anew after a turn
_SIDE = 33  # points along each side of the scene that are brought into the system of the vectors
_TORN = 10.0  # times the mean distance between neighbours: the system tears the Earth between them
_EXACT = 1e-6  # °
_STEP = 1.0  # °; of edges around half the globe or more, which are meant to follow their parallel


class Placing:
    """The way from a coordinate system to the pixels of a scene.

    Attributes
    ----------
    crs
        The coordinate system of the vectors.
    grid
        The scene's grid, with a CRS.
    box
        A box around the scene in the system of the vectors, with some room; infinite along an axis where none holds.
    """

    def __init__(self, crs: CRS, grid: Grid) -> None:
        self.crs, self.grid = horizontal(crs), grid
        self._target = horizontal(CRS.from_user_input(grid.crs))
        self._forward = best_transformer(crs, CRS.from_user_input(grid.crs), place_of(grid))
        self._into = ~grid.transform
        self._period = _find_period(self._target.to_wkt())
        self.box = self._find_box()

    def place(self, shapes: Shapes) -> Shapes:
        """Give polygons in pixels (x is the column, y the row), in one piece whatever meridian they cross.

        None stands for those that have no place there: far from the scene its system may know no coordinates.
        """
        shapes = self._cut_huge(shapes)
        placed = self._transform(shapes)
        lost = ~_are_finite(placed) & ~shapely.is_missing(shapes)
        if lost.any():  # of a polygon as large as a continent only what lies near the scene has coordinates
            placed[lost] = self._transform(self._clip(shapes[lost]))
        placed[~_are_finite(placed)] = None
        return _map(placed, self._to_pixels)

    def place_points(self, points: Points) -> Points:
        """Give points in pixels, (column, row); NaN where they have no place there."""
        found = np.column_stack(self._forward.transform(points[:, 0], points[:, 1])).reshape(-1, 2)
        found[~np.isfinite(found).all(axis=1)] = np.nan
        if self._period is not None:
            left, _, right, _ = self.grid.bounds
            found[:, 0] -= self._period * np.round((found[:, 0] - (left + right) / 2) / self._period)
        return self._to_pixels(found)

    def near(self, shapes: Shapes) -> npt.NDArray[np.bool_]:
        """Tell which shapes, still in their own system, may meet the scene: all whose bounds meet the box."""
        left, bottom, right, top = self.box
        x0, y0, x1, y1 = shapely.bounds(shapes).reshape(-1, 4).T
        with np.errstate(invalid="ignore"):
            high = (y1 >= bottom) & (y0 <= top)
            if not self.crs.is_geographic:
                return np.asarray(high & (x1 >= left) & (x0 <= right))
            turn = _turn(self.crs)
            wide = x1 - x0 > turn / 2  # drawn over the meridian, or around the globe
            beside = [(x1 + k * turn >= left) & (x0 + k * turn <= right) for k in (-1, 0, 1)]
            return np.asarray(high & (wide | np.logical_or.reduce(beside)))

    def boxes(self, bounds: Box) -> tuple[Box, ...]:
        """Give boxes that are worth searching in a file with these bounds for what may meet the scene.

        Longitudes may count from another meridian there, and a polygon drawn over the meridian from 179° to −179°
        passes 0° as a file sees it.
        """
        left, bottom, right, top = self.box
        west, south, east, north = bounds
        turn = _turn(self.crs) if self.crs.is_geographic else 0.0
        found = {(left + k * turn, right + k * turn) for k in (-1, 0, 1)}
        if turn and east - west > turn / 2:
            found |= {(x, x) for x in (0.0, turn / 2)}
        bottom, top = max(bottom, south), min(top, north)
        sides = [(max(one, west), min(other, east)) for one, other in sorted(found)]
        return tuple((one, bottom, other, top) for one, other in sides if one <= other and bottom <= top)

    def reaches(self, bounds: Box) -> bool:
        """Tell whether the scene may lie within bounds in the system of the vectors."""
        return bool(self.near(np.array([shapely.box(*bounds)], object))[0])

    def _find_box(self) -> Box:
        """Bring points all over the scene into the system of the vectors, and look how far neighbours are."""
        ramp = np.linspace(0.0, 1.0, _SIDE)
        cols, rows = np.meshgrid(ramp * self.grid.width, ramp * self.grid.height)
        a, b, c, d, e, f = tuple(self.grid.transform)[:6]
        x, y = self._forward.transform(
            a * cols + b * rows + c, d * cols + e * rows + f, direction=TransformDirection.INVERSE
        )
        if not self.crs.is_geographic:
            (left, right), (bottom, top) = _reach(x, None), _reach(y, None)
            torn = not np.isfinite([left, bottom]).all()
            return (-np.inf, -np.inf, np.inf, np.inf) if torn else (left, bottom, right, top)
        turn = _turn(self.crs)
        middle = x[_SIDE // 2, _SIDE // 2]
        (left, right), (bottom, top) = _reach(x - turn * np.round((x - middle) / turn), turn / 2), _reach(y, None)
        return left, bottom, right, top

    def _cut_huge(self, shapes: Shapes) -> Shapes:
        """Cut polygons that span a quarter of the globe or more, unless they are merely drawn over the meridian."""
        if not self.crs.is_geographic or not len(shapes):
            return shapes
        turn = _turn(self.crs)
        x0, y0, x1, y1 = shapely.bounds(shapes).T
        with np.errstate(invalid="ignore"):
            high, wide = y1 - y0 >= turn / 4, x1 - x0 >= turn / 4
        huge = high | wide
        huge[wide & ~high] = [not _is_wrapped(shape, turn) for shape in shapes[wide & ~high]]
        if huge.any():
            shapes = shapes.copy()
            shapes[huge] = self._clip(shapes[huge])
        return shapes

    def _clip(self, shapes: Shapes) -> Shapes:
        """Cut polygons to the box around the scene, as far as there is one."""
        sound = shapely.make_valid(shapes, method="structure", keep_collapsed=False)
        cut = np.full(len(shapes), None, object)
        for place, shape in enumerate(sound):
            bounds = shape.bounds
            boxes = (
                [shapely.box(*box) for box in self.boxes(bounds) if box[0] < box[2]]
                if np.isfinite(bounds).all()
                else []
            )
            cut[place] = shapely.intersection(shape, shapely.union_all(boxes)) if boxes else None
        return cut

    def _transform(self, shapes: Shapes) -> Shapes:
        """Bring polygons into the system of the scene."""
        if self.crs.is_geographic and len(shapes):
            turn = _turn(self.crs)
            x0, _, x1, _ = shapely.bounds(shapes).T
            for place in np.flatnonzero(x1 - x0 >= turn / 2 - _EXACT):
                shapes = shapes.copy()
                shapes[place] = _with_rings(shapes[place], lambda ring: _densify(ring, turn))
        placed = _map(shapes, lambda xy: np.column_stack(self._forward.transform(xy[:, 0], xy[:, 1])))
        if self._period is None or not len(placed):
            return placed
        left, _, right, _ = self.grid.bounds
        x0, _, x1, _ = shapely.bounds(placed).T
        period = self._period
        plain = (
            (x1 - x0 < period / 2) & (x0 >= right - period) & (x1 <= left + period)
        )  # meets the scene once, if at all
        for place in np.flatnonzero(~plain & _are_finite(placed)):
            placed[place] = _in_one_piece(placed[place], period, (left, right))
        return placed

    def _to_pixels(self, points: Points) -> Points:
        return _apply(self._into, points)


def _turn(crs: CRS) -> float:
    """Give a full turn in the unit of a geographic system."""
    return float(2 * np.pi / crs.axis_info[0].unit_conversion_factor) if crs.axis_info else _TURN


@cache
def _find_period(wkt: str) -> float | None:
    """Give after which distance x starts anew in a system: a turn of degrees, the equator of a cylinder; else None."""
    crs = CRS.from_wkt(wkt)
    if crs.is_geographic:
        return _turn(crs)
    geodetic = crs.geodetic_crs
    if geodetic is None:
        return None
    turn = _turn(geodetic)
    lons, lats = np.meshgrid(np.arange(_MERIDIANS) * turn / _MERIDIANS - turn / 2, np.array([0.0, turn / 9]))
    x, _ = best_transformer(geodetic, crs, (0.0, 0.0)).transform(lons, lats)
    if not np.isfinite(x).all():
        return None
    steps = np.diff(x, axis=1)
    usual = float(np.median(steps))
    even = np.abs(steps - usual) < abs(usual) * 1e-6
    alike = bool((np.abs(x[0] - x[1]) < abs(usual) * 1e-6).all())
    return abs(usual) * _MERIDIANS if usual and alike and (~even).sum(axis=1).max() <= 1 else None


def _reach(values: npt.NDArray[np.float64], torn: float | None) -> tuple[float, float]:
    """Give the range of a coordinate over a net of points, with room; infinite where neighbours are torn apart.

    Parameters
    ----------
    values
        (n, n) array.
    torn
        A step between neighbours that tells it; None: a step far wider than the others in its direction.
    """
    if not np.isfinite(values).all():
        return -np.inf, np.inf
    room, span = 0.0, float(np.ptp(values))
    for axis in (0, 1):
        steps = np.abs(np.diff(values, axis=axis))
        widest = float(steps.max())
        limit = max(_TORN * float(steps.mean()), span / _TORN) if torn is None else torn
        if widest > limit:
            return -np.inf, np.inf
        room = max(room, 2 * widest)
    return float(values.min()) - room, float(values.max()) + room


def _map(shapes: Shapes, change: Callable[[Points], Points]) -> Shapes:
    """Change the coordinates of shapes; None stays None."""
    return np.asarray(shapely.transform(shapes, change), object)


def _are_finite(shapes: Shapes) -> npt.NDArray[np.bool_]:
    """Tell which shapes have coordinates, all of them finite; empty ones have none."""
    return np.asarray(np.isfinite(shapely.bounds(shapes).reshape(-1, 4)).all(axis=1))


def _is_wrapped(shape: Any, turn: float) -> bool:  # noqa: ANN401
    """Tell whether a polygon is drawn over the meridian from one end of the longitudes to the other."""
    steps = np.abs(np.diff(shapely.get_coordinates(shape)[:, 0]))
    return bool(((steps > turn / 2 + _EXACT) & (steps < turn - _EXACT)).any())


def _densify(ring: Points, turn: float) -> Points:
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


def _in_one_piece(shape: Any, turn: float, span: tuple[float, float]) -> Any:  # noqa: ANN401
    """Give a polygon in one piece where x starts anew after a turn, as often as its turns meet a range of x."""
    if shape.geom_type not in {"Polygon", "MultiPolygon"}:
        return shape
    steps = np.abs(np.diff(shapely.get_coordinates(shape)[:, 0]))
    parts = list(shapely.get_parts(shape))
    if (steps > turn / 2 * (1 + _EXACT)).any():
        parts = [_unwrap_polygon(part, turn) for part in parts]
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


def _unwrap_polygon(polygon: shapely.Polygon, turn: float) -> shapely.Polygon:
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


def _with_rings(shape: Any, change: Callable[[Points], Points]) -> Any:  # noqa: ANN401
    """Give a polygon, or several, with every ring changed; other shapes as they are."""
    if shape.geom_type == "Polygon":
        shell, *holes = [change(np.asarray(ring.coords)[:, :2]) for ring in (shape.exterior, *shape.interiors)]
        return shapely.Polygon(shell, holes)
    if shape.geom_type == "MultiPolygon":
        return shapely.MultiPolygon([_with_rings(part, change) for part in shape.geoms])
    return shape


def _apply(transform: Affine, points: Points) -> Points:
    a, b, c, d, e, f = tuple(transform)[:6]
    x, y = points.T
    return np.column_stack([a * x + b * y + c, d * x + e * y + f])
