"""Accuracy by distance from the boundary between classes, and from the edges of tiles, which must not matter."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from segflow.segmentation.scores.boundary import Labels, outline
from segflow.tiling import NODATA, Span, Window

UPPER = (1, 2, 5, 10, 20)  # px; inclusive upper ends of the bins, the last bin being open
NAMES = ("1", "2", "3–5", "6–10", "11–20", "> 20")
FARTHEST = UPPER[-1]  # px; what is farther is in the open bin, whatever lies beyond
FAR = 1e9  # px; where there is no boundary at all

DistanceCounts = npt.NDArray[np.int64]  # (bins, 2): wrong and right pixels by distance
Distances = npt.NDArray[np.float64]  # (height, width) [px]


@dataclass(frozen=True, slots=True, kw_only=True)
class DistanceBin:
    """Pixels in a range of distances.

    Attributes
    ----------
    name
        The range [px].
    pixels
        Number of pixels.
    accuracy
        Share of right ones, 0 to 1; nan in an empty bin.
    """

    name: str
    pixels: int
    accuracy: float


def boundary_distance(labels: Labels) -> Distances:
    """Give how far pixels lie from the boundary between classes: 1 where they touch it, and so on [px].

    Right up to `FARTHEST`, as long as that many pixels around are known.
    """
    touching = outline(labels)
    if not touching.any():
        return np.full(labels.shape, FAR)
    distances: Distances = distance_transform_edt(~touching) + 1.0
    return distances


def tile_distance(window: Window, shape: tuple[int, int], core: int) -> Distances | None:
    """Give how far pixels lie from the nearest edge between two tiles: 1 where they touch it, and so on [px].

    Parameters
    ----------
    window
        The pixels.
    shape
        (height, width) of the scene; its own edges are none between tiles.
    core
        Side of the tiles' cores [px].

    Returns
    -------
    (height, width) array; None for a scene of one tile.
    """
    if max(shape) <= core:
        return None
    rows, cols = (_to_edges(span, length, core) for span, length in zip((window.rows, window.cols), shape, strict=True))
    return np.minimum(rows[:, None], cols[None])


def count_by_distance(truth: Labels, prediction: Labels, distances: Distances) -> DistanceCounts:
    """Count wrong and right pixels by distance; pixels where either map is 255 do not count."""
    known = (truth != NODATA) & (prediction != NODATA)
    bins = np.searchsorted(UPPER, distances[known])
    right = (truth == prediction)[known]
    return np.bincount(bins * 2 + right, minlength=2 * len(NAMES)).reshape(len(NAMES), 2)


def distance_bins(counts: DistanceCounts) -> tuple[DistanceBin, ...]:
    """Score a table of counts."""
    return tuple(
        DistanceBin(
            name=name, pixels=wrong + right, accuracy=right / (wrong + right) if wrong + right else float("nan")
        )
        for name, (wrong, right) in zip(NAMES, counts.tolist(), strict=True)
    )


def _to_edges(span: Span, length: int, core: int) -> npt.NDArray[np.float64]:
    """Give the distance of each row, or column, to the nearest edge inside the scene."""
    edges = np.arange(core, length, core)
    if not len(edges):
        return np.full(len(span), FAR)
    places = np.arange(span.start, span.stop)
    following = np.minimum(np.searchsorted(edges, places, side="right"), len(edges) - 1)
    before, after = edges[np.maximum(following - 1, 0)], edges[following]
    gaps = [np.where(places >= edge, places - edge + 1, edge - places) for edge in (before, after)]
    return np.minimum(*gaps).astype(np.float64)
