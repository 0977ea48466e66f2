"""How uncertain a prediction is, from its class probabilities: 0 where one class has all, 1 where all have the same."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from segflow.tiling import NODATA

STEPS = 200  # of a probability as the canvas holds it, and of an uncertainty: both times 200

Shares = npt.NDArray[np.uint8]  # (classes, height, width): probabilities × 200, 255 for nodata
Uncertainty = npt.NDArray[np.uint8]  # (height, width): uncertainty × 200, 255 for nodata


def entropy(shares: Shares) -> Uncertainty:
    """Give the Shannon entropy of the class probabilities, divided by that of equal ones."""
    return _pack(shares, _entropy)


def margin(shares: Shares) -> Uncertainty:
    """Give 1 less the probability of the winning class, plus that of the second: 1 where two are level."""
    return _pack(shares, _margin)


def _entropy(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    logs = np.log(np.where(probabilities > 0, probabilities, 1))
    found: npt.NDArray[np.float64] = -(probabilities * logs).sum(axis=0) / np.log(max(2, len(probabilities)))
    return found


def _margin(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if len(probabilities) == 1:
        return np.zeros(probabilities.shape[1:])
    second, first = np.partition(probabilities, len(probabilities) - 2, axis=0)[-2:]
    found: npt.NDArray[np.float64] = 1 - (first - second)
    return found


def _pack(shares: Shares, measure: Callable[[npt.NDArray[Any]], npt.NDArray[np.float64]]) -> Uncertainty:
    empty = shares[0] == NODATA
    known = np.where(empty, 0, shares).astype(np.float64)
    total = known.sum(axis=0)
    probabilities = known / np.where(total > 0, total, 1)  # shares are rounded, and may not add up to one
    packed = np.rint(measure(probabilities).clip(0, 1) * STEPS).astype(np.uint8)
    return np.where(empty, np.uint8(NODATA), packed)
