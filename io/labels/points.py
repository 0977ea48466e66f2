"""Reference points: read onto the pixels of a map, and drawn as an empty layer to be filled in."""

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyogrio
from pyogrio.errors import DataSourceError

from segflow.errors import OutputError, SceneError
from segflow.io.labels.fields import NO_ENTRY, class_text
from segflow.io.storage.files import replace_file
from segflow.io.vector.placing import Placing
from segflow.io.vector.source import open_source
from segflow.tiling import Grid

LAYER = "sample"
MOMENT = "2000-01-01T00:00:00.000Z"  # equal samples give equal bytes
_AXES = (("lon", "lat"), ("longitude", "latitude"), ("x", "y"))  # columns of a CSV, the first two in degrees


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferencePoints:
    """Points whose class is known.

    Attributes
    ----------
    places
        (n, 2) int64 array of (row, column), also outside the map [px].
    texts
        The class of each, as text; ``(no entry)`` where it is not filled in.
    """

    places: npt.NDArray[np.int64]
    texts: tuple[str, ...]


def holds_points(path: str) -> bool:
    """Tell whether a reference is a table or a layer of points.

    Raises
    ------
    SceneError
        If it is a vector file that cannot be read.
    """
    if Path(path).suffix.lower() == ".csv":
        return True
    source = open_source(path)
    return "Point" in str(pyogrio.read_info(source.file, layer=source.layer)["geometry_type"])


def read_points(path: str, grid: Grid, field: str) -> ReferencePoints:
    """Read reference points.

    Parameters
    ----------
    path
        A vector file, or a CSV with columns ``lon, lat`` (WGS 84), or ``x, y`` in the CRS of the map.
    grid
        Grid of the map.
    field
        The field, or column, that says a point's class.

    Raises
    ------
    SceneError
        If it cannot be read, or has no such field.
    """
    if Path(path).suffix.lower() == ".csv":
        frame = _read_table(path, grid, field)
    else:
        source = open_source(path)
        field = source.find_field(field)
        frame = source.read()
    points = frame.geometry.explode(index_parts=False)
    xy = np.column_stack([points.x, points.y])
    placing = Placing(frame.crs, grid)
    places = np.floor(placing.place_points(xy)[:,::-1])
    texts = frame.loc[points.index, field].map(class_text)
    kept = np.isfinite(places).all(1)
    return ReferencePoints(places=places[kept].astype(np.int64), texts=tuple(texts[kept]))


def is_filled(text: str) -> bool:
    """Tell whether a point's class was filled in."""
    return text != NO_ENTRY


def write_points(path: str | os.PathLike[str], grid: Grid, places: npt.NDArray[np.int64], field: str) -> None:
    """Write points at the centres of pixels as a GeoPackage with an empty field for their class.

    Parameters
    ----------
    path
        Where it stands.
    grid
        Grid of the map.
    places
        (n, 2) array of (row, column) [px].
    field
        Name of the field to fill in.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    a, b, c, d, e, f = tuple(grid.transform)[:6]
    rows, cols = places[:, 0] + 0.5, places[:, 1] + 0.5
    frame = geopandas.GeoDataFrame(
        {
            "number": np.arange(1, len(places) + 1),
            field: pd.Series([None] * len(places), dtype="str"),
            "comment": pd.Series([None] * len(places), dtype="str"),
        },
        geometry=geopandas.points_from_xy(a * cols + b * rows + c, d * cols + e * rows + f),
        crs=grid.crs,
    )
    with replace_file(path) as temporary:
        _write(frame, temporary, path)


def _write(frame: geopandas.GeoDataFrame, temporary: Path, path: str | os.PathLike[str]) -> None:
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": MOMENT})
    try:
        pyogrio.write_dataframe(
            frame, temporary, layer=LAYER, driver="GPKG", geometry_type="Point", dataset_options={"VERSION": "1.3"}
        )
        found = pyogrio.read_info(temporary, layer=LAYER, force_feature_count=True)["features"]
    except (DataSourceError, OSError, RuntimeError) as error:
        msg = f"{path} cannot be written ({' '.join(str(error).split())}): check the disk space and the permissions"
        raise OutputError(msg) from error
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    if found != len(frame):
        msg = f"{path} does not read back: {found} of {len(frame)} points; check the disk space and try again"
        raise OutputError(msg)


def _read_table(path: str, grid: Grid, field: str) -> geopandas.GeoDataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = pd.read_csv(path, dtype={field: str}, skipinitialspace=True)
    except (OSError, ValueError) as error:
        msg = f"points {path} cannot be read ({' '.join(str(error).split())}): give a CSV with a header"
        raise SceneError(msg) from error
    names = {str(column).strip().casefold(): str(column) for column in table.columns}
    axes = next((pair for pair in _AXES if set(pair) <= set(names)), None)
    if axes is None or field not in table.columns:
        msg = f"points {path} have the columns {_list(table.columns)}, but need lon, lat (or x, y) and {field}"
        raise SceneError(msg)
    x, y = (pd.to_numeric(table[names[axis]], errors="coerce") for axis in axes)
    crs = grid.crs if axes == _AXES[-1] else "EPSG:4326"
    if crs is not None and grid.crs is None:
        msg = f"points {path} cannot be placed, because the map has no CRS: give columns x, y"
        raise SceneError(msg)
    return geopandas.GeoDataFrame(table, geometry=geopandas.points_from_xy(x, y), crs=crs)


def _list(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))
