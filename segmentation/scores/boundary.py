"""Scores that tolerate small shifts: of boundaries for areas, of the classes themselves for lines.

Both count how many predicted pixels of a class lie within a tolerance of a true one (precision), and
how many true ones within it of a predicted one (recall). They differ in the pixels that are counted:
boundary F1 takes the pixels of a class that touch another class; relaxed scores take all of them,
which is what suits classes that are lines, a few pixels wide.

All four numbers of a class are counts, so parts of a scene, and scenes, add up. A part must be seen
with a halo of `halo_of` pixels for that; the tests hold that then no cut changes any count.

References
----------
Csurka, Larlus, Perronnin 2013, "What is a good evaluation measure for semantic segmentation?", section 3.3
(there a mean over images; here counts of all pixels, which do not depend on how a scene is cut).
Mnih 2013, "Machine Learning for Aerial Image Labeling", section 3.4 (relaxed precision and recall, 3 px).
"""

import math
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from segflow.tiling import NODATA, Window

Labels = npt.NDArray[np.uint8]  # (height, width), 255 is outside the data
Mask = npt.NDArray[np.bool_]
MatchCounts = npt.NDArray[np.int64]  # (classes, 4): predicted, predicted near true, true, true near predicted
Kind = Literal["boundary", "area"]

TOLERANCE = 2.0  # px; a boundary digitised by hand is hardly better
BUFFER = 3.0  # px; of Mnih 2013 and of those who compare with it


def halo_of(radius: float) -> int:
    """Give how far around a part its pixels must be known [px]: the tolerance, and one pixel to see boundaries."""
    return math.floor(radius) + 1


def outline(labels: Labels) -> Mask:
    """Tell which pixels touch a pixel of another class with a side; what is outside the data is no class."""
    touching = np.zeros(labels.shape, np.bool_)
    for first, second in (((slice(1, None),), (slice(-1),)), ((slice(None), slice(1, None)), (slice(None), slice(-1)))):
        one, two = labels[first], labels[second]
        change = (one != two) & (one != NODATA) & (two != NODATA)
        touching[first] |= change
        touching[second] |= change
    return touching


def near(mask: Mask, radius: float) -> Mask:
    """Tell which pixels lie within `radius` of a pixel of a mask, centre to centre [px]."""
    reach = math.floor(radius)
    height, width = mask.shape
    found = np.zeros(mask.shape, np.bool_)
    for down in range(-reach, reach + 1):
        half = math.isqrt(math.floor(radius**2 - down**2))
        for across in range(-half, half + 1):
            target = found[max(0, down) : height + min(0, down), max(0, across) : width + min(0, across)]
            target |= mask[max(0, -down) : height - max(0, down), max(0, -across) : width - max(0, across)]
    return found


def count_matches(
    truth: Labels, prediction: Labels, classes: int, radius: float, kind: Kind, core: Window | None = None
) -> MatchCounts:
    """Count pixels with a partner in the other map.

    Parameters
    ----------
    truth, prediction
        (height, width) class values; pixels where either is 255 are outside both maps.
    classes
        Number of classes.
    radius
        Tolerance [px], Euclidean.
    kind
        ``boundary``: of pixels that touch another class; ``area``: of all pixels of a class.
    core
        The pixels that count, the others being halo; None: all.

    Returns
    -------
    (classes, 4) int64 array
        Predicted pixels, those of them near a true one, true pixels, those of them near a predicted one.
    """
    known = (truth != NODATA) & (prediction != NODATA)
    true, predicted = np.where(known, truth, NODATA), np.where(known, prediction, NODATA)
    edges = (outline(true), outline(predicted)) if kind == "boundary" else (known, known)
    inner = core.slices if core else (slice(None), slice(None))
    counts = np.zeros((classes, 4), np.int64)
    for value in range(classes):
        wanted, given = (true == value) & edges[0], (predicted == value) & edges[1]
        for place, asked, others in ((0, given, wanted), (2, wanted, given)):
            counts[value, place] = np.count_nonzero(asked[inner])
            if asked[inner].any() and others.any():
                counts[value, place + 1] = np.count_nonzero((asked & near(others, radius))[inner])
    return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchScores:
    """What counts of matches say, per class; nan where neither map holds the class, 0 where one does.

    Attributes
    ----------
    precision, recall, f1
        Per class, in the order of their values; precision is nan without a predicted pixel,
        recall without a true one.
    mean_f1
        Over the classes that have one.
    """

    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]
    mean_f1: float

    @classmethod
    def of(cls, counts: MatchCounts) -> Self:
        """Score a (classes, 4) table of counts."""
        rows = [_score(*row) for row in counts.tolist()]
        known = [f1 for _, _, f1 in rows if not math.isnan(f1)]
        return cls(
            precision=tuple(row[0] for row in rows),
            recall=tuple(row[1] for row in rows),
            f1=tuple(row[2] for row in rows),
            mean_f1=sum(known) / len(known) if known else math.nan,
        )


def _score(given: int, given_near: int, wanted: int, wanted_near: int) -> tuple[float, float, float]:
    """Give precision, recall and F1 of one class."""
    precision = given_near / given if given else math.nan
    recall = wanted_near / wanted if wanted else math.nan
    if not given or not wanted:
        return precision, recall, math.nan if given == wanted else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0
