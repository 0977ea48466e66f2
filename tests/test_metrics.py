"""Scores against their definitions and against scikit-learn's arithmetic done by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segflow.segmentation.metrics import Scores, confusion

CLASSES = 4
maps = arrays(np.uint8, (7, 9), elements=st.sampled_from([0, 1, 2, 3, 255]))


@given(maps, maps)
def test_counts_are_those_of_a_plain_loop(truth: np.ndarray, prediction: np.ndarray) -> None:
    expected = np.zeros((CLASSES, CLASSES), np.int64)
    for t, p in zip(truth.ravel(), prediction.ravel(), strict=True):
        if t != 255 and p != 255:
            expected[t, p] += 1

    assert np.array_equal(confusion(truth, prediction, CLASSES), expected)


@given(maps, maps)
def test_counts_of_parts_add_up(truth: np.ndarray, prediction: np.ndarray) -> None:
    parts = confusion(truth[:3], prediction[:3], CLASSES) + confusion(truth[3:], prediction[3:], CLASSES)

    assert np.array_equal(parts, confusion(truth, prediction, CLASSES))


@given(maps, maps)
def test_scores_are_those_of_sets(truth: np.ndarray, prediction: np.ndarray) -> None:
    scores = Scores.of(confusion(truth, prediction, CLASSES))
    known = (truth != 255) & (prediction != 255)
    for value in range(CLASSES):
        t, p = (truth == value) & known, (prediction == value) & known
        union = (t | p).sum()

        assert scores.iou[value] == pytest.approx((t & p).sum() / union if union else math.nan, nan_ok=True)
        assert scores.recall[value] == pytest.approx((t & p).sum() / t.sum() if t.any() else math.nan, nan_ok=True)
        assert scores.precision[value] == pytest.approx((t & p).sum() / p.sum() if p.any() else math.nan, nan_ok=True)


@given(maps)
def test_a_perfect_map_scores_one(truth: np.ndarray) -> None:
    scores = Scores.of(confusion(truth, truth, CLASSES))
    if (truth != 255).any():
        assert scores.pixel_accuracy == scores.mean_iou == scores.frequency_weighted_iou == 1
        assert all(math.isnan(f1) or f1 == 1 for f1 in scores.f1)


def test_a_worked_example() -> None:
    scores = Scores.of(np.array([[6, 2, 0], [1, 1, 0], [0, 0, 0]]))

    assert scores.pixel_accuracy == pytest.approx(0.7)
    assert scores.iou[:2] == pytest.approx((6 / 9, 1 / 4))
    assert math.isnan(scores.iou[2])
    assert scores.mean_accuracy == pytest.approx((6 / 8 + 1 / 2) / 2)
    assert scores.mean_iou == pytest.approx((6 / 9 + 1 / 4) / 2)
    assert scores.frequency_weighted_iou == pytest.approx((8 * 6 / 9 + 2 * 1 / 4) / 10)
    assert scores.f1[:2] == pytest.approx((12 / 15, 2 / 5))


def test_nothing_to_score_is_nan() -> None:
    blank = np.full((2, 2), 255, np.uint8)
    scores = Scores.of(confusion(blank, blank, 2))

    assert math.isnan(scores.pixel_accuracy)
    assert math.isnan(scores.mean_iou)
    assert math.isnan(scores.frequency_weighted_iou)


def test_values_that_are_no_class_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.\.1"):
        confusion(np.array([0, 2]), np.array([0, 1]), 2)
    with pytest.raises(ValueError, match="one shape"):
        confusion(np.array([0, 1]), np.array([0]), 2)
