"""Polygons are those of the whole raster, whatever the blocks."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.features
import scipy.ndimage
import shapely
from affine import Affine
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from segflow.errors import SettingsError
from segflow.segmentation.vectors.blocks import Block
from segflow.segmentation.vectors.polygons.pipeline import join_blocks
from segflow.segmentation.vectors.polygons.rules import PolygonRules
from segflow.segmentation.vectors.polygons.tracing import TracedBlock, trace_block
from segflow.segmentation.vectors.ragged import offsets_of, portions
from segflow.tiling import Grid, Window
from tests.class_rasters import (
    NODATA,
    MemoryStore,
    PolygonTable,
    Raster,
    blocks_of,
    confidence_of,
    grid_of,
    picture,
    polygonise,
    polygons_of,
    rasters,
    sides,
)


def oracle(labels: Raster, transform: Affine) -> set[tuple[int, bytes]]:
    """Give the classes and polygons that GDAL makes of the whole raster."""
    a, b, c, d, e, f = tuple(transform)[:6]
    found = list(rasterio.features.shapes(labels, mask=labels != NODATA, connectivity=4))
    shapes = np.array([shapely.geometry.shape(shape) for shape, _ in found], object)
    placed = shapely.transform(shapes, lambda p: p @ np.array([[a, d], [b, e]]) + [c, f])
    return {(int(value), shape) for (_, value), shape in zip(found, normal(placed), strict=True)}


def normal(polygons: NDArray[np.object_]) -> list[bytes]:
    return shapely.to_wkb(shapely.normalize(polygons)).tolist()


def same(one: PolygonTable, other: PolygonTable) -> bool:
    """Tell whether two tables are equal in every bit."""
    geometry = shapely.to_wkb(one.geometry).tolist() == shapely.to_wkb(other.geometry).tolist()
    rest = [f.name for f in fields(PolygonTable) if f.name != "geometry"]
    return geometry and all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in rest)


def whole_pixels(labels: Raster) -> Grid:
    return grid_of(labels, Affine.identity(), None)


TOUCHING = picture("""
    1001011
    0110110
    0101001
    1010100
    1100111
""")
RINGS = picture("""
    111111111
    100000001
    101111101
    101000101
    101020101
    101000101
    101111101
    100000001
    111111111
""")
SPIRAL = picture("""
    1111111111
    0000000001
    0111111101
    0100000101
    0101110101
    0101000101
    0101111101
    0100000001
    0111111111
    0000000000
""")
PINCHED = picture("""
    111111
    100101
    1.1011
    110111
    111110
""")
EXAMPLES = {"touching corners": TOUCHING, "rings": RINGS, "spiral": SPIRAL, "pinched holes": PINCHED}


@given(rasters(), sides, sides)
def test_polygons_are_those_of_the_whole_raster(labels: Raster, height: int, width: int) -> None:
    table = polygons_of(labels, height, width, grid=whole_pixels(labels))

    assert oracle(labels, Affine.identity()) == set(zip(table.class_id.tolist(), normal(table.geometry), strict=True))
    assert shapely.is_valid(table.geometry).all()


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("side", [1, 2, 3, 4, 7, 64])
def test_polygons_of_examples(name: str, side: int) -> None:
    labels = EXAMPLES[name]
    table = polygons_of(labels, side, side, grid=whole_pixels(labels))

    assert oracle(labels, Affine.identity()) == set(zip(table.class_id.tolist(), normal(table.geometry), strict=True))
    assert shapely.is_valid(table.geometry).all()


@given(rasters(), sides, sides)
def test_nothing_depends_on_the_blocks(labels: Raster, height: int, width: int) -> None:
    assert same(polygons_of(labels), polygons_of(labels, height, width))


def test_nothing_depends_on_the_blocks_of_large_noise() -> None:
    labels = np.random.default_rng(5).integers(0, 3, (500, 450)).astype(np.uint8)

    assert same(polygons_of(labels), polygons_of(labels, 101, 77))


@given(st.lists(st.integers(1, 9)), st.integers(1, 20))
def test_portions_hold_every_list_once(lengths: list[int], size: int) -> None:
    lists = [i for portion in portions(offsets_of(np.array(lengths, int)), size) for i in range(*portion.indices(99))]

    assert list(range(len(lengths))) == lists


@given(rasters(), sides, sides)
def test_polygons_burn_back_to_the_labels(labels: Raster, height: int, width: int) -> None:
    table = polygons_of(labels, height, width, grid=whole_pixels(labels))
    shapes = list(zip(table.geometry, table.class_id.tolist(), strict=True))
    burnt = rasterio.features.rasterize(shapes, labels.shape, fill=NODATA, dtype="uint8") if shapes else labels

    assert labels.tolist() == burnt.tolist()


@given(rasters(), sides, sides)
def test_fields_are_those_of_the_pixels(labels: Raster, height: int, width: int) -> None:
    table = polygons_of(labels, height, width)
    confidence = confidence_of(labels)
    padded = np.pad(labels, 1, constant_values=254)
    nodata = padded == NODATA
    beside = (nodata[:-2, 1:-1] | nodata[2:, 1:-1] | nodata[1:-1, :-2] | nodata[1:-1, 2:]).ravel()
    rows, cols = (axis.ravel() for axis in np.indices(labels.shape))
    edge = (rows == 0) | (cols == 0) | (rows == labels.shape[0] - 1) | (cols == labels.shape[1] - 1)
    expected = []
    for value in sorted(set(np.unique(labels)) - {NODATA}):
        of_pixel, count = scipy.ndimage.label(labels == value)
        for number in range(1, count + 1):
            pixels = np.flatnonzero(of_pixel == number)
            levels = confidence.ravel()[pixels].astype(int)
            means = levels.sum() / len(pixels) / 100, levels.min() / 100
            expected.append((value, pixels[0], len(pixels), *means, edge[pixels].any(), beside[pixels].any()))
    names = "class_id", "first_px", "n_px", "confidence_mean", "confidence_min", "touches_edge", "touches_nodata"
    actual = list(zip(*(getattr(table, name).tolist() for name in names), strict=True))

    assert sorted(expected, key=lambda row: row[:2]) == actual


@pytest.mark.parametrize(
    ("transform", "crs"),
    [
        (Affine(10, 0, 300_000, 0, -10, 9_000_000), "EPSG:32721"),
        (Affine(0.1, 0, 300_000, 0, -0.1, 6_000_000), "EPSG:32633"),
        (Affine(50, 10, 300_000, 10, -50, 7_000_000), "EPSG:3857"),
        (Affine(1e-4, 0, -60, 0, -1e-4, -3), "EPSG:4326"),
        (Affine(0.5, 0, -180, 0, 0.5, -20), "EPSG:4326"),
        (Affine(1000, 0, -20_000, 0, -1000, 20_000), "EPSG:3031"),
    ],
)
@given(labels=rasters(side=30))
@example(labels=np.array([[1, 1, 1, 0], [0, 0, 0, 0]], np.uint8))
@settings(max_examples=20)
def test_areas_add_up_to_the_scene(transform: Affine, crs: str, labels: Raster) -> None:
    grid = grid_of(labels, transform, crs)
    scene = polygons_of(np.zeros_like(labels), grid=grid).area_m2
    apart = np.where(labels == NODATA, 200, labels).astype(np.uint8)
    areas = polygons_of(apart, 7, 9, grid=grid).area_m2

    assert areas.sum() == pytest.approx(scene.sum(), rel=1e-6)
    assert (areas > 0).all()


@pytest.mark.parametrize(
    "transform",
    [Affine(10, 0, 5, 0, -10, 7), Affine(10, 0, 5, 0, 10, 7), Affine(8, 6, 0, 6, -8, 0), Affine(0, 2, 0, 3, 0, 0)],
    ids=["north up", "south up", "rotated", "transposed"],
)
def test_polygons_lie_on_the_grid(transform: Affine) -> None:
    table = polygons_of(RINGS, 4, 4, grid=grid_of(RINGS, transform))

    assert oracle(RINGS, transform) == set(zip(table.class_id.tolist(), normal(table.geometry), strict=True))
    assert shapely.is_ccw(shapely.get_exterior_ring(table.geometry)).all()
    assert not shapely.is_ccw(shapely.get_interior_ring(table.geometry[table.class_id == 0], 0)).any()


@pytest.mark.parametrize("folder", ["forest-amazon", "roads-massachusetts"])
def test_polygons_of_real_labels(shared_data: Path, folder: str) -> None:
    path = min((shared_data / folder / "labels").glob("*.tif*"))
    with rasterio.open(path) as dataset:
        labels = dataset.read(1)[:700, :700].copy()
    table = polygons_of(labels, 130, 170, grid=whole_pixels(labels))

    assert oracle(labels, Affine.identity()) == set(zip(table.class_id.tolist(), normal(table.geometry), strict=True))


def test_a_scene_without_crs_has_no_areas() -> None:
    table = polygons_of(RINGS, grid=whole_pixels(RINGS))

    assert np.isnan(table.area_m2).all()
    assert np.isnan(table.perimeter_m).all()


def test_all_nodata_gives_nothing() -> None:
    labels = np.full((5, 6), NODATA, np.uint8)

    assert polygonise(blocks_of(labels, 2, 2), grid=grid_of(labels), classes={0, 1}) == []


def test_only_the_wanted_classes() -> None:
    table = polygons_of(RINGS, 4, 4, classes={2, 7})

    assert table.class_id.tolist() == [2]


def test_small_objects_go_to_their_neighbours_whole() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[3:5, 3:5], labels[10:30, 10:30] = 1, 1
    table = polygons_of(labels, 16, 16, rules=PolygonRules(min_area_m2=1000))

    assert list(zip(table.class_id.tolist(), table.n_px.tolist(), strict=True)) == [(0, 1200), (1, 400)]


def test_objects_leave_as_soon_as_they_are_complete() -> None:
    labels = np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((6, 6), int)).astype(np.uint8)
    grid, given_out = grid_of(labels), 0

    def traced() -> Iterator[TracedBlock]:
        nonlocal given_out
        for block in blocks_of(labels, 4, 4):
            given_out += 1
            yield trace_block(block, scene=grid.window, wanted=np.arange(256) < 2)

    next(objects for objects in join_blocks(traced(), grid=grid, store=MemoryStore()) if len(objects))

    assert given_out <= 2 * 12


def test_progress_counts_every_pixel() -> None:
    done: list[int] = []
    polygons_of(RINGS, 4, 4, progress=done.append)

    assert RINGS.size == sum(done)


@given(rasters(side=24), sides, sides)
@settings(max_examples=50)
def test_simplified_neighbours_keep_their_edges(labels: Raster, height: int, width: int) -> None:
    table = polygons_of(labels, height, width, rules=PolygonRules(simplify_px=1.5))

    assert same(polygons_of(labels, rules=PolygonRules(simplify_px=1.5)), table)
    assert shapely.is_valid(table.geometry).all()
    assert shapely.coverage_is_valid(table.geometry)
    assert len(table) == len(polygons_of(labels))


def test_simplification_leaves_the_outline_of_the_scene() -> None:
    labels = np.add.outer(np.arange(30), np.arange(40)).astype(np.uint8) // 16
    exact, simpler = polygons_of(labels), polygons_of(labels, rules=PolygonRules(simplify_px=2))

    assert shapely.get_num_coordinates(simpler.geometry).sum() < shapely.get_num_coordinates(exact.geometry).sum() / 3
    assert shapely.area(simpler.geometry).sum() == pytest.approx(30 * 40 * 100)
    assert simpler.area_m2.sum() == pytest.approx(exact.area_m2.sum(), rel=1e-6)


def test_blocks_must_come_in_order() -> None:
    first, second, *rest = blocks_of(RINGS, 4, 4)

    with pytest.raises(ValueError, match="row-major order"):
        polygonise([second, first, *rest], grid=grid_of(RINGS), classes={0})
    with pytest.raises(ValueError, match="cover all 9 rows"):
        polygonise([first, second, rest[0]], grid=grid_of(RINGS), classes={0})


def test_blocks_have_the_shape_of_their_window() -> None:
    with pytest.raises(ValueError, match="uint8 array"):
        Block(window=Window.of_shape(2, 3), labels=np.zeros((3, 2), np.uint8), confidence=np.zeros((2, 3), np.uint8))


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(SettingsError, match="0 … 254"):
        polygons_of(RINGS, classes={NODATA})
    with pytest.raises(SettingsError, match="coordinate reference system"):
        polygons_of(RINGS, grid=whole_pixels(RINGS), rules=PolygonRules(min_area_m2=5))
