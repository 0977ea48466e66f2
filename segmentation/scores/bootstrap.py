"""Confidence intervals of scores against a reference that covers the map, by a bootstrap of blocks.

Errors of neighbouring pixels are correlated, so a formula for independent samples would give intervals
that are far too narrow. Instead the scene is cut into squares larger than most errors. A thousand times,
squares are drawn with replacement and scored; the interval holds the middle 95 % of these scores.
It says how much the scores depend on which parts of such a scene were seen, not what they are elsewhere.

References
----------
Efron, Tibshirani 1993, "An Introduction to the Bootstrap", sections 13.3 (percentile interval) and 8.6 (blocks).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Tables = npt.NDArray[np.int64]  # (blocks, classes, classes), each indexed [truth, prediction]
Interval = tuple[float, float]

DRAWS = 1000
LEAST_BLOCKS = 20  # of fewer, percentiles say little
SMALLEST = 64  # px; side of a block, more than errors of a few pixels reach
MOST = 1024  # blocks; more would only cost memory
_PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreIntervals:
    """95 % intervals of scores.

    Attributes
    ----------
    side, blocks
        Side of the blocks [px], and how many hold data.
    pixel_accuracy, mean_iou
        (low, high).
    iou, f1, bias
        Per class (low, high); bias is mapped over true pixels, less one. nan where a class never occurs.
    """

    side: int
    blocks: int
    pixel_accuracy: Interval
    mean_iou: Interval
    iou: tuple[Interval, ...]
    f1: tuple[Interval, ...]
    bias: tuple[Interval, ...]


def block_side(shape: tuple[int, int]) -> int:
    """Give the side of the blocks for a scene [px]: 64, doubled until there are at most 1024."""
    side = SMALLEST
    while (-(-shape[0] // side)) * (-(-shape[1] // side)) > MOST:
        side *= 2
    return side


def bootstrap_scores(tables: Tables, side: int, seed: int = 0) -> ScoreIntervals | None:
    """Give intervals from the tables of all blocks; None of fewer than 20 blocks with data."""
    held = tables[tables.sum((1, 2)) > 0].astype(np.float64)
    blocks, classes = len(held), tables.shape[1]
    if blocks < LEAST_BLOCKS:
        return None
    random = np.random.default_rng(seed)
    weights = random.multinomial(blocks, np.full(blocks, 1 / blocks), DRAWS)
    drawn = (weights @ held.reshape(blocks, -1)).reshape(DRAWS, classes, classes)
    hit = np.diagonal(drawn, axis1=1, axis2=2)
    true, mapped = drawn.sum(2), drawn.sum(1)
    iou = _ratio(hit, true + mapped - hit)
    known = ~np.isnan(iou)
    return ScoreIntervals(
        side=side,
        blocks=blocks,
        pixel_accuracy=_interval(hit.sum(1) / drawn.sum((1, 2))),
        mean_iou=_interval(np.where(known, iou, 0).sum(1) / np.maximum(known.sum(1), 1)),
        iou=tuple(map(_interval, iou.T)),
        f1=tuple(map(_interval, _ratio(2 * hit, true + mapped).T)),
        bias=tuple(map(_interval, (_ratio(mapped, true) - 1).T)),
    )


def _ratio(above: npt.NDArray[np.float64], below: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shares = np.full(above.shape, np.nan)
    np.divide(above, below, out=shares, where=below > 0)
    return shares


def _interval(values: npt.NDArray[np.float64]) -> Interval:
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.percentile(known, _PERCENTILES)
    return float(low), float(high)
