"""Vector files in the formats that GIS and data tools read: GeoPackage, FlatGeobuf, GeoParquet."""

import importlib.util
import json
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import numpy as np
from pyproj import CRS

from segflow.errors import OutputError, SettingsError
from segflow.io.storage.files import replace_file
from segflow.io.vector.features import FeatureBatch, LargeFeature
from segflow.io.vector.geopackage import GeoPackageWriter, VectorLayer

Format = Literal["gpkg", "flatgeobuf", "geoparquet"]

SUFFIXES: dict[Format, str] = {"gpkg": ".gpkg", "flatgeobuf": ".fgb", "geoparquet": ".parquet"}


class VectorWriter(Protocol):
    """Takes features layer by layer; the file is whole or not there once its ``with`` block is left."""

    def write_batch(self, layer: VectorLayer, batch: FeatureBatch) -> None:
        """Append features to a layer."""

    def write_large(self, layer: VectorLayer, feature: LargeFeature) -> None:
        """Append one feature whose geometry is read piece by piece."""


@contextmanager
def open_vectors(
    path: str | os.PathLike[str], crs: str | None, kind: Format = "gpkg", *, append: bool = False
) -> Iterator[VectorWriter]:
    """Open a vector file for writing.

    Parameters
    ----------
    path
        Where it stands in the end.
    crs
        Coordinate reference system as WKT, or None.
    kind
        The format. Only a GeoPackage has layers; in the others the fields tell the classes apart.
    append
        Add to a GeoPackage that stands there.

    Raises
    ------
    SettingsError
        If the format cannot do what is asked, or needs an extra that is not installed.
    OutputError, DamagedError
        If the file cannot be written, or does not read back.
    """
    check_format(kind, append=append)
    writer = GeoPackageWriter(path, crs, append=append) if kind == "gpkg" else _SINGLE[kind](path, crs)
    with writer:
        yield writer


@contextmanager
def open_vector_files(files: Sequence[tuple[Path, Format]], crs: str | None) -> Iterator[VectorWriter]:
    """Open vector files that get the same features, each in its own format.

    Raises
    ------
    SettingsError
        If a format needs an extra that is not installed.
    OutputError, DamagedError
        If a file cannot be written, or does not read back.
    """
    with ExitStack() as stack:
        writers = [stack.enter_context(open_vectors(path, crs, kind)) for path, kind in files]
        yield writers[0] if len(writers) == 1 else _SameFeatures(writers)


class _SameFeatures:
    """Writes features to several files."""

    def __init__(self, writers: Sequence[VectorWriter]) -> None:
        self._writers = writers

    def write_batch(self, layer: VectorLayer, batch: FeatureBatch) -> None:
        """Append features to a layer of every file."""
        for writer in self._writers:
            writer.write_batch(layer, batch)

    def write_large(self, layer: VectorLayer, feature: LargeFeature) -> None:
        """Append one feature to every file, each of which reads its geometry anew."""
        for writer in self._writers:
            writer.write_large(layer, feature)


def check_format(kind: Format, *, append: bool = False) -> None:
    """Refuse what a format cannot do, before any work.

    Raises
    ------
    SettingsError
        If it cannot be appended to, or needs an extra that is not installed.
    """
    if append and kind != "gpkg":
        msg = f"a {kind} file cannot be appended to: write another file, or a GeoPackage"
        raise SettingsError(msg)
    if kind == "geoparquet" and importlib.util.find_spec("pyarrow") is None:
        msg = "geoparquet needs pyarrow, which is not installed: pip install 'segflow[parquet]'"
        raise SettingsError(msg)


class _SingleLayer(ABC):
    """A file of one layer: what the formats without layers share."""

    def __init__(self, path: str | os.PathLike[str], crs: str | None) -> None:
        self.path = Path(path)
        self.crs = crs
        self._stack = ExitStack()
        self._types: set[str] = set()

    def __enter__(self) -> Self:
        """Start the file under a temporary name."""
        self._temporary = self._stack.enter_context(replace_file(self.path))
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Let the file take its name; or drop it after an error."""
        with self._stack:
            if error is not None:
                raise error
            try:
                self._finish()
            except (OSError, RuntimeError) as problem:
                text = " ".join(str(problem).split())
                msg = f"{self.path} cannot be written ({text}): check the disk space and the permissions"
                raise OutputError(msg) from problem

    def write_batch(self, layer: VectorLayer, batch: FeatureBatch) -> None:
        """Append features."""
        self._types.add(layer.geometry_type)
        self._add(batch)

    def write_large(self, layer: VectorLayer, feature: LargeFeature) -> None:
        """Append one feature; these formats take it whole."""
        data = feature.read(0, feature.size)
        batch = FeatureBatch(
            wkb=np.frombuffer(data, np.uint8),
            offsets=np.array([0, feature.size]),
            boxes=feature.box[None],
            fields=feature.fields,
        )
        self.write_batch(layer, batch)

    @abstractmethod
    def _add(self, batch: FeatureBatch) -> None:
        """Take features."""

    @abstractmethod
    def _finish(self) -> None:
        """Write the file."""


class _FlatGeobuf(_SingleLayer):
    """FlatGeobuf sorts all features along a Hilbert curve, so all of them wait in memory."""

    def __enter__(self) -> Self:
        """Start the file under a temporary name."""
        self._batches: list[FeatureBatch] = []
        return super().__enter__()

    def _add(self, batch: FeatureBatch) -> None:
        self._batches.append(batch)

    def _finish(self) -> None:
        import pyogrio  # noqa: PLC0415  # brings geopandas and pandas, which no other format needs

        names = list(self._batches[0].fields) if self._batches else []
        columns = [np.concatenate([batch.fields[name] for batch in self._batches]) for name in names]
        geometries = np.array([one for batch in self._batches for one in batch.geometries()], object)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="'crs' was not provided", category=UserWarning)
            pyogrio.raw.write(
                self._temporary,
                geometries,
                columns,
                names,
                layer=self.path.stem,
                driver="FlatGeobuf",
                geometry_type=self._types.pop() if len(self._types) == 1 else "Unknown",
                crs=self.crs,
            )


class _GeoParquet(_SingleLayer):
    """GeoParquet, row group by row group.

    References
    ----------
    OGC GeoParquet 1.1.0: the ``geo`` key of the file's metadata.
    """

    def __enter__(self) -> Self:
        """Start the file under a temporary name."""
        self._writer: Any = None
        self._boxes: list[np.ndarray] = []
        return super().__enter__()

    def _add(self, batch: FeatureBatch) -> None:
        import pyarrow as pa  # noqa: PLC0415  # an extra
        from pyarrow import parquet  # noqa: PLC0415

        fields = {name: pa.array(values, from_pandas=True) for name, values in batch.fields.items()}
        fields = {
            name: values if not pa.types.is_null(values.type) else values.cast(pa.string())
            for name, values in fields.items()
        }
        table = pa.table({"geometry": pa.array(batch.geometries(), pa.binary()), **fields})
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._temporary, table.schema, compression="zstd")
        self._writer.write_table(table)
        self._boxes.append(batch.boxes)

    def _finish(self) -> None:
        if self._writer is None:
            msg = f"{self.path} would have no features and no columns: choose other classes"
            raise OutputError(msg)
        boxes = np.concatenate(self._boxes)
        column = {
            "encoding": "WKB",
            "geometry_types": sorted(self._types),
            "crs": None if self.crs is None else CRS.from_user_input(self.crs).to_json_dict(),
            "orientation": "counterclockwise",
            "bbox": [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()] if len(boxes) else [],
        }
        column = {name: value for name, value in column.items() if value != []}
        geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
        self._writer.add_key_value_metadata({"geo": json.dumps(geo)})
        self._writer.close()


_SINGLE: dict[str, type[_SingleLayer]] = {"flatgeobuf": _FlatGeobuf, "geoparquet": _GeoParquet}
