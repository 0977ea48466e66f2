"""Scores of a class map against the truth, all from one table of counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segflow.tiling import NODATA

Counts = npt.NDArray[np.int64]
Labels = npt.NDArray[np.integer[Any]]


def confusion(truth: Labels, prediction: Labels, classes: int, ignore: int = NODATA) -> Counts:
    """Count pixels by true and predicted class.

    Parameters
    ----------
    truth, prediction
        Class values, of any one shape; pixels where either is `ignore` do not count.
    classes
        Number of classes.
    ignore
        The value outside the data.

    Returns
    -------
    (classes, classes) int64 array
        Indexed [truth, prediction]; tables of several scenes are added before they are scored.

    Raises
    ------
    ValueError
        If the shapes differ, or a value is neither a class nor `ignore`.
    """
    if truth.shape != prediction.shape:
        msg = f"truth and prediction must have one shape, got {truth.shape} and {prediction.shape}"
        raise ValueError(msg)
    counted = (truth != ignore) & (prediction != ignore)
    t, p = truth[counted].astype(np.int64), prediction[counted].astype(np.int64)
    if t.size and (min(t.min(), p.min()) < 0 or max(t.max(), p.max()) >= classes):
        msg = f"class values must lie in 0..{classes - 1} or be {ignore}, got {np.unique(t)} and {np.unique(p)}"
        raise ValueError(msg)
    return np.bincount(t * classes + p, minlength=classes**2).reshape(classes, classes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of one table of counts; nan where a class is neither in the truth nor in the prediction.

    Attributes
    ----------
    pixel_accuracy, mean_accuracy, mean_iou, frequency_weighted_iou
        The four scores of Long et al.; means over the classes that occur.
    iou, precision, recall, f1
        Per class, in the order of their values.

    References
    ----------
    Long, Shelhamer, Darrell 2015, "Fully Convolutional Networks for Semantic Segmentation", section 5.
    """

    pixel_accuracy: float
    mean_accuracy: float
    mean_iou: float
    frequency_weighted_iou: float
    iou: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]

    @classmethod
    def of(cls, counts: Counts) -> "Scores":
        """Score a (classes, classes) table of counts, indexed [truth, prediction]."""
        table = counts.astype(np.float64)
        hit, true, predicted, total = np.diag(table), table.sum(1), table.sum(0), table.sum()
        iou = _ratio(hit, true + predicted - hit)
        recall = _ratio(hit, true)
        return cls(
            pixel_accuracy=float(_ratio(hit.sum(keepdims=True), total[None])[0]),
            mean_accuracy=_mean(recall),
            mean_iou=_mean(iou),
            frequency_weighted_iou=float(np.nansum(true * iou) / total) if total else float("nan"),
            iou=_tuple(iou),
            precision=_tuple(_ratio(hit, predicted)),
            recall=_tuple(recall),
            f1=_tuple(_ratio(2 * hit, true + predicted)),
        )


def _ratio(above: npt.NDArray[np.float64], below: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shares = np.full(above.shape, np.nan)
    np.divide(above, below, out=shares, where=below > 0)
    return shares


def _mean(values: npt.NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _tuple(values: Sequence[float] | npt.NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
