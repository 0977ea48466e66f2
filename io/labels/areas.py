"""Areas of interest: the part of a scene that is mapped, as polygons of any vector file."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from rasterio.features import rasterize

from segflow.errors import SceneMismatchError
from segflow.io.labels.polygons import read_outlines
from segflow.tiling import Grid, Span, Window

MOST_CORNERS = 2_000_000  # of all polygons; they travel to the workers with every task


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Polygons that say which pixels of a scene are mapped: those whose centre lies inside one.

    Attributes
    ----------
    path
        The vector file, as the user gave it.
    shapes
        The polygons as WKB, in pixels of the scene: x is the column, y the row.
    shape
        (height, width) of the scene [px].
    notes
        What the user should know, a line each.
    """

    path: str
    shapes: bytes
    shape: tuple[int, int]
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the polygons, as they lie on the scene."""
        return hashlib.sha256(self.shapes).hexdigest()

    def inside(self, window: Window) -> npt.NDArray[np.bool_]:
        """Tell which pixels of a window are mapped: (height, width) bool array, the same for every window."""
        tree = _tree(self.shapes)
        rows, cols = window.rows, window.cols
        hit = np.sort(tree.query(shapely.box(cols.start, rows.start, cols.stop, rows.stop)))
        if not len(hit):
            return np.zeros(window.shape, np.bool_)
        origin = Affine.translation(cols.start, rows.start)
        burnt: npt.NDArray[np.uint8] = rasterize(
            tree.geometries[hit], out_shape=window.shape, fill=0, default_value=1, transform=origin, dtype="uint8"
        )
        inside: npt.NDArray[np.bool_] = burnt != 0
        return inside

    @property
    def around(self) -> Window:
        """The smallest window of the scene around the area."""
        left, top, right, bottom = shapely.total_bounds(_tree(self.shapes).geometries)
        rows, cols = Span(floor(top), ceil(bottom)), Span(floor(left), ceil(right))
        return Window(rows, cols).clip(Window.of_shape(*self.shape))

    def touches(self, window: Window) -> bool:
        """Tell whether a pixel of a window is mapped."""
        return bool(self.inside(window).any())


def read_area(path: str, grid: Grid, *, allow_shift: bool = False) -> Area:
    """Read an area of interest for a scene.

    Parameters
    ----------
    path
        A vector file with a CRS; ``FILE.gpkg|layername=NAME`` names a layer of several. All its polygons count.
    grid
        Of the scene.
    allow_shift
        Whether it may be off by more than a pixel where PROJ only guesses the shift between two datums.

    Raises
    ------
    SceneError
        If the file cannot be read or holds no polygons; `SceneMismatchError` if the scene has no CRS, no pixel's
        centre lies inside, or the polygons have too many corners.
    """
    if grid.crs is None:
        msg = f"area of interest {path} cannot be placed, because the scene has no CRS: set it (gdal_edit -a_srs)"
        raise SceneMismatchError(msg)
    whole = shapely.box(0, 0, grid.width, grid.height)
    outlines, notes = read_outlines(path, grid, role="area of interest", allow_shift=allow_shift)
    found = [shape for shape in outlines if shape.intersects(whole)]
    corners = sum(shapely.get_num_coordinates(shape) for shape in found)
    if corners > MOST_CORNERS:
        msg = f"area of interest {path} has {corners:,} corners, but at most {MOST_CORNERS:,} are read: simplify it"
        raise SceneMismatchError(msg)
    area = Area(path=path, shapes=shapely.to_wkb(shapely.GeometryCollection(found)), shape=grid.shape, notes=notes)
    if not any(area.touches(window) for window in _strips(grid)):
        msg = f"area of interest {path} holds no pixel of the scene: check that both lie at one place"
        raise SceneMismatchError(msg)
    return area


def _strips(grid: Grid) -> list[Window]:
    step = max(1, 2**24 // grid.width)
    return [Window.of_shape(step, grid.width).shift(row, 0).clip(grid.window) for row in range(0, grid.height, step)]


@lru_cache(maxsize=4)
def _tree(shapes: bytes) -> shapely.STRtree:
    return shapely.STRtree(shapely.get_parts(shapely.from_wkb(shapes)))
