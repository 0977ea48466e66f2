"""Area estimates against the paper's worked example, the bootstrap, and blocks that must not show."""

import math

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from segflow.segmentation.scores.accuracy import AccuracyCounts, AccuracySettings
from segflow.segmentation.scores.area import AreaEstimates, allocate_sample
from segflow.segmentation.scores.bootstrap import block_side, bootstrap_scores
from segflow.tiling import Grid, Span, TileGrid, Window

# Olofsson et al. 2014, section 5 and table 8: rows are map classes (deforestation, forest gain, stable forest,
# stable non-forest), columns the reference; areas are pixels of 30 m.
POINTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
PIXELS = np.array([200_000, 150_000, 3_200_000, 6_450_000.0])
HECTARE = 0.09  # of a pixel


def test_the_worked_example_of_olofsson() -> None:
    """235,086 px of deforestation, 21,158 ha ± 6,158 ha, where the map has 18,000 ha.

    The figures below were computed by hand from the equations; they round to those that the paper prints.
    """
    found = AreaEstimates.of(POINTS, PIXELS)
    weights, sizes = PIXELS / PIXELS.sum(), POINTS.sum(1)
    column = [66 / 75, 0, 1 / 165, 2 / 325]
    variance = sum(w**2 * q * (1 - q) / (n - 1) for w, q, n in zip(weights, column, sizes, strict=True))

    assert found.areas[0].value == pytest.approx(235_086, abs=0.5)
    assert found.areas[0].margin == pytest.approx(68_418, abs=0.5)
    assert found.areas[0].margin == pytest.approx(1.96 * math.sqrt(variance) * PIXELS.sum())
    assert found.areas[0].value * HECTARE == pytest.approx(21_158, abs=0.5)
    assert found.areas[0].margin * HECTARE == pytest.approx(6_158, abs=0.5)
    assert [round(e.value * HECTARE) for e in found.areas] == [21_158, 11_686, 285_770, 581_386]
    assert [round(e.margin * HECTARE) for e in found.areas] == [6_158, 3_756, 15_510, 16_282]
    assert (round(found.overall.value, 3), round(found.overall.margin, 3)) == (0.947, 0.018)
    assert [round(e.value, 2) for e in found.users] == [0.88, 0.73, 0.93, 0.96]
    assert [round(e.margin, 2) for e in found.users] == [0.07, 0.10, 0.04, 0.02]
    assert [round(e.value, 2) for e in found.producers] == [0.75, 0.85, 0.93, 0.96]
    assert [round(e.margin, 2) for e in found.producers] == [0.21, 0.25, 0.03, 0.02]
    assert found.points == (75, 75, 165, 325)


def test_adjusted_areas_add_up_to_the_map() -> None:
    found = AreaEstimates.of(POINTS, PIXELS)

    assert sum(entry.value for entry in found.areas) == pytest.approx(PIXELS.sum())


def test_a_sample_without_errors_gives_the_areas_of_the_map() -> None:
    found = AreaEstimates.of(np.diag([50, 60, 70]), np.array([3.0, 2.0, 5.0]))

    assert [entry.value for entry in found.areas] == pytest.approx([3, 2, 5])
    assert {entry.margin for entry in (*found.areas, found.overall, *found.producers)} == {0}


def test_the_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """A world of a million pixels whose truth is known, sampled 400 times."""
    random = np.random.default_rng(0)
    world = np.array([[36_000, 4_000], [20_000, 940_000]])  # [map, reference]
    true = world[:, 1].sum()
    held = 0
    for _ in range(400):
        counts = np.array([random.multivariate_hypergeometric(row, 1000) for row in world])
        estimate = AreaEstimates.of(counts, world.sum(1)).areas[1]
        held += abs(estimate.value - true) <= estimate.margin

    assert 0.90 <= held / 400 <= 0.99


def test_a_class_without_points_is_refused_and_one_without_area_is_not() -> None:
    with pytest.raises(ValueError, match="needs points"):
        AreaEstimates.of(np.array([[5, 0], [0, 0]]), np.array([1.0, 1.0]))
    found = AreaEstimates.of(np.array([[5, 5], [0, 0]]), np.array([2.0, 0.0]))

    assert [entry.value for entry in found.areas] == [1, 1]
    assert math.isnan(found.users[1].value)


def test_one_point_says_nothing_of_its_spread() -> None:
    found = AreaEstimates.of(np.array([[1, 0], [0, 50]]), np.array([1.0, 9.0]))

    assert found.areas[0].value == 1
    assert math.isnan(found.areas[0].margin)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=6), st.integers(0, 2_000))
def test_a_sample_is_shared_out(pixels: list[int], points: int) -> None:
    held = np.array(pixels)
    found = allocate_sample(held, points)
    strata = max(1, np.count_nonzero(held))

    assert (found <= held).all()
    assert (found >= np.minimum(held, min(50, points // strata)) * (held > 0)).all()
    assert found.sum() <= points
    if (held[held > 0] >= points).all() and held.any():
        assert found.sum() == points


def test_the_bootstrap_knows_the_spread_of_independent_blocks() -> None:
    """Squares that are right with probability 0.8: the interval of accuracy is that of a binomial."""
    random = np.random.default_rng(0)
    right = random.random(400) < 0.8
    tables = np.zeros((500, 2, 2), np.int64)
    tables[:400, 0, 0], tables[:400, 0, 1] = 100 * right, 100 * ~right
    found = bootstrap_scores(tables, 64)
    half = 1.96 * math.sqrt(right.mean() * (1 - right.mean()) / 400)

    assert found is not None
    assert found.blocks == 400
    assert found.pixel_accuracy == pytest.approx((right.mean() - half, right.mean() + half), abs=0.006)
    assert repr(found) == repr(bootstrap_scores(tables, 64))  # nan differs from itself
    assert bootstrap_scores(tables[:19], 64) is None


def test_blocks_grow_with_the_scene() -> None:
    assert [block_side(shape) for shape in ((100, 100), (2048, 2048), (2049, 2048), (20_000, 20_000))] == [
        64,
        64,
        128,
        1024,
    ]


GRID = Grid(height=150, width=170, transform=Affine(10, 0, 300_000, 0, -10, 9_400_000), crs="EPSG:32720")


def count(block: int) -> AccuracyCounts:
    """Compare two maps of three classes in blocks of one size."""
    random = np.random.default_rng(4)
    truth = np.kron(random.integers(0, 3, (15, 17)), np.ones((10, 10))).astype(np.uint8)
    prediction, confidence = np.roll(truth, 3, axis=1), random.integers(30, 101, truth.shape).astype(np.uint8)
    truth[40:60, 30:50], prediction[:20] = 255, 255
    counts = AccuracyCounts(GRID, AccuracySettings(classes=3, tile=48))
    halo = counts.settings.halo
    for tile in TileGrid(height=150, width=170, core=block, margin=0, stride=1):
        rows, cols = (Span(span.start - halo, span.stop + halo) for span in (tile.core.rows, tile.core.cols))
        read = Window(rows, cols).clip(GRID.window)
        counts.add(tile.core, read, *(array[read.slices] for array in (truth, prediction, confidence)))
    return counts


@pytest.mark.parametrize("block", [32, 64, 71])
def test_the_size_of_the_blocks_changes_no_figure(block: int) -> None:
    one, other = count(170), count(block)

    for name in ("blocks", "boundary", "relaxed", "by_boundary", "by_tile", "reliability"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert one.mapped.area == pytest.approx(other.mapped.area, rel=1e-6)  # cells of 64 px
    assert np.array_equal(one.confusion.sum(0), one.mapped.pixels.sum(1)[:3])
    assert one.by_tile.sum() == one.by_boundary.sum() == one.reliability.sum() == one.confusion.sum()


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="tolerance"):
        AccuracySettings(classes=2, tolerance=-1)
