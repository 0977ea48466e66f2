"""GeoPackages that grow batch by batch, read back before they count, and open styled in QGIS.

Rows go straight into SQLite: one writer's pass over bytes that others have made, triggers set and the
R-tree packed at the end, and geometries of any size written piece by piece.
"""

import os
import shutil
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import shapely
from numpy.typing import NDArray

from segflow.errors import DamagedError, OutputError, SegflowError
from segflow.io.storage.files import replace_file
from segflow.io.vector import gpkg_schema
from segflow.io.vector.features import KINDS, FeatureBatch, Fields, LargeFeature, VectorLayer
from segflow.io.vector.gpkg_rows import PIECE, blobs, column_type, column_values, headers, read_back, table_name
from segflow.io.vector.gpkg_schema import COLUMN, LayerTable
from segflow.io.vector.layer_styles import LayerStyle, write_layer_styles
from segflow.io.vector.rtree import fill_rtree

__all__ = ["GeoPackageWriter", "VectorLayer", "table_name"]

MOMENT = "2000-01-01T00:00:00.000Z"  # GeoPackage asks for a time of change; equal runs give equal bytes


@dataclass(slots=True)
class _Layer:
    """What a layer holds so far: its table, columns, first and next feature, boxes and a checksum of its geometries."""

    table: str
    columns: dict[str, str]
    first: int = 1
    count: int = 0
    checksum: int = 0
    boxes: list[NDArray[np.float64]] = field(default_factory=list)


class GeoPackageWriter:
    """A GeoPackage that is whole or not there, to be used in a ``with`` block.

    Parameters
    ----------
    path
        Where it stands once the block is left without an error.
    crs
        Coordinate reference system of all layers as WKT, or None.
    append
        Keep the layers of a file that stands there; features of a layer it has are added to that one.

    Raises
    ------
    OutputError
        On leaving the block or writing, if the file cannot be written, has no layer, or a layer that is to
        be added to has other columns or another CRS.
    DamagedError
        On leaving the block, if the file does not read back as it was written.
    """

    def __init__(self, path: str | os.PathLike[str], crs: str | None, *, append: bool = False) -> None:
        self.path = Path(path)
        self.crs = crs
        self._append = append
        self._layers: dict[VectorLayer, _Layer] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start the file under a temporary name."""
        self._temporary = self._stack.enter_context(replace_file(self.path))
        with self._stack.pop_all() as stack, self._errors():
            taken_up = self._append and self.path.exists()
            if taken_up:
                shutil.copyfile(self.path, self._temporary)
            connection = sqlite3.connect(self._temporary, isolation_level=None)
            stack.enter_context(closing(connection))
            for pragma in ("journal_mode = OFF", "synchronous = OFF"):  # the file counts only once it is whole
                connection.execute(f"PRAGMA {pragma}")
            if not taken_up:
                gpkg_schema.create_package(connection)
            connection.execute("BEGIN")
            self._connection = connection
            self._srs = gpkg_schema.add_srs(connection, self.crs)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Add indexes and styles, read the file back and let it take its name; or drop it after an error."""
        with self._stack:
            if error is not None:
                raise error
            self._finish()

    def write(self, layer: VectorLayer, geometries: NDArray[np.object_], fields: Fields) -> None:
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
        wanted = shapely.GeometryType[layer.geometry_type.upper()]
        if (shapely.get_type_id(geometries) != wanted).any():
            msg = f"layer {layer.name}: all geometries must be of type {layer.geometry_type}"
            raise ValueError(msg)
        self.write_batch(layer, FeatureBatch.of(geometries, fields))

    def write_batch(self, layer: VectorLayer, batch: FeatureBatch) -> None:
        """Append features whose geometries are encoded already; else as `write`."""
        lengths = {name: len(values) for name, values in batch.fields.items() if len(values) != len(batch)}
        if lengths:
            msg = f"layer {layer.name}: {len(batch)} geometries, but fields of other lengths: {lengths}"
            raise ValueError(msg)
        with self._errors():
            known = self._open_layer(layer, batch.fields)
            numbers = range(known.first + known.count, known.first + known.count + len(batch))
            columns = [column_values(values) for values in batch.fields.values()]
            rows = zip(numbers, *columns, blobs(batch, self._srs), strict=True)
            marks = ", ".join("?" * (2 + len(columns)))
            self._connection.executemany(f"{_insert(known)} VALUES ({marks})", rows)
        known.count += len(batch)
        known.checksum = zlib.crc32(batch.wkb[batch.offsets[0] : batch.offsets[-1]].data, known.checksum)
        known.boxes.append(batch.boxes)

    def write_large(self, layer: VectorLayer, feature: LargeFeature) -> None:
        """Append one feature whose geometry is read piece by piece."""
        with self._errors():
            known = self._open_layer(layer, feature.fields)
            number = known.first + known.count
            header = headers(feature.box[None], self._srs)
            columns = [column_values(values)[0] for values in feature.fields.values()]
            marks = ", ".join("?" * (1 + len(columns)))
            self._connection.execute(
                f"{_insert(known)} VALUES ({marks}, zeroblob(?))", (number, *columns, len(header) + feature.size)
            )
            with self._connection.blobopen(known.table, COLUMN, number) as blob:
                blob.write(header)
                for place in range(0, feature.size, PIECE):
                    piece = feature.read(place, min(PIECE, feature.size - place))
                    blob.write(piece)
                    known.checksum = zlib.crc32(piece, known.checksum)
        known.count += 1
        known.boxes.append(feature.box[None])

    def _open_layer(self, layer: VectorLayer, fields: Fields) -> _Layer:
        """Give what a layer holds; make it if it is new."""
        if layer in self._layers:
            return self._layers[layer]
        columns = {name: column_type(values) for name, values in fields.items()}
        known = self._take_up(layer, columns) or self._create(layer, columns)
        gpkg_schema.drop_triggers(self._connection, known.table)
        self._layers[layer] = known
        return known

    def _create(self, layer: VectorLayer, columns: dict[str, str]) -> _Layer:
        tables = {name for (name,) in self._connection.execute("SELECT table_name FROM gpkg_contents")}
        table = LayerTable(
            table=table_name(layer.name, tables),
            identifier=layer.name,
            description=layer.description,
            geometry=layer.geometry_type.upper(),
            columns=columns,
            srs=self._srs,
        )
        gpkg_schema.create_layer(self._connection, table, MOMENT)
        return _Layer(table=table.table, columns=columns)

    def _take_up(self, layer: VectorLayer, columns: dict[str, str]) -> _Layer | None:
        """Give the layer of that name in a file that is added to."""
        if not self._append:
            return None
        row = self._connection.execute(
            "SELECT table_name, geometry_type_name, g.srs_id FROM gpkg_geometry_columns g JOIN gpkg_contents USING "
            "(table_name) WHERE identifier = ?",
            (layer.name,),
        ).fetchone()
        if row is None:
            return None
        table, geometry, srs = row
        found = {name: kind for _, name, kind, *_ in self._connection.execute(f'PRAGMA table_info("{table}")')}
        if geometry != layer.geometry_type.upper() or srs != self._srs or set(found) - {"fid", COLUMN} != set(columns):
            msg = (
                f"{self.path}: layer {layer.name} has other columns, another type of geometry or another CRS than "
                "what is to be added: write to another file, or leave --append out"
            )
            raise OutputError(msg)
        last = self._connection.execute(f'SELECT COALESCE(MAX(fid), 0) FROM "{table}"').fetchone()[0]  # noqa: S608
        return _Layer(table=table, columns=columns, first=last + 1)

    def _finish(self) -> None:
        if not self._layers:
            msg = f"{self.path} would have no layer: give it at least one class, or make no vectors"
            raise OutputError(msg)
        with self._errors():
            for known in self._layers.values():
                self._close_layer(known)
            write_layer_styles(self._connection, self._styles(), MOMENT)
            self._connection.execute("COMMIT")
        try:
            self._check()
        except sqlite3.Error as error:
            msg = f"{self.path} does not read back ({error}): check the disk space and run again"
            raise DamagedError(msg) from error

    def _close_layer(self, known: _Layer) -> None:
        """Fill the spatial index, and note extent and number of features."""
        index = gpkg_schema.index_of(known.table)
        before = np.array(self._connection.execute(f'SELECT * FROM "{index}"').fetchall(), float).reshape(-1, 5)  # noqa: S608
        boxes = np.concatenate([before[:, 1:], *(part[:, [0, 2, 1, 3]] for part in known.boxes)])
        ids = np.concatenate([before[:, 0].astype(np.int64), known.first + np.arange(known.count)])
        fill_rtree(self._connection, index, ids, boxes)
        gpkg_schema.create_triggers(self._connection, known.table)
        extent = [None] * 4
        if len(boxes):
            extent = [*boxes[:, [0, 2]].min(axis=0).tolist(), *boxes[:, [1, 3]].max(axis=0).tolist()]
        self._connection.execute(
            "UPDATE gpkg_contents SET min_x = ?, min_y = ?, max_x = ?, max_y = ? WHERE table_name = ?",
            (*extent, known.table),
        )
        self._connection.execute(
            "UPDATE gpkg_ogr_contents SET feature_count = ? WHERE table_name = ?", (len(ids), known.table)
        )

    def _styles(self) -> list[LayerStyle]:
        return [
            LayerStyle(
                table=written.table,
                column=COLUMN,
                kind=KINDS[layer.geometry_type],
                name=layer.name,
                rgb=layer.rgb,
                description=layer.description,
                qml=layer.qml,
            )
            for layer, written in self._layers.items()
        ]

    def _check(self) -> None:
        """Compare the file with what was written: its pages, every geometry, the spatial index."""
        problem = self._connection.execute("PRAGMA integrity_check").fetchone()[0]
        if problem != "ok":
            msg = f"{self.path} does not read back ({problem}): check the disk space and run again"
            raise DamagedError(msg)
        for layer, written in self._layers.items():
            found = read_back(self._connection, written.table, written.first)
            if found != (written.count, written.checksum, written.count):
                msg = (
                    f"{self.path}: layer {layer.name} reads back with {found[0]} features, {found[2]} of them indexed, "
                    f"that are not the {written.count} written: check the disk space and run again"
                )
                raise DamagedError(msg)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn errors of SQLite and the operating system into one line."""
        try:
            yield
        except SegflowError:
            raise
        except (sqlite3.Error, OSError) as error:
            text = " ".join(str(error).split())
            msg = f"{self.path} cannot be written ({text}): check the disk space and the permissions"
            raise OutputError(msg) from error


def _insert(known: _Layer) -> str:
    """Give the beginning of a statement that adds a row: number, columns, geometry."""
    names = ", ".join(f'"{name}"' for name in ("fid", *known.columns, COLUMN))
    return f'INSERT INTO "{known.table}" ({names})'
