"""Rows of a GeoPackage's layers: geometries with their headers, columns, names of tables, and reading back."""

import re
import sqlite3
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segflow.io.vector import gpkg_schema
from segflow.io.vector.features import FeatureBatch
from segflow.io.vector.gpkg_schema import COLUMN

PIECE = 2**23  # bytes of a large geometry that are copied at once
_RESERVED = re.compile(r"^(gpkg|rtree|sqlite|layer_styles)", re.IGNORECASE)
_HEADER = np.dtype([("magic", "S2"), ("version", "u1"), ("flags", "u1"), ("srs", "<i4"), ("box", "<f8", 4)])
_FLAGS = 0b11  # little endian, with an envelope of x and y


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


def blobs(batch: FeatureBatch, srs: int) -> Iterator[bytes]:
    """Give geometries as a GeoPackage holds them."""
    heads, data, size = headers(batch.boxes, srs), batch.wkb.data, _HEADER.itemsize
    offsets = batch.offsets.tolist()
    for number in range(len(batch)):
        yield heads[number * size : (number + 1) * size] + data[offsets[number] : offsets[number + 1]]


def headers(boxes: NDArray[np.float64], srs: int) -> bytes:
    """Give the headers of geometries, one after the other.

    References
    ----------
    OGC 12-128r17, GeoPackage Encoding Standard 1.3, clause 2.1.3.
    """
    heads = np.zeros(len(boxes), _HEADER)
    heads["magic"], heads["flags"], heads["srs"] = b"GP", _FLAGS, srs
    heads["box"] = boxes[:, [0, 2, 1, 3]]
    return heads.tobytes()


def column_type(values: NDArray[Any]) -> str:
    """Give the type of a column: as GeoPackage names it."""
    if values.dtype.kind in "iu":
        small = values.dtype.itemsize < np.dtype(np.int32).itemsize or values.dtype == np.int32
        return "MEDIUMINT" if small else "INTEGER"
    return {"b": "BOOLEAN", "f": "REAL"}.get(values.dtype.kind, "TEXT")


def column_values(values: NDArray[Any]) -> list[object]:
    """Give a column as SQLite takes it; NaN as no value."""
    if values.dtype.kind == "f" and np.isnan(values).any():
        return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124  # NaN alone differs
    return list(values.tolist())


def read_back(connection: sqlite3.Connection, table: str, first: int) -> tuple[int, int, int]:
    """Give the number of features from `first` on, the checksum of their geometries, and how many are indexed.

    On a full disk an index was once left out without a word.
    """
    count = checksum = 0
    skip = _HEADER.itemsize
    rows = (
        f'SELECT fid, CASE WHEN length("{COLUMN}") <= {PIECE} THEN "{COLUMN}" END FROM "{table}" WHERE fid >= {first}'  # noqa: S608
    )
    for fid, blob in connection.execute(f"{rows} ORDER BY fid"):
        count += 1
        if blob is not None:
            checksum = zlib.crc32(memoryview(blob)[skip:], checksum)
            continue
        with connection.blobopen(table, COLUMN, fid, readonly=True) as large:
            large.seek(skip)
            while piece := large.read(PIECE):
                checksum = zlib.crc32(piece, checksum)
    index = gpkg_schema.index_of(table)
    indexed = connection.execute(f'SELECT COUNT(*) FROM "{index}" WHERE id >= {first}').fetchone()[0]  # noqa: S608
    return count, checksum, indexed
