"""Areas of classes with their uncertainty, from a stratified random sample of reference points.

Counting the pixels of a map gives biased areas, because errors of omission and commission need not
cancel. A sample of points whose true class is known, drawn at random within each map class (stratum),
gives unbiased areas and their confidence intervals.

References
----------
Olofsson, Foody, Herold, Stehman, Woodcock, Wulder 2014, "Good practices for estimating area and assessing
accuracy of land change", Remote Sensing of Environment 148: eq. 1–4 (accuracies), 5–7 (their variances),
9–11 (areas and their standard errors), 13 (sample size); section 5.1.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

Z95 = 1.96  # half-widths of 95 % intervals in standard errors, as the paper has it
LEAST = 50  # points in a stratum, where it has as many pixels; the paper asks for 50 to 100 in rare classes


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number and the half-width of its 95 % confidence interval; nan where it cannot be said."""

    value: float
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaEstimates:
    """What a stratified sample says about a map.

    Attributes
    ----------
    overall
        Overall accuracy.
    users, producers
        User's accuracy (precision) and producer's accuracy (recall) of each class.
    areas
        Error-adjusted area of each class [unit of the map's areas].
    points
        (strata,) number of points in each map class.
    """

    overall: Estimate
    users: tuple[Estimate, ...]
    producers: tuple[Estimate, ...]
    areas: tuple[Estimate, ...]
    points: tuple[int, ...]

    @classmethod
    def of(cls, counts: npt.NDArray[np.int64], areas: Floats) -> Self:
        """Estimate from counts of points.

        Parameters
        ----------
        counts
            (classes, classes) table of points, indexed [map, reference] as in the paper.
        areas
            (classes,) area of each class in the map; one without area needs no points.

        Raises
        ------
        ValueError
            If a class with area has no point, so that nothing is known of it.
        """
        counts, areas = counts.astype(np.float64), areas.astype(np.float64)
        sizes = counts.sum(1)
        if (sizes[areas > 0] == 0).any() or not areas.sum() > 0:
            msg = f"every map class with area needs points, got {sizes.astype(int).tolist()} for areas {areas.tolist()}"
            raise ValueError(msg)
        weights = areas / areas.sum()
        shares = counts / np.maximum(sizes, 1)[:, None]
        variances = _variances(shares, sizes, weights)
        cells = weights[:, None] * shares  # eq. 4
        users = np.diag(shares)
        return cls(
            overall=_estimate(np.trace(cells), (weights**2 * np.diag(variances)).sum()),
            users=tuple(
                _estimate(users[i] if sizes[i] else np.nan, variances[i, i] if sizes[i] else np.nan)
                for i in range(len(sizes))
            ),
            producers=tuple(_producer(j, cells, variances, weights) for j in range(len(sizes))),
            areas=tuple(
                _estimate(cells[:, j].sum() * areas.sum(), (weights**2 * variances[:, j]).sum() * areas.sum() ** 2)
                for j in range(len(sizes))
            ),
            points=tuple(int(size) for size in sizes),
        )


def allocate_sample(pixels: npt.NDArray[np.int64], points: int) -> npt.NDArray[np.int64]:
    """Give the points of each stratum: at least 50 in each, the others in proportion to its pixels.

    Parameters
    ----------
    pixels
        (strata,) number of pixels of each map class; one without pixels gets no point, one of
        fewer pixels than points gets as many as it has.
    points
        Number of points in all; fewer than 50 per stratum are shared out evenly.
    """
    holding = np.flatnonzero(pixels)
    wanted = np.zeros(len(pixels), np.int64)
    if not len(holding):
        return wanted
    floor = min(LEAST, points // len(holding))
    wanted[holding] = floor
    rest = points - floor * len(holding)
    exact = rest * pixels / pixels.sum()
    wanted += exact.astype(np.int64)
    last = np.argsort(-(exact % 1), kind="stable")[: points - int(wanted.sum())]
    wanted[last] += 1
    return np.minimum(wanted, pixels)


def _variances(shares: Floats, sizes: Floats, weights: Floats) -> Floats:
    """Give the variance of each share of a stratum; nan where one point says nothing of it, 0 without area."""
    below = np.where(sizes > 1, sizes - 1, np.nan)[:, None]
    return np.where(weights[:, None] > 0, shares * (1 - shares) / below, 0.0)


def _producer(j: int, cells: Floats, variances: Floats, weights: Floats) -> Estimate:
    """Give the producer's accuracy of a class: eq. 3 and 7."""
    total = cells[:, j].sum()
    if total == 0:
        return Estimate(value=float("nan"), margin=float("nan"))
    accuracy = cells[j, j] / total
    parts = weights**2 * variances[:, j]
    own, others = parts[j], parts.sum() - parts[j]
    return _estimate(accuracy, ((1 - accuracy) ** 2 * own + accuracy**2 * others) / total**2)


def _estimate(value: float, variance: float) -> Estimate:
    return Estimate(value=float(value), margin=float(Z95 * np.sqrt(variance)))
