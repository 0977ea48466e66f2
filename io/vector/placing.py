"""Vectors of any coordinate system on the grid of a scene, wherever on the globe it lies.

Longitudes jump at the 180th meridian and mean nothing at a pole, and other systems tear the Earth elsewhere: an outline
of the scene drawn in the system of the vectors may be no outline there. So vectors are chosen in the scene's own
system. What is sought in theirs beforehand is a box around many points of the scene, and only where these lie side by
side; where they do not, everything is read.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from pyproj import CRS
from pyproj.enums import TransformDirection

from segflow.io.vector.datums import best_transformer, horizontal, place_of
from segflow.io.vector.meridians import densify, find_period, find_tear, in_one_piece, is_wrapped, turn_of, with_rings
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
        self._period = find_period(self._target.to_wkt())
        self._tear = None if self._period else find_tear(self._target, self.grid)
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
            turn = turn_of(self.crs)
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
        turn = turn_of(self.crs) if self.crs.is_geographic else 0.0
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
        if not np.isfinite(x).all():
            return -np.inf, -np.inf, np.inf, np.inf
        turn = turn_of(self.crs)
        middle = x[_SIDE // 2, _SIDE // 2]
        (left, right), (bottom, top) = _reach(x - turn * np.round((x - middle) / turn), turn / 2), _reach(y, None)
        return left, bottom, right, top

    def _cut_huge(self, shapes: Shapes) -> Shapes:
        """Cut polygons that span a quarter of the globe or more, unless they are merely drawn over the meridian."""
        if not self.crs.is_geographic or not len(shapes):
            return shapes
        turn = turn_of(self.crs)
        x0, y0, x1, y1 = shapely.bounds(shapes).T
        with np.errstate(invalid="ignore"):
            high, wide = y1 - y0 >= turn / 4, x1 - x0 >= turn / 4
        huge = high | wide
        huge[wide & ~high] = [not is_wrapped(shape, turn) for shape in shapes[wide & ~high]]
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
            turn = turn_of(self.crs)
            x0, _, x1, _ = shapely.bounds(shapes).T
            for place in np.flatnonzero(x1 - x0 >= turn / 2 - _EXACT):
                shapes = shapes.copy()
                shapes[place] = with_rings(shapes[place], lambda ring: densify(ring, turn))
        placed = _map(shapes, lambda xy: np.column_stack(self._forward.transform(xy[:, 0], xy[:, 1])))
        if not len(placed):
            return placed
        if self._period is None:
            return self._cut_torn(placed)
        left, _, right, _ = self.grid.bounds
        x0, _, x1, _ = shapely.bounds(placed).T
        period = self._period
        plain = (
            (x1 - x0 < period / 2) & (x0 >= right - period) & (x1 <= left + period)
        )  # meets the scene once, if at all
        for place in np.flatnonzero(~plain & _are_finite(placed)):
            placed[place] = in_one_piece(placed[place], period, (left, right))
        return placed

    def _cut_torn(self, placed: Shapes) -> Shapes:
        """Cut polygons in two that the system of the scene tears apart, as Mollweide's does at its outer meridian."""
        if self._tear is None:
            return placed
        x0, _, x1, _ = shapely.bounds(placed).T
        with np.errstate(invalid="ignore"):
            torn = np.flatnonzero((x1 - x0 > self._tear.width / 2) & _are_finite(placed))
        for place in torn:
            placed[place] = self._tear.cut(placed[place])
        return placed

    def _to_pixels(self, points: Points) -> Points:
        return _apply(self._into, points)


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


def _apply(transform: Affine, points: Points) -> Points:
    a, b, c, d, e, f = tuple(transform)[:6]
    x, y = points.T
    return np.column_stack([a * x + b * y + c, d * x + e * y + f])
