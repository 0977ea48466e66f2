"""Scores against their definitions and against scikit-learn's arithmetic done by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torchmetrics.functional.classification import multiclass_jaccard_index, multiclass_recall

from segflow.segmentation.scores.metrics import Scores, confusion

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


tables = arrays(np.int64, (CLASSES, CLASSES), elements=st.integers(0, 50))
absent = st.sets(st.integers(0, CLASSES - 1), max_size=CLASSES)


def without(table: np.ndarray, missing: set[int]) -> np.ndarray:
    """Give a table in which neither map holds some classes."""
    table = table.copy()
    for value in missing:
        table[value] = table[:, value] = 0
    return table


@given(tables, absent)
def test_the_four_scores_are_those_of_a_loop_over_pixels(table: np.ndarray, missing: set[int]) -> None:
    """Each score from its definition, on the single pixels that the table counts."""
    table = without(table, missing)
    pixels = [(t, p) for t in range(CLASSES) for p in range(CLASSES) for _ in range(table[t, p])]
    scores = Scores.of(table)
    if not pixels:
        assert math.isnan(scores.pixel_accuracy)
        assert math.isnan(scores.mean_iou)
        return
    accuracies, ious, weighted = [], [], 0.0
    for value in range(CLASSES):
        true = [p for t, p in pixels if t == value]
        either = [pair for pair in pixels if value in pair]
        both = [pair for pair in either if pair == (value, value)]
        if true:
            accuracies.append(true.count(value) / len(true))
        if either:
            ious.append(len(both) / len(either))
        if true:
            weighted += len(true) / len(pixels) * ious[-1]
        assert math.isnan(scores.iou[value]) == (not either)
        assert math.isnan(scores.recall[value]) == (not true)

    assert scores.pixel_accuracy == pytest.approx(sum(t == p for t, p in pixels) / len(pixels))
    assert scores.mean_accuracy == pytest.approx(sum(accuracies) / len(accuracies))
    assert scores.mean_iou == pytest.approx(sum(ious) / len(ious))
    assert scores.frequency_weighted_iou == pytest.approx(weighted)


@given(tables, absent)
def test_the_scores_are_torchmetrics(table: np.ndarray, missing: set[int]) -> None:
    """Where torchmetrics counts as we do: over classes that occur, in the truth or in the map."""
    table = without(table, missing)
    truth, prediction = (
        torch.from_numpy(np.repeat(side.ravel(), table.ravel())) for side in np.indices((CLASSES, CLASSES))
    )
    if not len(truth):
        return
    scores = Scores.of(table)
    options = {"num_classes": CLASSES, "average": "none", "zero_division": torch.nan}
    iou = multiclass_jaccard_index(prediction, truth, num_classes=CLASSES, average="none").numpy()
    recall = multiclass_recall(prediction, truth, **options).numpy()
    present = [not math.isnan(value) for value in scores.iou]

    assert np.array(scores.iou)[present] == pytest.approx(iou[present], abs=1e-6)
    assert scores.recall == pytest.approx(recall, abs=1e-6, nan_ok=True)
    assert scores.pixel_accuracy == pytest.approx(float((truth == prediction).double().mean()))


@given(tables, st.permutations(range(CLASSES)))
def test_the_order_of_the_classes_changes_no_mean(table: np.ndarray, order: list[int]) -> None:
    one, other = Scores.of(table), Scores.of(table[np.ix_(order, order)])

    assert other.iou == pytest.approx(tuple(np.array(one.iou)[order]), nan_ok=True)
    for name in ("pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), nan_ok=True)
