"""Laws of windows, grids and tiles."""

import math
import pickle

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from segflow.tiling import Grid, Span, TileGrid, Window
from tests.strategies import grids, spans, tile_grids, window_in, windows

# spans and windows


@given(spans(), spans())
def test_a_clipped_span_lies_in_both(span, to):
    clipped = span.clip(to)

    assert clipped in to
    assert len(clipped) == len(set(range(span.start, span.stop)) & set(range(to.start, to.stop)))


@given(windows(), st.integers(-50, 50), st.integers(-50, 50))
def test_shifting_forth_and_back_changes_nothing(window, rows, cols):
    assert window.shift(rows, cols).shift(-rows, -cols) == window
    assert window.shift(rows, cols).shape == window.shape


@given(st.data())
def test_relative_to_indexes_the_same_pixels(data):
    scene = np.arange(40 * 30).reshape(40, 30)
    outer = data.draw(window_in(Window.of_shape(*scene.shape)))
    inner = data.draw(window_in(outer))

    expected = scene[inner.slices]
    actual = scene[outer.slices][inner.relative_to(outer).slices]

    np.testing.assert_array_equal(actual, expected)
    assert actual.size == inner.size
    assert inner in outer


def test_a_span_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValueError, match=r"5\.\.4"):
        Span(5, 4)


# grids


@given(grids(), st.data())
def test_a_pixel_of_a_crop_lies_where_it_lies_in_the_grid(grid, data):
    window = data.draw(window_in(grid.window).filter(lambda w: w.size > 0))
    crop = grid.crop(window)

    expected = grid.transform * (window.cols.start + 0.5, window.rows.start + 0.5)
    actual = crop.transform * (0.5, 0.5)

    assert actual == pytest.approx(expected)
    assert crop.shape == window.shape
    assert crop.crs == grid.crs


@given(grids())
def test_the_bounds_hold_the_corners_and_touch_them(grid):
    left, bottom, right, top = grid.bounds
    xs, ys = zip(*grid.corners, strict=True)

    assert (left, right) == (min(xs), max(xs))
    assert (bottom, top) == (min(ys), max(ys))


@given(grids())
def test_the_pixels_fill_the_outline(grid):
    xs, ys = np.transpose(grid.corners) - np.array([[grid.corners[0][0]], [grid.corners[0][1]]])
    outline = abs(np.dot(xs, np.roll(ys, 1)) - np.dot(ys, np.roll(xs, 1))) / 2  # shoelace

    assert math.isclose(grid.pixel_area * grid.window.size, outline, rel_tol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"height": 0}, "0 × 5"), ({"width": -1}, "4 × -1"), ({"transform": Affine.scale(0, 1)}, "invertible")],
)
def test_a_grid_without_pixels_or_places_is_refused(change, message):
    values = {"height": 4, "width": 5, "transform": Affine.identity(), "crs": None}

    with pytest.raises(ValueError, match=message):
        Grid(**values | change)


# tiles


@given(tile_grids())
def test_cores_partition_the_scene(tiles):
    owners = np.zeros((tiles.height, tiles.width), dtype=int)
    for tile in tiles:
        owners[tile.core.slices] += 1

    assert (owners == 1).all()


@given(tile_grids())
def test_core_in_read_in_extended_scene(tiles):
    extended = tiles.whole().read
    for tile in tiles:
        assert tile.core in tile.read
        assert tile.read in extended


@given(tile_grids())
def test_reads_start_and_end_on_the_stride(tiles):
    for tile in tiles:
        for span in (tile.read.rows, tile.read.cols):
            assert span.start % tiles.stride == 0
            assert span.stop % tiles.stride == 0


@given(tile_grids())
def test_all_reads_have_one_shape(tiles):
    assert {tile.read.shape for tile in tiles} == {tiles.read_shape}


@given(tile_grids())
def test_the_margin_is_covered_or_the_read_ends_with_the_scene(tiles):
    extended = tiles.whole().read
    for tile in tiles:
        sides = [(tile.read.rows, tile.core.rows, extended.rows), (tile.read.cols, tile.core.cols, extended.cols)]
        for read, core, scene in sides:
            assert core.start - read.start >= tiles.margin or read.start == scene.start
            assert read.stop - core.stop >= tiles.margin or read.stop == scene.stop


@given(tile_grids(), st.data())
def test_a_tile_around_any_window_keeps_the_laws(tiles, data):
    core = data.draw(window_in(Window.of_shape(tiles.height, tiles.width)).filter(lambda w: w.size > 0))
    tile, extended = tiles.around(core), tiles.whole().read

    assert tile.core == core
    assert tile.read in extended
    sides = [(tile.read.rows, core.rows, extended.rows), (tile.read.cols, core.cols, extended.cols)]
    for read, own, scene in sides:
        assert read.start % tiles.stride == 0
        assert read.stop % tiles.stride == 0
        assert own.start - read.start >= tiles.margin or read.start == scene.start
        assert read.stop - own.stop >= tiles.margin or read.stop == scene.stop


@given(tile_grids())
def test_the_whole_scene_is_a_tile(tiles):
    whole = tiles.whole()

    assert whole.core == Window.of_shape(tiles.height, tiles.width)
    assert whole.read.shape == (tiles.rows.extended, tiles.cols.extended)
    assert whole.read.rows.stop - tiles.height < tiles.stride
    assert whole.read.cols.stop - tiles.width < tiles.stride


@given(tile_grids())
def test_stitching_the_cores_gives_the_scene_back(tiles):
    scene = np.arange(tiles.height * tiles.width).reshape(tiles.height, tiles.width)
    pad = tiles.rows.extended - tiles.height, tiles.cols.extended - tiles.width
    extended = np.pad(scene, [(0, pad[0]), (0, pad[1])], constant_values=-1)

    actual = np.full_like(scene, -2)
    for tile in reversed(list(tiles)):
        actual[tile.core.slices] = extended[tile.read.slices][tile.core_in_read.slices]

    np.testing.assert_array_equal(actual, scene)


@given(tile_grids())
def test_work_counts_the_pixels_read(tiles):
    assert math.isclose(tiles.work, sum(tile.read.size for tile in tiles) / (tiles.height * tiles.width))
    assert tiles.work >= 1


@given(tile_grids())
def test_tiles_are_numbered_in_row_major_order(tiles):
    starts = [(tile.core.rows.start, tile.core.cols.start) for tile in tiles]

    assert [tile.index for tile in tiles] == list(range(len(tiles)))
    assert starts == sorted(starts)
    assert len(tiles) == tiles.counts[0] * tiles.counts[1]


@given(tile_grids())
def test_tiles_travel_between_processes(tiles):
    assert pickle.loads(pickle.dumps(tiles)) == tiles  # noqa: S301  # our own bytes
    assert pickle.loads(pickle.dumps(tiles[0])) == tiles[0]  # noqa: S301


def test_the_cost_of_the_default_tiling():
    tiles = TileGrid(height=20480, width=20480, core=1024, margin=96, stride=16)

    assert len(tiles) == 400
    assert tiles.read_shape == (1216, 1216)
    assert tiles.work == pytest.approx(1.41, abs=0.005)


@pytest.mark.parametrize("index", [-1, 4])
def test_a_tile_that_is_not_there(index):
    tiles = TileGrid(height=10, width=10, core=8, margin=0, stride=8)

    with pytest.raises(IndexError, match=f"4 tiles, got index {index}"):
        tiles[index]


@pytest.mark.parametrize("change", [{"core": 12}, {"margin": -1}, {"height": 0}, {"stride": 0}])
def test_a_tiling_that_cannot_be_is_refused(change):
    values = {"height": 10, "width": 10, "core": 16, "margin": 4, "stride": 8}

    with pytest.raises(ValueError, match="must be"):
        TileGrid(**values | change)
