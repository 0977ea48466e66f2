"""Vector files in: one layer of a shapefile, GeoPackage, GeoJSON or FlatGeobuf, checked before it is read."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import geopandas
import pyogrio
from pyogrio.errors import DataSourceError
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from segflow.errors import SceneError

LAYER_MARK = "|layername="  # QGIS's way to name a layer of a file
_DRIVERS = {"ESRI Shapefile", "GPKG", "GeoJSON", "GeoJSONSeq", "FlatGeobuf"}
_VIRTUAL = b"<OGRVRTDataSource"  # a text that leads OGR to other files, whatever its suffix
_HALF_TURN, _QUARTER_TURN = 360.0, 90.0  # °; longitudes may count from 0 to 360


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
    """

    path: str
    file: Path
    layer: str
    fields: tuple[str, ...]
    crs: CRS
    features: int
    bounds: tuple[float, float, float, float]

    def check_field(self, field: str) -> None:
        """Refuse a field that is not there.

        Raises
        ------
        SceneError
            Naming those that are.
        """
        if field not in self.fields:
            msg = f"labels {self.path} have no field {field!r}, only {', '.join(self.fields)}: set class_field"
            raise SceneError(msg)

    def read(self, area: geopandas.GeoSeries | None = None) -> geopandas.GeoDataFrame:
        """Give the features, with `area` only those that meet it.

        Raises
        ------
        SceneError
            If they cannot be read.
        """
        with _vector_errors(self.path):
            frame = geopandas.read_file(self.file, layer=self.layer, mask=area, fid_as_index=True)
        return frame.sort_index()  # a spatial index may give them in its own order, and the last polygon counts

    def entries(self, field: str) -> list[object]:
        """Give the entries of a field, one per feature.

        Raises
        ------
        SceneError
            If there is no such field, or the file cannot be read.
        """
        self.check_field(field)
        with _vector_errors(self.path):
            table = pyogrio.read_dataframe(self.file, layer=self.layer, columns=[field], read_geometry=False)
        return list(table[field])


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
        msg = f"labels {path} are a file of {info['driver']}, but need {', '.join(sorted(_DRIVERS))}: convert them"
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
    )
    _check_coordinates(source)
    return source


def check_reach(source: VectorSource, outline: geopandas.GeoSeries) -> None:
    """Refuse labels that all lie elsewhere than the scene; a scene between them may well hold none.

    Raises
    ------
    LabelsElsewhereError
        Naming where both lie.
    """
    left, bottom, right, top = source.bounds
    x0, y0, x1, y1 = outline.to_crs(source.crs).total_bounds
    if x1 < left or right < x0 or y1 < bottom or top < y0:
        msg = (
            f"labels {source.path} miss the scene: in {source.crs.name} they span {_span(source.bounds)}, "
            f"the scene {_span((x0, y0, x1, y1))}: check both coordinate systems"
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
    small = max(abs(left), abs(right)) <= _HALF_TURN and max(abs(bottom), abs(top)) <= _QUARTER_TURN
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
