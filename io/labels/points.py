"""Reference points: read onto the pixels of a map, and drawn as an empty layer to be filled in."""

import os
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyogrio
from affine import Affine
from pyogrio.errors import DataSourceError
from pyproj import CRS

from segflow.errors import OutputError, SceneError
from segflow.io.labels.fields import NO_ENTRY, class_text
from segflow.io.labels.tables import SUFFIXES, read_table
from segflow.io.storage.files import replace_file
from segflow.io.vector.datums import check_datum_shift
from segflow.io.vector.placing import Placing
from segflow.io.vector.source import open_source
from segflow.tiling import Grid

LAYER = "sample"
MOMENT = "2000-01-01T00:00:00.000Z"  # equal samples give equal bytes
_WGS84 = 4326  # EPSG's number of what longitudes and latitudes of a table are in


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferencePoints:
    """Points whose class is known.

    Attributes
    ----------
    places
        (n, 2) int64 array of (row, column), also outside the map [px].
    texts
        The class of each, as text; ``(no entry)`` where it is not filled in.
    left
        How many points were left out, and why.
    notes
        What the user should know, a line each.
    """

    places: npt.NDArray[np.int64]
    texts: tuple[str, ...]
    left: tuple[tuple[int, str], ...] = ()
    notes: tuple[str, ...] = ()


def holds_points(path: str) -> bool:
    """Tell whether a reference is a table or a layer of points.

    Raises
    ------
    SceneError
        If it is a vector file that cannot be read.
    """
    if Path(path).suffix.lower() in SUFFIXES:
        return True
    source = open_source(path)
    return "Point" in str(pyogrio.read_info(source.file, layer=source.layer)["geometry_type"])


def read_points(path: str, grid: Grid, field: str, *, allow_shift: bool = False) -> ReferencePoints:
    """Read reference points.

    Parameters
    ----------
    path
        A vector file, or a CSV with columns ``lon, lat`` (WGS 84), or ``x, y`` in the CRS of the map.
    grid
        Grid of the map.
    field
        The field, or column, that says a point's class.
    allow_shift
        Whether they may be off by more than a pixel where PROJ only guesses the shift between two datums.

    Raises
    ------
    SceneError
        If it cannot be read, has no such field, or may be off by more than a pixel and that is not allowed.
    """
    left: list[tuple[int, str]] = []
    notes: tuple[str, ...] = ()
    if Path(path).suffix.lower() in SUFFIXES:
        table = read_table(path, field, grid.bounds)
        if table.degrees and grid.crs is None:
            msg = f"points {path} cannot be placed, because the map has no CRS: give columns x, y"
            raise SceneError(msg)
        xy, texts, left, notes = table.xy, table.texts, list(table.left), table.notes
        crs = CRS.from_epsg(_WGS84) if table.degrees else None
    else:
        source = open_source(path)
        name = source.find_field(field)
        frame = source.read()
        points = frame.geometry.explode(index_parts=False)
        xy = np.column_stack([points.x, points.y])
        texts = tuple(frame.loc[points.index, name].map(class_text))
        crs = source.crs
    if crs is None or grid.crs is None:
        place = _apply(~grid.transform, xy)
    else:
        notes = (*notes, *check_datum_shift(crs, grid, what=f"points {path}", allowed=allow_shift))
        place = Placing(crs, grid).place_points(xy)
    kept = np.asarray(np.isfinite(place).all(axis=1))
    bare = int((~np.isfinite(xy)).any(axis=1).sum())
    left += [(bare, "have no coordinates"), (int((~kept).sum()) - bare, "have no place in the map's coordinate system")]
    return ReferencePoints(
        places=np.floor(place[kept][:, ::-1]).astype(np.int64),
        texts=tuple(text for text, keep in zip(texts, kept.tolist(), strict=True) if keep),
        left=tuple((count, why) for count, why in left if count),
        notes=notes,
    )


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


def _apply(transform: Affine, xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    a, b, c, d, e, f = tuple(transform)[:6]
    return np.column_stack([a * xy[:, 0] + b * xy[:, 1] + c, d * xy[:, 0] + e * xy[:, 1] + f])
