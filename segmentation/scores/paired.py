"""Two models on the same kept-out scenes: what the second gains over the first, with its confidence interval.

Both are counted on the same pixels, so the difference varies far less than either score.
A thousand times, units are drawn with replacement, the same ones for both models, and the difference of the
scores is taken; the interval holds the middle 95 % of these differences.
Units are the scenes where there are at least eight of them: then the interval says what such scenes would give.
Of fewer scenes they are squares in them: then it says no more than how far the difference depends on
which parts of these very scenes were seen, and is too narrow for others.

References
----------
Efron, Tibshirani 1993, "An Introduction to the Bootstrap", sections 8.3 (two samples, paired) and 13.3 (percentiles).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from segflow.segmentation.scores.bootstrap import DRAWS, LEAST_BLOCKS, Interval, Tables

LEAST_SCENES = 8  # of fewer, drawing scenes says little
_PERCENTILES = (2.5, 97.5)

Floats = npt.NDArray[np.float64]
Unit = Literal["scenes", "squares", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One score of both models; nan where a class does not occur.

    Attributes
    ----------
    first, second
        The scores of both.
    interval
        (low, high) of their difference; None of too few units.
    """

    first: float
    second: float
    interval: Interval | None = None

    @property
    def gain(self) -> float:
        """Second less first."""
        return self.second - self.first


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedScores:
    """What a second model gains over a first.

    Attributes
    ----------
    mean_iou
        Over the classes that occur in the truth.
    iou
        Per class, in the order of their values.
    scenes
        Mean IoU of each scene by its name, without intervals.
    unit, units
        What was drawn for the intervals, and how many of them there are.
    """

    mean_iou: Pair
    iou: tuple[Pair, ...]
    scenes: Mapping[str, Pair]
    unit: Unit
    units: int


def compare_tables(first: Mapping[str, Tables], second: Mapping[str, Tables], seed: int = 0) -> PairedScores:
    """Compare two models by their counts on the same scenes.

    Parameters
    ----------
    first, second
        By scene, (squares, classes, classes) counts indexed [truth, prediction]; the truth is the same in both.
    seed
        Of the bootstrap.

    Raises
    ------
    ValueError
        If the scenes differ, there are none, or the truth differs.
    """
    if not first or first.keys() != second.keys():
        msg = f"both models must be counted on the same scenes, got {sorted(first)} and {sorted(second)}"
        raise ValueError(msg)
    if any((first[name].sum((0, 2)) != second[name].sum((0, 2))).any() for name in first):
        msg = "both models must be counted on the same pixels, but the truth differs"
        raise ValueError(msg)
    unit, one, other = _units(first, second)
    whole = [_ious(np.sum(tables, axis=0, keepdims=True)) for tables in (one, other)]
    drawn = None if unit == "none" else _draw(one, other, seed)
    intervals = [None] * (1 + one.shape[1]) if drawn is None else [_interval(values) for values in drawn.T]
    scores = [
        Pair(first=float(a), second=float(b), interval=interval)
        for a, b, interval in zip(_with_mean(whole[0])[0], _with_mean(whole[1])[0], intervals, strict=True)
    ]
    return PairedScores(
        mean_iou=scores[0],
        iou=tuple(scores[1:]),
        scenes={name: _scene_pair(first[name], second[name]) for name in first},
        unit=unit,
        units=len(one),
    )


def _units(first: Mapping[str, Tables], second: Mapping[str, Tables]) -> tuple[Unit, Floats, Floats]:
    """Give what is drawn, and the (units, classes, classes) counts of both."""
    if len(first) >= LEAST_SCENES:
        one, other = (np.stack([tables[name].sum(0) for name in first]) for tables in (first, second))
        return "scenes", one.astype(np.float64), other.astype(np.float64)
    one, other = (np.concatenate([tables[name] for name in first]) for tables in (first, second))
    held = one.sum((1, 2)) > 0
    unit: Unit = "squares" if held.sum() >= LEAST_BLOCKS else "none"
    return unit, one[held].astype(np.float64), other[held].astype(np.float64)


def _draw(one: Floats, other: Floats, seed: int) -> Floats:
    """Give (draws, 1 + classes) differences of mean IoU and of each class's IoU."""
    units, classes = one.shape[:2]
    weights = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), DRAWS)
    drawn = [(weights @ tables.reshape(units, -1)).reshape(DRAWS, classes, classes) for tables in (one, other)]
    return _with_mean(_ious(drawn[1])) - _with_mean(_ious(drawn[0]))


def _ious(tables: Floats) -> Floats:
    """Give the (tables, classes) IoU; nan of classes that the truth of a table does not hold."""
    hit, true, predicted = np.diagonal(tables, axis1=1, axis2=2), tables.sum(2), tables.sum(1)
    found = np.full(hit.shape, np.nan)
    np.divide(hit, true + predicted - hit, out=found, where=true > 0)
    return found


def _with_mean(ious: Floats) -> Floats:
    """Put the mean over the known classes before the classes."""
    known = ~np.isnan(ious)
    mean = np.where(known, ious, 0).sum(1) / np.maximum(known.sum(1), 1)
    return np.concatenate([np.where(known.any(1), mean, np.nan)[:, None], ious], axis=1)


def _scene_pair(first: Tables, second: Tables) -> Pair:
    one, other = (
        _with_mean(_ious(tables.sum(0, keepdims=True).astype(np.float64)))[0, 0] for tables in (first, second)
    )
    return Pair(first=float(one), second=float(other))


def _interval(values: Floats) -> Interval | None:
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    low, high = np.percentile(known, _PERCENTILES)
    return float(low), float(high)
