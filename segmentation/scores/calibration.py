"""Calibration of the confidence: its expected error, and temperature scaling.

A confidence of 90 % is calibrated if 90 % of such pixels are right. Networks that were trained for long
are overconfident; dividing their logits by one number, the temperature, changes no class and brings the
confidence close to the accuracy. Both are counted in one table that adds up over tiles and scenes.

References
----------
Guo, Pleiss, Sun, Weinberger 2017, "On Calibration of Modern Neural Networks", eq. 3 (expected
calibration error) and section 4.2 (temperature scaling).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from segflow.errors import TrainingError
from segflow.tiling import NODATA

PERCENT = 101  # confidences are whole numbers from 0 to 100 %
BINS = 15  # of Guo et al.
COLDEST, HOTTEST = 0.05, 20.0  # beyond these the confidence says nothing: always 100 %, or always 1/classes
_PIXELS = 2_000_000  # fitted at most; the third digit of the temperature needs a hundredth of them

Logits = npt.NDArray[np.floating[Any]]  # (classes, height, width)
Labels = npt.NDArray[np.uint8]  # (height, width), 255 is ignored
Reliability = npt.NDArray[np.int64]  # (2, 101): pixels that are wrong, and right, by confidence [%]


def reliability(truth: Labels, prediction: Labels, confidence: npt.NDArray[np.uint8]) -> Reliability:
    """Count wrong and right pixels by their confidence.

    Parameters
    ----------
    truth, prediction
        (height, width) arrays of class values; pixels where either is 255 do not count.
    confidence
        (height, width) uint8 array: probability of the predicted class [%]; above 100 does not count.

    Returns
    -------
    (2, 101) int64 array
        Indexed [right, confidence]; tables of several scenes are added before they are scored.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if not truth.shape == prediction.shape == confidence.shape:
        msg = f"arrays must have one shape, got {truth.shape}, {prediction.shape} and {confidence.shape}"
        raise ValueError(msg)
    counted = (truth != NODATA) & (prediction != NODATA) & (confidence < PERCENT)
    right = (truth == prediction)[counted].astype(np.int64)
    return np.bincount(right * PERCENT + confidence[counted], minlength=2 * PERCENT).reshape(2, PERCENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceBin:
    """The pixels whose confidence lies in ``low < confidence <= high`` (the first bin holds 0 too).

    Attributes
    ----------
    low, high
        Bounds, 0 to 1.
    pixels
        Number of pixels.
    confidence, accuracy
        Mean confidence and share of right pixels, 0 to 1; nan in an empty bin.
    """

    low: float
    high: float
    pixels: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What one table of counts says about the confidence.

    Attributes
    ----------
    error
        Expected calibration error: mean distance of accuracy and confidence over the bins,
        weighted by their pixels; nan without pixels.
    confidence, accuracy
        Over all pixels, 0 to 1.
    bins
        Bins of equal width from 0 to 1.
    """

    error: float
    confidence: float
    accuracy: float
    bins: tuple[ConfidenceBin, ...]

    @classmethod
    def of(cls, counts: Reliability, bins: int = BINS) -> Self:
        """Judge a (2, 101) table of counts, indexed [right, confidence in %]."""
        places = np.maximum(-(-np.arange(PERCENT) * bins // (PERCENT - 1)) - 1, 0)
        found = tuple(
            _bin(counts[:, places == place], np.flatnonzero(places == place), place, bins) for place in range(bins)
        )
        whole = _bin(counts, np.arange(PERCENT), 0, 1)
        gaps = [entry.pixels * abs(entry.accuracy - entry.confidence) for entry in found if entry.pixels]
        return cls(
            error=sum(gaps) / whole.pixels if whole.pixels else float("nan"),
            confidence=whole.confidence,
            accuracy=whole.accuracy,
            bins=found,
        )


def _bin(counts: Reliability, percents: npt.NDArray[np.intp], place: int, bins: int) -> ConfidenceBin:
    pixels, right = int(counts.sum()), int(counts[1].sum())
    said = float(counts.sum(0) @ percents) / (PERCENT - 1)
    return ConfidenceBin(
        low=place / bins,
        high=(place + 1) / bins,
        pixels=pixels,
        confidence=said / pixels if pixels else float("nan"),
        accuracy=right / pixels if pixels else float("nan"),
    )


def fit_temperature(logits: Sequence[Logits], labels: Sequence[Labels]) -> float:
    """Give the temperature at which ``softmax(logits / temperature)`` explains the labels best.

    The mean negative log-likelihood has one minimum; it is searched between 0.05 and 20.
    The same logits give the same temperature; of more than two million pixels, every n-th is used.

    Parameters
    ----------
    logits
        (classes, height, width) float arrays of scenes that training did not see.
    labels
        Their (height, width) uint8 class values; 255 is ignored.

    Raises
    ------
    TrainingError
        If there is no labelled pixel, a logit is not finite, or shapes do not fit.
    """
    scores, truth = _gather(logits, labels)
    if not truth.size:
        msg = "the temperature needs labelled pixels, but the validation scenes hold none: check the split"
        raise TrainingError(msg)
    if not np.isfinite(scores).all():
        msg = "the temperature needs finite logits, but some are not: train with a smaller learning rate"
        raise TrainingError(msg)

    def surprise(logarithm: float) -> float:
        """Give the mean negative log-likelihood at a temperature."""
        shifted = scores * np.exp(-logarithm)  # ≤ 0, as the largest logit of each pixel is 0
        return float((np.log(np.exp(shifted).sum(0)) - shifted[truth, np.arange(truth.size)]).mean())

    bounds = (np.log(COLDEST), np.log(HOTTEST))
    found = minimize_scalar(surprise, bounds=bounds, method="bounded", options={"xatol": 1e-5})
    return float(np.round(np.exp(found.x), 4))


def _gather(logits: Sequence[Logits], labels: Sequence[Labels]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """Give the logits of labelled pixels below each pixel's largest, (classes, n), and their (n,) labels."""
    for index, (scores, truth) in enumerate(zip(logits, labels, strict=True)):
        if scores.ndim != truth.ndim + 1 or scores.shape[1:] != truth.shape:
            msg = f"logits {scores.shape} and labels {truth.shape} of validation scene {index} do not fit"
            raise TrainingError(msg)
    step = max(1, -(-sum(int((truth != NODATA).sum()) for truth in labels) // _PIXELS))
    columns, values = [np.empty((len(logits[0]) if logits else 1, 0))], [np.empty(0, np.intp)]
    for scores, truth in zip(logits, labels, strict=True):
        places = np.flatnonzero(truth.ravel() != NODATA)[::step]
        chosen = scores.reshape(len(scores), -1)[:, places].astype(np.float64)
        columns.append(chosen - chosen.max(0))
        values.append(truth.ravel()[places].astype(np.intp))
    return np.concatenate(columns, axis=1), np.concatenate(values)
