"""Matches against scipy's distance transform and plain loops; cuts that must not show; perfect and absent classes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import distance_transform_edt

from segflow.segmentation.scores.boundary import MatchScores, count_matches, near, outline
from segflow.segmentation.scores.distance import boundary_distance, count_by_distance, distance_bins, tile_distance
from segflow.tiling import Span, TileGrid, Window

maps = arrays(np.uint8, (9, 11), elements=st.sampled_from([0, 0, 0, 1, 1, 2, 255]))
radii = st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0, 4.3])
kinds = st.sampled_from(["boundary", "area"])


def touches(labels: np.ndarray, row: int, col: int) -> bool:
    """Tell whether a pixel has a neighbour of another class, asked of each neighbour in turn."""
    around = [(row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)]
    inside = [labels[r, c] for r, c in around if 0 <= r < labels.shape[0] and 0 <= c < labels.shape[1]]
    return labels[row, col] != 255 and any(other not in {255, labels[row, col]} for other in inside)


def by_distance_transform(truth: np.ndarray, prediction: np.ndarray, radius: float, kind: str) -> np.ndarray:
    known = (truth != 255) & (prediction != 255)
    true, given_ = np.where(known, truth, 255), np.where(known, prediction, 255)
    counts = np.zeros((3, 4), np.int64)
    for value in range(3):
        masks = []
        for labels in (given_, true):
            mask = labels == value
            if kind == "boundary":
                mask &= np.array([[touches(labels, r, c) for c in range(11)] for r in range(9)])
            masks.append(mask)
        for place, (asked, others) in enumerate([masks, masks[::-1]]):
            counts[value, 2 * place] = asked.sum()
            if others.any():
                counts[value, 2 * place + 1] = (distance_transform_edt(~others)[asked] <= radius).sum()
    return counts


@given(maps, maps, radii, kinds)
def test_matches_are_those_of_a_distance_transform(
    truth: np.ndarray, prediction: np.ndarray, radius: float, kind: str
) -> None:
    expected = by_distance_transform(truth, prediction, radius, kind)

    assert np.array_equal(count_matches(truth, prediction, 3, radius, kind), expected)


@given(maps, maps, kinds)
def test_matches_do_not_know_how_classes_are_numbered(truth: np.ndarray, prediction: np.ndarray, kind: str) -> None:
    turn = np.arange(256, dtype=np.uint8)
    turn[:3] = [2, 0, 1]
    found = count_matches(turn[truth], turn[prediction], 3, 2.0, kind)

    assert np.array_equal(found[[2, 0, 1]], count_matches(truth, prediction, 3, 2.0, kind))


@given(maps, kinds)
def test_a_perfect_map_scores_one(truth: np.ndarray, kind: str) -> None:
    scores = MatchScores.of(count_matches(truth, truth, 3, 0.0, kind))

    assert all(math.isnan(f1) or f1 == 1 for f1 in scores.f1)


@given(maps, maps, kinds)
def test_a_larger_tolerance_never_lowers_a_score(truth: np.ndarray, prediction: np.ndarray, kind: str) -> None:
    strict, mild = (count_matches(truth, prediction, 3, radius, kind) for radius in (1.0, 3.0))

    assert (mild >= strict).all()


def test_a_line_moved_by_the_buffer_is_still_found() -> None:
    truth, prediction = np.zeros((2, 40, 40), np.uint8)
    truth[:, 10:12], prediction[:, 13:15], prediction[30:] = 1, 1, 0
    counts = count_matches(truth, prediction, 2, 3.0, "area")

    assert counts[1].tolist() == [60, 60, 80, 62]  # the right column reaches √5 px past the end, the left none
    assert MatchScores.of(counts).precision[1] == 1


def test_a_class_that_only_one_map_holds_scores_zero_and_one_that_none_holds_is_nan() -> None:
    scores = MatchScores.of(np.array([[5, 5, 5, 5], [4, 0, 0, 0], [0, 0, 0, 0]]))

    assert scores.f1[:2] == (1, 0)
    assert math.isnan(scores.f1[2])
    assert math.isnan(scores.recall[1])
    assert scores.mean_f1 == 0.5


def test_what_is_unknown_has_no_boundary() -> None:
    labels = np.array([[0, 255, 1, 1, 0]], np.uint8)

    assert outline(labels).tolist() == [[False, False, False, True, True]]
    assert (boundary_distance(np.zeros((3, 3), np.uint8)) > 20).all()


def test_distances_count_from_one_at_the_boundary() -> None:
    labels = np.repeat([[0, 1]], [4, 30], axis=1).astype(np.uint8)

    assert boundary_distance(labels)[0, :8].tolist() == [4, 3, 2, 1, 1, 2, 3, 4]
    found = distance_bins(count_by_distance(labels, labels, boundary_distance(labels)))
    assert [entry.pixels for entry in found] == [2, 2, 5, 5, 10, 10]
    assert {entry.accuracy for entry in found} == {1.0}


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([4, 8, 16]))
def test_tile_distance_is_that_to_a_pixel_of_another_tile(height: int, width: int, core: int) -> None:
    """Along an axis: the nearest row or column that another tile owns."""
    found = tile_distance(Window.of_shape(height, width), (height, width), core)
    rows, cols = np.arange(height) // core, np.arange(width) // core
    expected = np.full((height, width), np.inf)
    for r in range(height):
        for c in range(width):
            gaps = [abs(o - r) for o in range(height) if rows[o] != rows[r]]
            gaps += [abs(o - c) for o in range(width) if cols[o] != cols[c]]
            expected[r, c] = min(gaps, default=np.inf)

    assert (found is None) == (max(height, width) <= core)
    if found is not None:
        assert np.array_equal(np.minimum(found, 99), np.minimum(expected, 99))


def test_tile_distance_of_a_part_is_a_part_of_it() -> None:
    whole = tile_distance(Window.of_shape(50, 60), (50, 60), 16)
    for tile in TileGrid(height=50, width=60, core=13, margin=0, stride=1):
        assert np.array_equal(tile_distance(tile.core, (50, 60), 16), whole[tile.core.slices])


@pytest.mark.parametrize("radius", [0.0, 1.0, 2.9, 5.0])
def test_near_is_a_disc(radius: float) -> None:
    mask = np.zeros((13, 13), bool)
    mask[6, 6] = True
    row, col = np.mgrid[-6:7, -6:7]

    assert np.array_equal(near(mask, radius), np.hypot(row, col) <= radius)


@pytest.mark.parametrize("kind", ["boundary", "area"])
def test_parts_with_a_halo_add_up(kind: str) -> None:
    random = np.random.default_rng(1)
    truth, prediction = np.kron(random.integers(0, 3, (2, 12, 12)), np.ones((1, 5, 5))).astype(np.uint8)
    prediction = np.roll(prediction, 2, axis=1)
    total = np.zeros((3, 4), np.int64)
    for tile in TileGrid(height=60, width=60, core=17, margin=0, stride=1):
        rows, cols = (Span(max(0, s.start - 4), min(60, s.stop + 4)) for s in (tile.core.rows, tile.core.cols))
        read = Window(rows, cols)
        parts = truth[read.slices], prediction[read.slices]
        total += count_matches(*parts, 3, 3.0, kind, tile.core.relative_to(read))

    assert np.array_equal(total, count_matches(truth, prediction, 3, 3.0, kind))
