"""Class rasters for tests of vectors: random ones, pictures, and blocks of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from hypothesis import strategies as st
from numpy.typing import NDArray

from segflow.segmentation.vectors.polygons.pipeline import Block, PolygonTable, polygonise
from segflow.tiling import Grid, Span, Window

NODATA = 255
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


def polygons_of(labels: Raster, height: int = 4096, width: int = 4096, **settings: Any) -> PolygonTable:
    classes = set(np.unique(labels).tolist()) - {NODATA} or {0}
    settings = {"grid": grid_of(labels), "classes": classes} | settings
    return PolygonTable.of(list(polygonise(blocks_of(labels, height, width), **settings)) or [nothing(labels)])


def nothing(labels: Raster) -> PolygonTable:
    """Give the table of no polygons."""
    one = next(polygonise(blocks_of(np.zeros_like(labels), 4096, 4096), grid=grid_of(labels), classes={0}))
    return one.take(np.zeros(len(one), bool))


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
