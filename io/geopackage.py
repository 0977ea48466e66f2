"""GeoPackages that grow layer by layer, read back before they count, and open styled in QGIS."""

import os
import re
import sqlite3
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import pyogrio
import shapely

from segflow.errors import DamagedError, OutputError
from segflow.io.files import replace_file
from segflow.io.layer_styles import LayerStyle, write_layer_styles

GeometryType = Literal["Polygon", "MultiPolygon", "LineString"]

COLUMN = "geom"
VERSION = "1.3"  # QGIS 3.22 warns of 1.4
MOMENT = "2000-01-01T00:00:00.000Z"  # GeoPackage asks for a time of change; equal runs give equal bytes

_KINDS: dict[str, Literal["fill", "line"]] = {"Polygon": "fill", "MultiPolygon": "fill", "LineString": "line"}
_RESERVED = re.compile(r"^(gpkg|rtree|sqlite|layer_styles)", re.IGNORECASE)
_ENVELOPES = (0, 32, 48, 48, 64)  # bytes of the envelope in the header of a geometry, by its indicator


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorLayer:
    """One layer of a GeoPackage.

    Attributes
    ----------
    name
        Shown name; the table is named alike, see `table_name`.
    geometry_type
        Of all its features.
    rgb
        Colour it is drawn in, each 0–255.
    description
        One line about it.
    qml
        Its style as QGIS writes it; None: one colour.
    """

    name: str
    geometry_type: GeometryType
    rgb: tuple[int, int, int]
    description: str = ""
    qml: str | None = None

    def __post_init__(self) -> None:
        if self.geometry_type not in _KINDS:
            msg = f"layer {self.name}: geometry type must be one of {tuple(_KINDS)}, got {self.geometry_type!r}"
            raise ValueError(msg)


@dataclass(slots=True)
class _Written:
    """What was written to a layer so far: its table, number of features and a checksum of their geometries."""

    table: str
    count: int = 0
    checksum: int = 0


class GeoPackageWriter:
    """A GeoPackage that is whole or not there, to be used in a ``with`` block.

    Parameters
    ----------
    path
        Where it stands once the block is left without an error.
    crs
        Coordinate reference system of all layers as WKT, or None.

    Raises
    ------
    OutputError
        On leaving the block or writing, if the file cannot be written, or has no layer.
    DamagedError
        On leaving the block, if the file does not read back as it was written.
    """

    def __init__(self, path: str | os.PathLike[str], crs: str | None) -> None:
        self.path = Path(path)
        self.crs = crs
        self._layers: dict[VectorLayer, _Written] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start the file under a temporary name."""
        self._temporary = self._stack.enter_context(replace_file(self.path))
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Add the styles, read the file back and let it take its name; or drop it after an error."""
        with self._stack:
            if error is not None:
                raise error
            self._finish()

    def write(self, layer: VectorLayer, geometries: np.ndarray, fields: Mapping[str, np.ndarray]) -> None:
        """Append features to a layer; the first call makes it, with or without features.

        Parameters
        ----------
        layer
            The layer.
        geometries
            (n,) array of shapely geometries of the layer's type.
        fields
            (n,) arrays by name: bool, integer, float (NaN is written as no value) or str;
            the same names and types in every call.

        Raises
        ------
        OutputError
            If the file cannot be written.
        ValueError
            If a geometry is of another type or the arrays differ in length.
        """
        _check_features(layer, geometries, fields)
        known = layer in self._layers
        written = self._layers.setdefault(layer, _Written(table_name(layer.name, self._tables)))
        if known and not len(geometries):
            return
        wkb = shapely.to_wkb(geometries)
        with _ogr(self.path):
            pyogrio.raw.write(
                self._temporary,
                wkb,
                [_column(values) for values in fields.values()],
                list(fields),
                layer=written.table,
                driver="GPKG",
                geometry_type=layer.geometry_type,
                crs=self.crs,
                append=self._temporary.exists(),
                **({} if known else self._creation(layer)),
            )
        written.count += len(wkb)
        written.checksum = _checksum(wkb, written.checksum)

    @property
    def _tables(self) -> set[str]:
        return {written.table for written in self._layers.values()}

    def _creation(self, layer: VectorLayer) -> dict[str, Any]:
        """Give the options of a new layer, and with the first one of the file."""
        options: dict[str, Any] = {
            "layer_options": {
                "GEOMETRY_NAME": COLUMN,
                "SPATIAL_INDEX": "YES",
                "IDENTIFIER": layer.name,
                "DESCRIPTION": layer.description,
            }
        }
        if not self._temporary.exists():
            # No dataset_metadata: GDAL would leave an .aux.xml beside the file whenever one reads it.
            options["dataset_options"] = {"VERSION": VERSION}
        return options

    def _finish(self) -> None:
        if not self._layers:
            msg = f"{self.path} would have no layer: give it at least one class, or make no vectors"
            raise OutputError(msg)
        try:
            with closing(sqlite3.connect(self._temporary)) as connection:
                with connection:
                    write_layer_styles(connection, self._styles(), MOMENT)
                self._check(connection)
        except sqlite3.Error as error:
            msg = f"{self.path} does not read back ({error}): check the disk space and run again"
            raise DamagedError(msg) from error

    def _styles(self) -> list[LayerStyle]:
        return [
            LayerStyle(
                table=written.table,
                column=COLUMN,
                kind=_KINDS[layer.geometry_type],
                name=layer.name,
                rgb=layer.rgb,
                description=layer.description,
                qml=layer.qml,
            )
            for layer, written in self._layers.items()
        ]

    def _check(self, connection: sqlite3.Connection) -> None:
        """Compare the file with what was written: its pages, every geometry, the spatial index."""
        problem = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if problem != "ok":
            msg = f"{self.path} does not read back ({problem}): check the disk space and run again"
            raise DamagedError(msg)
        for layer, written in self._layers.items():
            found = _read_back(connection, written.table)
            if found != (written.count, written.checksum, written.count):
                msg = (
                    f"{self.path}: layer {layer.name} reads back with {found[0]} features, {found[2]} of them indexed, "
                    f"that are not the {written.count} written: check the disk space and run again"
                )
                raise DamagedError(msg)


def table_name(name: str, taken: set[str]) -> str:
    """Give a table name for a layer: letters, digits, ``_`` and ``-``, no name of SQLite's or GeoPackage's own.

    Parameters
    ----------
    name
        Any text.
    taken
        Names of other tables; SQLite does not tell capitals from small letters.
    """
    plain = re.sub(r"[^\w-]+", "_", name).strip("_") or "layer"
    plain = f"class_{plain}" if _RESERVED.match(plain) else plain
    lower = {other.lower() for other in taken}
    candidates = (plain if number == 1 else f"{plain}_{number}" for number in range(1, len(taken) + 2))
    return next(candidate for candidate in candidates if candidate.lower() not in lower)


@contextmanager
def _ogr(path: Path) -> Iterator[None]:
    """Let OGR write: at a fixed moment, without a word on a missing CRS, its errors as ours."""
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": MOMENT})
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="'crs' was not provided", category=UserWarning)
            yield
    except RuntimeError as error:  # the base of pyogrio's errors
        msg = f"{path} cannot be written ({' '.join(str(error).split())}): check the disk space and the permissions"
        raise OutputError(msg) from error
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})


def _check_features(layer: VectorLayer, geometries: np.ndarray, fields: Mapping[str, np.ndarray]) -> None:
    lengths = {name: len(values) for name, values in fields.items() if len(values) != len(geometries)}
    if lengths:
        msg = f"layer {layer.name}: {len(geometries)} geometries, but fields of other lengths: {lengths}"
        raise ValueError(msg)
    wanted = shapely.GeometryType[layer.geometry_type.upper()]
    if (shapely.get_type_id(geometries) != wanted).any():
        msg = f"layer {layer.name}: all geometries must be of type {layer.geometry_type}"
        raise ValueError(msg)


def _column(values: np.ndarray) -> np.ndarray:
    """Give a field in a type that OGR keeps: bool, int32, int64, float64 or str."""
    if values.dtype.kind in "US":
        return values.astype(object)
    if values.dtype.kind in "iu":
        small = values.dtype.itemsize < np.dtype(np.int32).itemsize or values.dtype == np.int32
        return values.astype(np.int32 if small else np.int64)
    return values.astype(np.float64) if values.dtype.kind == "f" else values


def _checksum(geometries: np.ndarray | list[bytes], start: int) -> int:
    """Give the CRC-32 of WKB geometries one after the other, going on from `start`."""
    for wkb in geometries:
        start = zlib.crc32(wkb, start)
    return start


def _read_back(connection: sqlite3.Connection, table: str) -> tuple[int, int, int]:
    """Give the number of features in a table, the checksum of their geometries, and the number in the spatial index.

    OGR makes the index when it closes the file: on a full disk it left it out without a word.
    """
    count, checksum = 0, 0
    for (blob,) in connection.execute(f'SELECT "{COLUMN}" FROM "{table}" ORDER BY fid'):  # noqa: S608
        count += 1
        checksum = _checksum([_geometry(blob)], checksum)
    indexed = connection.execute(f'SELECT COUNT(*) FROM "rtree_{table}_{COLUMN}"').fetchone()[0]  # noqa: S608
    return count, checksum, indexed


def _geometry(blob: bytes) -> bytes:
    """Give the WKB within a geometry of a GeoPackage.

    References
    ----------
    OGC 12-128r19, GeoPackage Encoding Standard 1.4, clause 2.1.3.
    """
    indicator = blob[3] >> 1 & 0b111
    return blob[8 + _ENVELOPES[indicator] :]
