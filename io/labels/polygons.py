"""Polygons of labels, from a vector file of any CRS to the pixels of a scene's grid."""

from collections.abc import Mapping
from typing import Any

import geopandas
import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from rasterio.features import rasterize

from segflow.errors import SceneError
from segflow.io.labels.fields import ClassValues, class_text, find_contradictions, map_classes
from segflow.io.vector.source import VectorSource, check_reach, open_source
from segflow.tiling import Grid, Window

Labels = npt.NDArray[np.uint8]  # (height, width), class values

IGNORE = 255
_DENSE = 32  # pieces per side of the scene's outline, which is curved in another CRS


class LabelPolygons:
    """Labelled polygons that meet a scene, in its pixels.

    Attributes
    ----------
    values
        (n,) uint8 array: class value of each polygon, in the order of the file.
    mapping
        Class value of each entry of the class field that occurs.
    repaired, dropped
        Number of invalid geometries that were made valid, and of those that enclose nothing.
    notes
        What the user should know, a line each.
    """

    def __init__(self, shapes: npt.NDArray[np.object_], values: Labels, *, background: int) -> None:
        self.values = values
        self.mapping: Mapping[str, int] = {}
        self.repaired = self.dropped = 0
        self.notes: tuple[str, ...] = ()
        self._shapes = shapes  # in pixels: x is the column, y the row
        self._background = background
        self._tree = shapely.STRtree(shapes)

    def read(self, window: Window) -> Labels:
        """Give the labels of the pixels in a window: where several polygons cover one's centre, of the last of them.

        Returns
        -------
        (height, width) uint8 array
        """
        hit = self._hit(window)
        return self._burn(window, hit, self.values[hit], self._background)

    def count_overlaps(self, window: Window) -> int:
        """Give the number of pixels in a window that polygons of different classes cover."""
        hit = self._hit(window)
        covers = np.zeros(window.shape, np.uint8)
        for value in np.unique(self.values[hit]):
            same = hit[self.values[hit] == value]
            covers += self._burn(window, same, np.ones(len(same), np.uint8), 0)
        return int((covers > 1).sum())

    def _hit(self, window: Window) -> npt.NDArray[np.intp]:
        """Give the polygons that meet a window, in the order of the file."""
        rows, cols = window.rows, window.cols
        return np.sort(self._tree.query(shapely.box(cols.start, rows.start, cols.stop, rows.stop)))

    def _burn(self, window: Window, hit: npt.NDArray[np.intp], values: Labels, fill: int) -> Labels:
        # In pixels, not in world coordinates, so that a window has the same labels as the whole scene has there.
        if not len(hit):
            return np.full(window.shape, fill, np.uint8)
        origin = Affine.translation(window.cols.start, window.rows.start)
        shapes = zip(self._shapes[hit], values.tolist(), strict=True)
        return np.asarray(rasterize(shapes, out_shape=window.shape, fill=fill, transform=origin, dtype="uint8"))


def read_label_polygons(
    path: str,
    grid: Grid,
    *,
    field: str,
    values: ClassValues,
    names: Mapping[str, int],
    background: int = IGNORE,
) -> LabelPolygons:
    """Give the polygons of a vector file that meet a scene.

    Parameters
    ----------
    path
        A vector file with a CRS; ``FILE.gpkg|layername=NAME`` names a layer of several.
    grid
        The scene's grid, with a CRS.
    field
        The field that says a polygon's class.
    values, names
        Class value by entry of that field, and by class name; see `map_classes`.
    background
        Value where no polygon lies; 255 ignores those pixels.

    Raises
    ------
    SceneError
        If the file cannot be read, has no such field, no features or no usable CRS, holds other
        classes or no polygons; `LabelsElsewhereError` if the scene lies outside all of them.
    """
    if grid.crs is None:
        msg = f"labels {path} cannot be placed, because the scene has no CRS: use label rasters or set its CRS"
        raise SceneError(msg)
    source = open_source(path)
    source.check_field(field)
    outline = _outline(grid)
    check_reach(source, outline)
    frame = source.read(outline)
    shapes, repaired, dropped = _polygons(frame, source, grid)
    texts = frame[field].map(class_text).to_numpy()
    mapping = map_classes(texts, values, names, where=f"labels {path}: field {field!r}")
    kept = np.array([shape is not None for shape in shapes], bool)
    found = np.array([mapping[text] for text in texts[kept]], np.uint8)
    labels = LabelPolygons(shapes[kept], found, background=background)
    labels.mapping, labels.repaired, labels.dropped = mapping, repaired, dropped
    labels.notes = find_contradictions(frame.drop(columns=frame.geometry.name), field)
    return labels


def read_outlines(path: str, grid: Grid) -> npt.NDArray[np.object_]:
    """Give all polygons of a vector file in the pixels of a grid with a CRS, valid and without those that are empty.

    Raises
    ------
    SceneError
        If the file cannot be read, has no features or no usable CRS, or holds other geometries.
    """
    source = open_source(path)
    shapes, _, _ = _polygons(source.read(), source, grid)
    found: npt.NDArray[np.object_] = shapes[~shapely.is_missing(shapes)]
    return found


def _outline(grid: Grid) -> geopandas.GeoSeries:
    """Give the outline of the scene with enough corners to follow its edges in another CRS."""
    left, bottom, right, top = grid.bounds
    outline = geopandas.GeoSeries([shapely.Polygon(grid.corners)], crs=grid.crs)
    return outline.segmentize(max(right - left, top - bottom) / _DENSE)


def _polygons(
    frame: geopandas.GeoDataFrame, source: VectorSource, grid: Grid
) -> tuple[npt.NDArray[np.object_], int, int]:
    """Give valid polygons in pixels, None for what encloses nothing, and how many were repaired and dropped.

    A ring that crosses itself is repaired by GEOS's "structure" method, which fills what was drawn twice
    where the default would leave a hole.
    """
    shapes = frame.geometry.to_crs(grid.crs).to_numpy()
    kinds = set(frame.geometry.geom_type.dropna()) - {"Polygon", "MultiPolygon", "GeometryCollection"}
    if kinds:
        msg = f"labels {source.path} hold {', '.join(sorted(kinds))}, but need polygons: buffer them to their width"
        raise SceneError(msg)
    broken = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken], method="structure", keep_collapsed=False)
    shapes = np.array([_polygonal(shape) for shape in shapes] + [None], object)[:-1]
    inverse = ~grid.transform
    shapes = shapely.transform(shapes, lambda xy: _apply(inverse, xy))
    lost = shapely.is_missing(shapes)
    return shapes, int((broken & ~lost).sum()), int(lost.sum())


def _polygonal(shape: Any) -> Any:  # noqa: ANN401  # shapely's geometries or None
    """Give the polygons of a geometry, None if there are none."""
    if shape is None or not np.isfinite(shape.bounds).all():  # empty ones have bounds of NaN
        return None
    parts = [part for part in shapely.get_parts(shape) if part.geom_type in {"Polygon", "MultiPolygon"}]
    return None if not parts else parts[0] if len(parts) == 1 else shapely.MultiPolygon(list(shapely.get_parts(parts)))


def _apply(transform: Affine, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    a, b, c, d, e, f = tuple(transform)[:6]
    x, y = points.T
    return np.column_stack([a * x + b * y + c, d * x + e * y + f])
