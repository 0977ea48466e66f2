"""Vector files in: one layer of a shapefile, GeoPackage, GeoJSON or FlatGeobuf, checked before it is read."""

import math
import os
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import geopandas
import pandas as pd
import pyogrio
from pyogrio.errors import DataSourceError
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from segflow.errors import SceneError
from segflow.io.vector.placing import Placing

LAYER_MARK = "|layername="  # QGIS's way to name a layer of a file
_DRIVERS = {"ESRI Shapefile", "GPKG", "GeoJSON", "GeoJSONSeq", "FlatGeobuf"}
_UNSORTED = {"GeoJSON", "GeoJSONSeq"}  # their numbers of features are ids, which say nothing of their order
_VIRTUAL = b"<OGRVRTDataSource"  # a text that leads OGR to other files, whatever its suffix
_LONGITUDE, _LATITUDE = 540.0, 90.0  # °; longitudes may count from 0 to 360, and a polygon go on from there


class LabelsElsewhereError(SceneError):
    """A scene lies outside all labels of a file."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VectorSource:
    """One layer of a vector file.

    Attributes
    ----------
    path
        As the user gave it.
    file, layer
        The file and the name of the layer.
    fields
        Names of its fields.
    crs
        Its coordinate reference system.
    features
        Number of its features, at least one.
    bounds
        (left, bottom, right, top) around all features [CRS unit].
    driver
        OGR's name of its format.
    """

    path: str
    file: Path
    layer: str
    fields: tuple[str, ...]
    crs: CRS
    features: int
    bounds: tuple[float, float, float, float]
    driver: str = ""

    def find_field(self, field: str) -> str:
        """Give a field as the file spells it: composed and decomposed letters are the same.

        Raises
        ------
        SceneError
            Naming those that are there, if this one is not.
        """
        found = {composed(name): name for name in reversed(self.fields)}.get(composed(field))
        if found is None:
            msg = f"labels {self.path} have no field {field!r}, only {', '.join(self.fields)}: set class_field"
            raise SceneError(msg)
        return found

    def read(self, placing: Placing | None = None) -> geopandas.GeoDataFrame:
        """Give the features in the order of the file, with `placing` only those that may meet its scene.

        The index numbers them: each feature has the same number whatever else is read.

        Raises
        ------
        SceneError
            If they cannot be read.
        """
        with _vector_errors(self.path):
            if placing is None or self.driver in _UNSORTED:
                frame = self._read(None)
            else:
                parts = [self._read(box) for box in placing.boxes(self.bounds)] or [self._read(None).iloc[:0]]
                frame = pd.concat(parts) if len(parts) > 1 else parts[0]
                frame = frame[~frame.index.duplicated()]
        # A spatial index may give features in its own order, and the last polygon counts. The numbers of GeoJSON are
        # ids that anybody may write; OGR gives its features as they stand in the file.
        frame = frame.reset_index(drop=True) if self.driver in _UNSORTED else frame.sort_index()
        return frame if placing is None else frame[placing.near(frame.geometry.to_numpy())]

    def _read(self, box: tuple[float, float, float, float] | None) -> geopandas.GeoDataFrame:
        return pyogrio.read_dataframe(self.file, layer=self.layer, bbox=box, fid_as_index=True)

    def entries(self, field: str) -> list[object]:
        """Give the entries of a field, one per feature.

        Raises
        ------
        SceneError
            If there is no such field, or the file cannot be read.
        """
        name = self.find_field(field)
        with _vector_errors(self.path):
            table = pyogrio.read_dataframe(self.file, layer=self.layer, columns=[name], read_geometry=False)
        return list(table[name])


def composed(text: str) -> str:
    """Give a text with letters composed (NFC): ``ä`` may be written as one sign, or as ``a`` with dots to add."""
    return unicodedata.normalize("NFC", text)


def open_source(path: str | os.PathLike[str]) -> VectorSource:
    """Give a layer of a vector file, its features still unread.

    Parameters
    ----------
    path
        A file with one layer, or ``FILE|layername=NAME``.

    Raises
    ------
    SceneError
        If it cannot be read, has several layers and none is named, no feature, no CRS,
        or coordinates that its CRS cannot mean.
    """
    text, _, wanted = os.fspath(path).partition(LAYER_MARK)
    file = Path(text)
    _check_file(file, text)
    with _vector_errors(path):
        layer = _choose_layer(file, wanted)
        info = pyogrio.read_info(file, layer=layer, force_feature_count=True, force_total_bounds=True)
    if info["driver"] not in _DRIVERS:
        known = ", ".join(sorted(_DRIVERS))
        msg = f"labels {path} are a file of {info['driver']}, but need {known}: convert them (ogr2ogr labels.gpkg FILE)"
        raise SceneError(msg)
    if not info["features"]:
        msg = f"labels {path} hold no feature: digitise some polygons first"
        raise SceneError(msg)
    if info["crs"] is None:
        msg = f"labels {path} have no CRS: add one (a .prj file beside a shapefile)"
        raise SceneError(msg)
    bounds = tuple(float(value) for value in info["total_bounds"])
    source = VectorSource(
        path=os.fspath(path),
        file=file,
        layer=layer,
        fields=tuple(map(str, info["fields"])),
        crs=CRS.from_user_input(info["crs"]),
        features=int(info["features"]),
        bounds=(bounds[0], bounds[1], bounds[2], bounds[3]),
        driver=str(info["driver"]),
    )
    _check_coordinates(source)
    return source


def check_reach(source: VectorSource, placing: Placing) -> None:
    """Refuse labels that all lie elsewhere than the scene; a scene between them may well hold none.

    Raises
    ------
    LabelsElsewhereError
        Naming where both lie.
    """
    if not placing.reaches(source.bounds):
        msg = (
            f"labels {source.path} miss the scene: in {source.crs.name} they span {_span(source.bounds)}, "
            f"the scene {_span(placing.box)}: check both coordinate systems"
        )
        raise LabelsElsewhereError(msg)


def _check_file(file: Path, path: str) -> None:
    if not file.is_file():
        msg = f"labels {path} do not exist: check the path"
        raise SceneError(msg)
    try:
        with file.open("rb") as stream:
            head = stream.read(1024)
    except OSError as error:
        msg = f"labels {path} cannot be read ({error.strerror}): check the permissions"
        raise SceneError(msg) from error
    if _VIRTUAL in head:
        msg = f"labels {path} lead to other files: give the vector file itself"
        raise SceneError(msg)


def _choose_layer(file: Path, wanted: str) -> str:
    """Give the name of the layer that is meant; tables without geometry are none."""
    layers = [str(name) for name, kind in pyogrio.list_layers(file) if kind is not None]
    if wanted in layers or (not wanted and len(layers) == 1):
        return wanted or layers[0]
    found = f"no layer {wanted!r}" if wanted else f"{len(layers)} layers"
    msg = f"labels {file} have {found} (there are: {', '.join(layers) or 'none'}): add {LAYER_MARK}NAME to the path"
    raise SceneError(msg)


def _check_coordinates(source: VectorSource) -> None:
    """Refuse coordinates that the CRS cannot mean: metres called degrees, degrees called metres."""
    left, bottom, right, top = source.bounds
    small = max(abs(left), abs(right)) <= _LONGITUDE and max(abs(bottom), abs(top)) <= _LATITUDE
    if source.crs.is_geographic and not small:
        found = "which are no degrees"
    elif source.crs.is_projected and small and not _in_use(source):
        found = "which look like degrees"
    else:
        return
    msg = (
        f"labels {source.path} say that they are in {source.crs.name}, but span {_span(source.bounds)}, {found}: "
        "set the CRS that the coordinates are in"
    )
    raise SceneError(msg)


def _in_use(source: VectorSource) -> bool:
    """Tell whether coordinates lie where their CRS is meant to be used; True if it does not say."""
    area = source.crs.area_of_use
    if area is None:
        return True
    try:
        transformer = Transformer.from_crs("EPSG:4326", source.crs, always_xy=True)
        x0, y0, x1, y1 = transformer.transform_bounds(*area.bounds)
    except ProjError:
        return True
    left, bottom, right, top = source.bounds
    return not (x1 < left or right < x0 or y1 < bottom or top < y0)


def _span(bounds: tuple[float, float, float, float]) -> str:
    left, bottom, right, top = bounds
    if left == -math.inf:
        return f"all x, y {bottom:.6g} to {top:.6g}"
    return f"x {left:.6g} to {right:.6g}, y {bottom:.6g} to {top:.6g}"


@contextmanager
def _vector_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn errors of OGR into one line that names the file; its warnings are of fields that nobody reads."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except SceneError:
        raise
    except (DataSourceError, OSError, ValueError, RuntimeError) as error:
        problem = " ".join(str(error).split())
        msg = f"labels {path} cannot be read ({problem}): give a vector file such as .shp, .gpkg or .geojson"
        raise SceneError(msg) from error
