"""Where shaped boundaries cross, touch or overtake each other, band by band of the scene.

Two lines may meet in a node and nowhere else; and between a boundary and its shaped line there must lie no
point of another line, for that would have changed sides. Pieces for which this is not so are named, to be left exact.
"""

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from segflow.segmentation.vectors.polygons.arcs import Shaped, Shaping, shape
from segflow.segmentation.vectors.polygons.packed_corners import Words
from segflow.segmentation.vectors.ragged import ends_of, spread

BAND = 512  # px; height of the bands that are looked at together

Segments = NDArray[np.void]
SEGMENT = np.dtype([("start", "<f8", 2), ("end", "<f8", 2), ("piece", "<i8")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What shaped rings leave behind for the search; each piece once in the scene.

    Attributes
    ----------
    segments
        Edges as (start, end, piece).
    bands
        (n, 2) int64 array: first and last band that each segment meets.
    swept
        (m, 2) float64 array of (column, row): what lies between pieces and their shaped lines, as rings.
    offsets
        (sweeps + 1,) int64 array: sweep i has the points ``swept[offsets[i]:offsets[i + 1]]``.
    sweeping
        (sweeps,) int64 array: their pieces.
    sweep_bands
        (sweeps, 2) int64 array: first and last band that each sweep meets.
    """

    segments: Segments
    bands: NDArray[np.int64]
    swept: NDArray[np.float64]
    offsets: NDArray[np.int64]
    sweeping: NDArray[np.int64]
    sweep_bands: NDArray[np.int64]


def traces_of(words: Words, shaping: Shaping) -> Traces:
    """Shape rings and give what they leave behind."""
    shaped = shape(words, shaping)
    following = np.arange(1, len(shaped.points) + 1)
    following[shaped.rings[1:] - 1] = shaped.rings[:-1]
    mine = np.flatnonzero(shaped.forwards)
    segments = np.empty(len(mine), SEGMENT)
    segments["start"], segments["end"] = shaped.points[mine], shaped.points[following[mine]]
    segments["piece"] = shaped.piece[mine]
    rows = np.stack([segments["start"][:, 1], segments["end"][:, 1]], axis=1)
    swept, offsets, sweeping = _sweeps(shaped, shape(words, replace(shaping, tolerance=0.0, rounds=0)), following)
    heights = swept[:, 1]
    spans = [
        part.reduceat(heights, offsets[:-1]) if len(sweeping) else np.zeros(0) for part in (np.minimum, np.maximum)
    ]
    return Traces(
        segments=segments,
        bands=(np.stack([rows.min(axis=1), rows.max(axis=1)], axis=1) // BAND).astype(np.int64),
        swept=swept,
        offsets=offsets,
        sweeping=sweeping,
        sweep_bands=(np.stack(spans, axis=1) // BAND).astype(np.int64),
    )


def _sweeps(
    shaped: Shaped, exact: Shaped, following: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Give the rings between pieces and their shaped lines: along the line, and back along the piece."""
    after = np.arange(1, len(exact.points) + 1)
    after[exact.rings[1:] - 1] = exact.rings[:-1]
    line, line_sizes, number = _runs(shaped, following)
    back, back_sizes, _ = _runs(exact, after)
    ends = ends_of(back_sizes)
    turned = spread(np.zeros_like(back_sizes), back_sizes)
    back = back[np.repeat(ends[1:] - 1, back_sizes) - turned]
    sizes = line_sizes + back_sizes
    offsets = ends_of(sizes)
    points = np.empty((offsets[-1], 2))
    points[spread(offsets[:-1], line_sizes)] = line
    points[spread(offsets[:-1] + line_sizes, back_sizes)] = back
    return points, offsets, number


def _runs(
    shaped: Shaped, following: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Give the points of each piece that is followed forwards, with the first one of the next, and their numbers."""
    ring = np.repeat(np.arange(len(shaped.rings) - 1), np.diff(shaped.rings))
    begin = np.flatnonzero((np.diff(shaped.piece, prepend=-1) != 0) | (np.diff(ring, prepend=-1) != 0))
    sizes = np.diff(begin, append=len(shaped.piece))
    chosen = shaped.forwards[begin]
    begin, sizes = begin[chosen], sizes[chosen]
    place = spread(begin, sizes + 1)
    offsets = ends_of(sizes + 1)
    place[offsets[1:] - 1] = following[begin + sizes - 1]
    return shaped.points[place], sizes + 1, shaped.piece[begin]


def find_conflicts(segments: Segments) -> NDArray[np.int64]:
    """Give the pieces whose segments meet others where they must not."""
    if len(segments) < 2:  # noqa: PLR2004  # it takes two
        return np.zeros(0, np.int64)
    ends = np.stack([segments["start"], segments["end"]], axis=1)
    lines = np.asarray(shapely.linestrings(ends))
    one, other = shapely.STRtree(lines).query(lines, predicate="intersects")
    once = one < other
    one, other = one[once], other[once]
    bad = _clash(ends[one], ends[other])
    return np.unique(segments["piece"][np.concatenate([one[bad], other[bad]])])


def _clash(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which pairs of intersecting segments do more than share one end."""
    shared = (one[:, :, None] == other[:, None]).all(axis=-1)  # (n, 2, 2)
    count = shared.sum(axis=(1, 2))
    mine, its = shared.any(axis=2).argmax(axis=1), shared.any(axis=1).argmax(axis=1)
    row = np.arange(len(one))
    away = one[row, 1 - mine] - one[row, mine]
    its_away = other[row, 1 - its] - other[row, its]
    cross = away[:, 0] * its_away[:, 1] - away[:, 1] * its_away[:, 0]
    along = (away * its_away).sum(axis=1) > 0
    clash: NDArray[np.bool_] = (count != 1) | ((cross == 0) & along)
    return clash


def find_jumps(
    segments: Segments, swept: NDArray[np.float64], offsets: NDArray[np.int64], sweeping: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Give the pieces whose shaped lines have points of others on the wrong side, and those others."""
    if not len(sweeping) or not len(segments):
        return np.zeros(0, np.int64)
    index = np.repeat(np.arange(len(sweeping)), np.diff(offsets))
    areas = shapely.polygons(shapely.linearrings(swept, indices=index))
    sweep, point = shapely.STRtree(np.asarray(shapely.points(segments["start"]))).query(areas, predicate="contains")
    other = segments["piece"][point] != sweeping[sweep]
    return np.unique(np.concatenate([sweeping[sweep[other]], segments["piece"][point[other]]]))
