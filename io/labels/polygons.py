"""Polygons of labels, from a vector file of any CRS to the pixels of a scene's grid."""

from collections.abc import Iterable, Mapping
from typing import Any

import geopandas
import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from rasterio.features import rasterize

from segflow.errors import SceneError
from segflow.io.labels.fields import ClassValues, class_text, find_contradictions, map_classes
from segflow.io.vector.datums import check_datum_shift
from segflow.io.vector.placing import Placing
from segflow.io.vector.source import LAYER_MARK, VectorSource, check_reach, open_source
from segflow.tiling import Grid, Window

Labels = npt.NDArray[np.uint8]  # (height, width), class values

IGNORE = 255


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
    source, features
        The layer they come from, and the number of all its features.
    seen
        Numbers of its features that lie on the scene, or that enclose nothing near it.
    notes
        What the user should know, a line each.
    """

    def __init__(self, shapes: npt.NDArray[np.object_], values: Labels, *, background: int) -> None:
        self.values = values
        self.mapping: Mapping[str, int] = {}
        self.repaired = self.dropped = self.features = 0
        self.source = ""
        self.seen: frozenset[int] = frozenset()
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
    allow_shift: bool = False,
    role: str = "labels",
) -> LabelPolygons:
    """Give the polygons of a vector file that meet a scene, wherever on the globe it lies.

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
    allow_shift
        Whether they may be off by more than a pixel where PROJ only guesses the shift between two datums.
    role
        What messages call them.

    Raises
    ------
    SceneError
        If the file cannot be read, has no such field, no features or no usable CRS, holds other
        classes or no polygons, or they may be off by more than a pixel and that is not allowed;
        `LabelsElsewhereError` if the scene lies outside all of them.
    """
    if grid.crs is None:
        msg = f"labels {path} cannot be placed, because the scene has no CRS: use label rasters or set its CRS"
        raise SceneError(msg)
    source = open_source(path)
    field = source.find_field(field)
    placing = Placing(source.crs, grid)
    check_reach(source, placing)
    doubts = check_datum_shift(source.crs, grid, what=f"{role} {path}", allowed=allow_shift)
    frame = source.read(placing)
    shapes, repaired = _polygons(frame, source, placing)
    meets = shapely.intersects(shapes, shapely.box(0, 0, grid.width, grid.height))
    lost = shapely.is_missing(shapes)
    frame = frame.drop(columns=frame.geometry.name)
    texts = frame[field].map(class_text).to_numpy()[meets]
    mapping = map_classes(texts, values, names, where=f"{role} {path}: field {field!r}")
    found = np.array([mapping[text] for text in texts], np.uint8)
    labels = LabelPolygons(shapes[meets], found, background=background)
    labels.mapping, labels.repaired, labels.dropped = mapping, int((repaired & meets).sum()), int(lost.sum())
    labels.source, labels.features = f"{source.file}{LAYER_MARK}{source.layer}", source.features
    labels.seen = frozenset(frame.index[meets | lost].tolist())
    labels.notes = (*doubts, *find_contradictions(frame[meets], field))
    return labels


def count_outside(found: Iterable[LabelPolygons]) -> tuple[int, int]:
    """Give how many features lie on no scene, of how many there are in the files.

    Parameters
    ----------
    found
        The polygons of each scene.
    """
    seen: dict[str, set[int]] = {}
    features: dict[str, int] = {}
    for labels in found:
        seen.setdefault(labels.source, set()).update(labels.seen)
        features[labels.source] = labels.features
    total = sum(features.values())
    return total - sum(map(len, seen.values())), total


def read_outlines(
    path: str, grid: Grid, *, role: str, allow_shift: bool = False
) -> tuple[npt.NDArray[np.object_], tuple[str, ...]]:
    """Give all polygons of a vector file near a grid with a CRS in its pixels, and how far they may be off.

    They are valid, and those that are empty are left out; `role` is what messages call them.

    Raises
    ------
    SceneError
        If the file cannot be read, has no features or no usable CRS, holds other geometries, or may be off by
        more than a pixel where PROJ only guesses and that is not allowed.
    """
    source = open_source(path)
    placing = Placing(source.crs, grid)
    shapes, _ = _polygons(source.read(placing), source, placing)
    doubts = check_datum_shift(source.crs, grid, what=f"{role} {path}", allowed=allow_shift)
    return shapes[~shapely.is_missing(shapes)], doubts


def _polygons(
    frame: geopandas.GeoDataFrame, source: VectorSource, placing: Placing
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.bool_]]:
    """Give valid polygons in pixels, None for what encloses nothing, and which were repaired.

    A ring that crosses itself is repaired by GEOS's "structure" method, which fills what was drawn twice
    where the default would leave a hole. Halves of a polygon that was cut at a meridian touch where they are brought
    together; that is no fault of the file.
    """
    drawn = frame.geometry.to_numpy()
    kinds = set(frame.geometry.geom_type.dropna()) - {"Polygon", "MultiPolygon", "GeometryCollection"}
    if kinds:
        msg = f"labels {source.path} hold {', '.join(sorted(kinds))}, but need polygons: buffer them to their width"
        raise SceneError(msg)
    shapes = placing.place(np.asarray(drawn, object))
    broken = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken], method="structure", keep_collapsed=False)
    shapes = np.array([_polygonal(shape) for shape in shapes] + [None], object)[:-1]
    return shapes, broken & ~shapely.is_valid(drawn) & ~shapely.is_missing(shapes)


def _polygonal(shape: Any) -> Any:  # noqa: ANN401  # shapely's geometries or None
    """Give the polygons of a geometry, None if there are none."""
    if shape is None or shape.geom_type == "Polygon":
        return None if shape is None or shape.is_empty else shape
    parts = [part for part in shapely.get_parts(shape) if part.geom_type in {"Polygon", "MultiPolygon"}]
    return None if not parts else parts[0] if len(parts) == 1 else shapely.MultiPolygon(list(shapely.get_parts(parts)))
