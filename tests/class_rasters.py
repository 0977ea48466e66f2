"""Class rasters for tests of vectors: random ones, pictures, and blocks of them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from affine import Affine
from hypothesis import strategies as st
from numpy.typing import NDArray

from segflow.segmentation.vectors.blocks import Block
from segflow.segmentation.vectors.columns import Columns
from segflow.segmentation.vectors.execution import SerialWorkers
from segflow.segmentation.vectors.polygons.fields import polygon_fields
from segflow.segmentation.vectors.polygons.finishing import Finished
from segflow.segmentation.vectors.polygons.packed_corners import unpack
from segflow.segmentation.vectors.polygons.pipeline import PolygonJob, finish_polygons, trace_polygons
from segflow.segmentation.vectors.polygons.portions import PolygonPortion
from segflow.segmentation.vectors.polygons.rules import PolygonRules
from segflow.segmentation.vectors.sieving.changes import apply_changes, find_changes
from segflow.segmentation.vectors.sieving.sieve import Moved
from segflow.tiling import NODATA, Grid, Span, Window

UTM = "EPSG:32721"

Raster = NDArray[np.uint8]

sides = st.integers(1, 16)


def grid_of(labels: Raster, transform: Affine | None = None, crs: str | None = UTM) -> Grid:
    height, width = labels.shape
    transform = transform or Affine(10, 0, 300_000, 0, -10, 9_000_000)
    return Grid(height=height, width=width, transform=transform, crs=crs)


def confidence_of(labels: Raster) -> Raster:
    rows, cols = np.indices(labels.shape)
    return np.where(labels == NODATA, NODATA, (rows * 37 + cols * 11) % 101).astype(np.uint8)


def blocks_of(labels: Raster, height: int, width: int) -> Iterator[Block]:
    confidence = confidence_of(labels)
    for row in range(0, labels.shape[0], height):
        for col in range(0, labels.shape[1], width):
            rows = Span(row, min(row + height, labels.shape[0]))
            cols = Span(col, min(col + width, labels.shape[1]))
            window = Window(rows, cols)
            yield Block(window=window, labels=labels[window.slices], confidence=confidence[window.slices])


@dataclass(frozen=True, kw_only=True)
class RasterBlocks:
    """Blocks in memory, in the order given, as a source for the pipeline."""

    grid: Grid
    blocks: tuple[Block, ...]
    name: str = "raster.tif"

    def windows(self) -> Iterator[Window]:
        return (block.window for block in self.blocks)

    def read(self, window: Window) -> Block:
        return next(block for block in self.blocks if block.window == window)


class MemoryStore:
    """A store in memory."""

    def __init__(self) -> None:
        self._data = bytearray()

    def append(self, data: NDArray[np.generic] | bytes) -> int:
        place = len(self._data)
        self._data += data if isinstance(data, bytes) else data.tobytes()
        return place

    def read(self, place: int, size: int) -> bytes:
        return bytes(self._data[place : place + size])

    def read_many(self, places: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
        parts = [self.read(place, size) for place, size in zip(places.tolist(), sizes.tolist(), strict=True)]
        return np.frombuffer(b"".join(parts), np.uint8)

    def reader(self) -> "MemoryStore":
        return self


def ignore(_: object) -> None:
    """Take something and do nothing."""


@dataclass(kw_only=True)
class Listening:
    """Hears of progress."""

    advance: Callable[[int], None] = ignore
    notes: list[str] = field(default_factory=list)

    def note(self, message: str) -> None:
        self.notes.append(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonTable(Columns):
    """Polygons as shapely geometries, with the number of their object's first pixel and the fields of the product."""

    geometry: NDArray[np.object_]
    class_id: NDArray[np.uint8]
    first_px: NDArray[np.int64]
    n_px: NDArray[np.int64]
    confidence_mean: NDArray[np.float64]
    confidence_min: NDArray[np.float64]
    touches_edge: NDArray[np.bool_]
    touches_nodata: NDArray[np.bool_]
    area_m2: NDArray[np.float64]
    perimeter_m: NDArray[np.float64]


def polygonise(
    blocks: Iterable[Block],
    *,
    grid: Grid,
    classes: Iterable[int],
    rules: PolygonRules | None = None,
    progress: Callable[[int], None] = ignore,
) -> list[PolygonTable]:
    """Run the pipeline in this process with a store in memory; the tables come in the order of the product."""
    source, store, workers = RasterBlocks(grid=grid, blocks=tuple(blocks)), MemoryStore(), SerialWorkers()
    job = PolygonJob(source=source, classes=frozenset(classes), rules=rules or PolygonRules())
    found = trace_polygons(job, store, workers, Listening(advance=progress))
    return [table_of(portion, grid) for portion in finish_polygons(job, found, store, workers)]


def table_of(portion: PolygonPortion, grid: Grid) -> PolygonTable:
    finished = portion.finished
    assert isinstance(finished, Finished)
    data, offsets = finished.wkb.tobytes(), finished.offsets.tolist()
    wkb = np.array([data[begin:end] for begin, end in pairwise(offsets)], object)
    corner = unpack(portion.objects.first).astype(np.int64)
    return PolygonTable(
        geometry=np.asarray(shapely.from_wkb(wkb), object),
        class_id=portion.objects.statistics.value,
        first_px=corner[:, 1] * grid.width + corner[:, 0],
        **polygon_fields(portion),
    )


def polygons_of(labels: Raster, height: int = 4096, width: int = 4096, **settings: Any) -> PolygonTable:
    classes = set(np.unique(labels).tolist()) - {NODATA} or {0}
    settings = {"grid": grid_of(labels), "classes": classes} | settings
    nothing = table_of(PolygonPortion.none(), grid_of(labels))
    return PolygonTable.concatenate([nothing, *polygonise(blocks_of(labels, height, width), **settings)])


def sieved_blocks(
    labels: Raster, height: int, width: int, rules: PolygonRules
) -> tuple[list[Block], tuple[Moved, ...]]:
    """Give the blocks of a raster after the minimum mapping unit, and what moved."""
    source = RasterBlocks(grid=grid_of(labels), blocks=tuple(blocks_of(labels, height, width)))
    changes, moved = find_changes(
        source,
        min_area_m2=rules.min_area_m2,
        min_hole_m2=rules.min_hole_m2,
        workers=SerialWorkers(),
        on_block=ignore,
    )
    both = zip(source.blocks, changes, strict=True)
    return [apply_changes(block, change, source.grid.window) for block, change in both], moved


def picture(text: str) -> Raster:
    """Read a raster from lines of digits; a dot is nodata."""
    return np.array([[NODATA if c == "." else int(c) for c in line] for line in text.split()], np.uint8)


@st.composite
def rasters(draw: st.DrawFn, side: int = 14) -> Raster:
    """Give random class rasters, from noise to large regions, with and without nodata."""
    height, width = draw(st.integers(1, side)), draw(st.integers(1, side))
    values = draw(st.sampled_from([[0], [0, 1], [0, 1, NODATA], [0, 1, 2, 3, NODATA], list(range(20)), [NODATA]]))
    seed, grain = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([1, 1, 2, 4]))
    coarse = np.random.default_rng(seed).choice(values, (-(-height // grain), -(-width // grain)))
    return np.kron(coarse, np.ones((grain, grain), int))[:height, :width].astype(np.uint8)


def write_raster(path: Path, values: NDArray[Any], *, crs: str | None = UTM, **profile: Any) -> Path:
    """Write a raster of one band with pixels of 10 m."""
    settings = {
        "driver": "GTiff",
        "count": 1,
        "height": values.shape[0],
        "width": values.shape[1],
        "dtype": values.dtype,
        "crs": crs,
        "transform": Affine(10, 0, 300_000, 0, -10, 9_000_000),
    } | profile
    with rasterio.open(path, "w", **settings) as dataset:
        dataset.write(values, 1)
    return path
