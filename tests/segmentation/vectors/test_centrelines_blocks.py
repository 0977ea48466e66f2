"""Centrelines are those of the whole raster, whatever the blocks; and of rasters that hold no roads."""

from dataclasses import fields
from random import Random

import numpy as np
import pytest
import shapely
import skimage.morphology
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from segflow.errors import SettingsError
from segflow.segmentation.vectors.lines.centrelines import find_skeletons, trace_centrelines
from segflow.segmentation.vectors.lines.skeleton import Reach, Skeleton
from segflow.segmentation.vectors.lines.thinning import REACH, thin
from tests.segmentation.vectors.road_networks import Raster, blocks_of, grid_of, noisy, same, town, trace

NODATA = 255


@st.composite
def rasters(draw: st.DrawFn, side: int = 70) -> Raster:
    """Give random rasters of classes 0 and 1: speckles, threads, blobs; with and without nodata."""
    shape = draw(st.integers(1, side)), draw(st.integers(1, side))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    grain, share = draw(st.sampled_from([0, 0.7, 1.5, 3])), draw(st.sampled_from([0.3, 0.5, 0.7]))
    field = ndimage.gaussian_filter(random.random(shape), grain)
    labels = (field < np.quantile(field, share)).astype(np.uint8)
    if draw(st.booleans()):
        labels[ndimage.gaussian_filter(random.random(shape), 3) > 0.52] = NODATA
    return labels


masks = rasters(side=40).map(lambda labels: np.pad(labels == 1, 1))


def drawn(places: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, bool)
    mask.ravel()[places] = True
    return mask


def equal(one: Skeleton, other: Skeleton) -> bool:
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(Skeleton))


@given(masks, st.integers(1, 30))
def test_thinning_is_that_of_scikit_image(mask: NDArray[np.bool_], iterations: int) -> None:
    layers = thin(mask, iterations)
    both = drawn(np.concatenate([layers.places, layers.wide]), mask.shape)

    assert np.array_equal(skimage.morphology.thin(mask, iterations), both)


@given(masks, st.integers(1, 4), st.randoms())
def test_thinning_looks_no_further_than_it_says(mask: NDArray[np.bool_], iterations: int, random: Random) -> None:
    height, width = mask.shape
    row, col = random.randrange(height), random.randrange(width)
    reach = REACH * iterations
    part = np.zeros_like(mask)
    near = np.s_[max(row - reach, 0) : row + reach + 1, max(col - reach, 0) : col + reach + 1]
    part[near] = mask[near]

    def kept(mask: NDArray[np.bool_]) -> bool:
        layers = thin(mask, iterations)
        return bool(drawn(np.concatenate([layers.places, layers.wide]), mask.shape)[row, col])

    assert kept(mask) == kept(part)


@given(rasters(), st.integers(4, 60), st.integers(2, 12), st.integers(0, 6))
@settings(max_examples=60)
def test_skeletons_do_not_depend_on_the_windows(labels: Raster, window: int, max_width: int, max_hole: int) -> None:
    def find(size: int) -> dict[int, Skeleton]:
        reach = Reach(max_width=max_width, max_hole=max_hole)
        return find_skeletons(blocks_of(labels), grid=grid_of(labels), classes=[0, 1], reach=reach, window=size)

    whole, cut = find(100), find(window)

    assert whole.keys() == cut.keys()
    assert all(equal(whole[value], cut[value]) for value in whole)


@given(rasters(), st.integers(1, 70), st.integers(1, 70), st.sampled_from([0, 6]))
@settings(max_examples=60)
def test_lines_do_not_depend_on_the_blocks(labels: Raster, height: int, width: int, gap: float) -> None:
    options = {"classes": {0, 1}, "min_length_px": 3, "max_gap_px": gap}

    assert same(trace(labels, **options), trace(labels, height, width, **options))


@pytest.mark.parametrize("side", [256, 100, 1000])
def test_lines_of_a_town_do_not_depend_on_blocks_or_windows(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = noisy(town(7, side=1100).draw(7), 0.01, seed=3)
    labels[500:560, 300:900] = 1  # wider than any road
    labels[800:, 800:] = NODATA
    whole = trace(labels, max_gap_px=8)
    assert same(whole, trace(labels, side, side, max_gap_px=8))
    monkeypatch.setattr("segflow.segmentation.vectors.lines.centrelines.WINDOW", side)
    assert same(whole, trace(labels, 256, 256, max_gap_px=8))
    assert len(whole) > 100


@given(rasters())
@settings(max_examples=60)
def test_any_raster_gives_sound_lines(labels: Raster) -> None:
    table = trace(labels, min_length_px=0, max_gap_px=5)

    assert shapely.is_valid(table.geometry).all()
    assert (shapely.length(table.geometry) > 0).all()
    assert len(set(table.first_px.tolist())) == len(table)
    assert (table.n_px > 0).all()
    assert (table.first_px[:-1] < table.first_px[1:]).all()
    assert not ((table.start_degree == 2) & (table.start_node != table.end_node)).any()


def test_nothing_gives_no_lines() -> None:
    for labels in (np.zeros((40, 50), np.uint8), np.full((40, 50), NODATA, np.uint8), np.zeros((1, 1), np.uint8)):
        assert len(trace(labels)) == 0


def test_no_class_gives_no_lines() -> None:
    assert len(trace(np.ones((40, 50), np.uint8), classes=())) == 0


def test_a_scene_full_of_road_is_no_line() -> None:
    wide: dict[int, int] = {}
    table = trace(np.ones((300, 200), np.uint8), 64, 64, on_wide=wide.__setitem__)

    assert len(table) == 0
    assert 20_000 < wide[1] < 60_000


def test_lines_end_where_regions_are_wider_than_lines() -> None:
    labels = np.zeros((200, 300), np.uint8)
    labels[97:104] = 1
    labels[50:150, 100:200] = 1
    wide: dict[int, int] = {}
    table = trace(labels, max_width_px=20, on_wide=wide.__setitem__)
    bounds = shapely.bounds(table.geometry[np.argsort(-shapely.length(table.geometry))[:2]])

    assert 2000 < wide[1] < 10_000
    assert bounds[:, 0].min() == 0
    assert 90 < bounds[:, 2].min() < 130
    assert len(trace(labels, max_width_px=120)) > 0


@pytest.mark.parametrize("seed", [0, 1])
def test_single_pixels_are_no_lines(seed: int) -> None:
    labels = np.zeros((100, 100), np.uint8)
    random = np.random.default_rng(seed)
    labels[tuple(random.integers(0, 50, (2, 60)) * 2)] = 1

    assert len(trace(labels)) == 0


def test_lines_may_be_one_pixel_wide() -> None:
    labels = np.zeros((60, 100), np.uint8)
    labels[20, 10:90] = 1
    labels[20:50, 50] = 1
    steps = np.arange(30)
    labels[25 + steps, 60 + steps] = 1
    table = trace(labels)

    assert sorted(shapely.length(table.geometry).round().tolist()) == [29, 39, 40, 41]
    assert sorted(table.start_degree + table.end_degree) == [2, 4, 4, 4]


def test_noise_ends() -> None:
    labels = np.random.default_rng(0).integers(0, 2, (300, 300)).astype(np.uint8)

    assert len(trace(labels)) > 100


def test_more_lines_than_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segflow.segmentation.vectors.lines.centrelines.MOST", 1000)

    with pytest.raises(SettingsError, match="class 1 has more than 1,000 pixels"):
        trace(town(0).draw(5))


def test_classes_keep_apart() -> None:
    labels = np.zeros((60, 100), np.uint8)
    labels[27:34, :50], labels[27:34, 50:] = 1, 2
    table = trace(labels, classes={1, 2, 9})

    assert table.class_id.tolist() == [1, 2]
    assert same(table.take(table.class_id == 1), trace(labels))


def test_progress_counts_every_pixel() -> None:
    labels = town(0).draw(5)
    done: list[int] = []
    trace(labels, 100, 70, progress=done.append)

    assert labels.size == sum(done)


def test_blocks_must_come_in_order() -> None:
    labels = town(0).draw(5)
    first, second, *rest = blocks_of(labels, 200, 200)

    with pytest.raises(ValueError, match="row-major order"):
        trace_centrelines([second, first, *rest], grid=grid_of(labels), classes={1})
    with pytest.raises(ValueError, match="cover all 480 rows"):
        trace_centrelines([first, second], grid=grid_of(labels), classes={1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": {NODATA}}, "0 … 254, got 255"),
        ({"max_gap_px": -1}, "max_gap"),
        ({"smooth_px": float("nan")}, "smooth"),
        ({"max_width_px": 0}, "max_width"),
        ({"max_hole_px": -2}, "max_hole"),
    ],
)
def test_settings_that_make_no_sense(options: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        trace(town(0).draw(5), **options)
