"""Conflicts between shaped boundaries: lines that cross or touch, and points that change sides.

Two lines may meet at a node and nowhere else. Between a boundary and its shaped line there must be no point of another
line, because that point would have changed sides. Sections that break one of these rules are in conflict.
"""

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from segflow.segmentation.vectors.polygons.arcs import Shaped, Shaping, shape
from segflow.segmentation.vectors.polygons.packed_corners import PackedCorners
from segflow.segmentation.vectors.ragged import index_ranges, next_indices, offsets_of

BAND = 512  # px; height of the bands of the scene that are searched one by one

Segments = NDArray[np.void]
SEGMENT = np.dtype([("start", "<f8", 2), ("end", "<f8", 2), ("section", "<i8")])


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapedEdges:
    """Shaped boundaries as the search for conflicts needs them; each section occurs once in the scene.

    Attributes
    ----------
    segments
        Edges of shaped lines as (start, end, section).
    bands
        (n, 2) int64 array: first and last band that each segment meets.
    swept
        (m, 2) float64 array of (column, row): rings around the areas between sections and their shaped lines.
    offsets
        (areas + 1,) int64 array: area i has the points ``swept[offsets[i]:offsets[i + 1]]``.
    sweeping
        (areas,) int64 array: numbers of their sections.
    swept_bands
        (areas, 2) int64 array: first and last band that each area meets.
    """

    segments: Segments
    bands: NDArray[np.int64]
    swept: NDArray[np.float64]
    offsets: NDArray[np.int64]
    swept_section: NDArray[np.int64]
    swept_bands: NDArray[np.int64]


def find_shaped_edges(packed: PackedCorners, shaping: Shaping) -> ShapedEdges:
    """Shape rings, and give their edges and the areas that these swept over."""
    shaped = shape(packed, shaping)
    following = next_indices(shaped.rings)
    mine = np.flatnonzero(shaped.forwards)
    segments = np.empty(len(mine), SEGMENT)
    segments["start"], segments["end"] = shaped.points[mine], shaped.points[following[mine]]
    segments["section"] = shaped.section[mine]
    rows = np.stack([segments["start"][:, 1], segments["end"][:, 1]], axis=1)
    swept, offsets, swept_section = _swept_areas(
        shaped, shape(packed, replace(shaping, tolerance=0.0, rounds=0)), following
    )
    heights = swept[:, 1]
    spans = [
        part.reduceat(heights, offsets[:-1]) if len(swept_section) else np.zeros(0) for part in (np.minimum, np.maximum)
    ]
    return ShapedEdges(
        segments=segments,
        bands=(np.stack([rows.min(axis=1), rows.max(axis=1)], axis=1) // BAND).astype(np.int64),
        swept=swept,
        offsets=offsets,
        swept_section=swept_section,
        swept_bands=(np.stack(spans, axis=1) // BAND).astype(np.int64),
    )


def _swept_areas(
    shaped: Shaped, exact: Shaped, following: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Give rings around the areas between sections and their shaped lines: along the line, back along the section."""
    line, line_sizes, number = _runs(shaped, following)
    back, back_sizes, _ = _runs(exact, next_indices(exact.rings))
    ends = offsets_of(back_sizes)
    turned = index_ranges(np.zeros_like(back_sizes), back_sizes)
    back = back[np.repeat(ends[1:] - 1, back_sizes) - turned]
    sizes = line_sizes + back_sizes
    offsets = offsets_of(sizes)
    points = np.empty((offsets[-1], 2))
    points[index_ranges(offsets[:-1], line_sizes)] = line
    points[index_ranges(offsets[:-1] + line_sizes, back_sizes)] = back
    return points, offsets, number


def _runs(
    shaped: Shaped, following: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Give the points of forward sections with their end points, the number of points of each, and their numbers."""
    ring = np.repeat(np.arange(len(shaped.rings) - 1), np.diff(shaped.rings))
    begin = np.flatnonzero((np.diff(shaped.section, prepend=-1) != 0) | (np.diff(ring, prepend=-1) != 0))
    sizes = np.diff(begin, append=len(shaped.section))
    chosen = shaped.forwards[begin]
    begin, sizes = begin[chosen], sizes[chosen]
    place = index_ranges(begin, sizes + 1)
    offsets = offsets_of(sizes + 1)
    place[offsets[1:] - 1] = following[begin + sizes - 1]
    return shaped.points[place], sizes + 1, shaped.section[begin]


def find_conflicts(segments: Segments) -> NDArray[np.int64]:
    """Give the sections whose edges touch others elsewhere than at a shared end."""
    if len(segments) < 2:  # noqa: PLR2004  # two edges are needed for a conflict
        return np.zeros(0, np.int64)
    ends = np.stack([segments["start"], segments["end"]], axis=1)
    lines = np.asarray(shapely.linestrings(ends))
    one, other = shapely.STRtree(lines).query(lines, predicate="intersects")
    once = one < other
    one, other = one[once], other[once]
    bad = _conflicting(ends[one], ends[other])
    return np.unique(segments["section"][np.concatenate([one[bad], other[bad]])])


def _conflicting(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Give which pairs of intersecting segments have more than one end in common."""
    shared = (one[:, :, None] == other[:, None]).all(axis=-1)  # (n, 2, 2)
    count = shared.sum(axis=(1, 2))
    mine, its = shared.any(axis=2).argmax(axis=1), shared.any(axis=1).argmax(axis=1)
    row = np.arange(len(one))
    away = one[row, 1 - mine] - one[row, mine]
    its_away = other[row, 1 - its] - other[row, its]
    cross = away[:, 0] * its_away[:, 1] - away[:, 1] * its_away[:, 0]
    along = (away * its_away).sum(axis=1) > 0
    conflicting: NDArray[np.bool_] = (count != 1) | ((cross == 0) & along)
    return conflicting


def find_jumps(
    segments: Segments, swept: NDArray[np.float64], offsets: NDArray[np.int64], swept_section: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Give the sections whose shaped lines passed over points of others, and those others."""
    if not len(swept_section) or not len(segments):
        return np.zeros(0, np.int64)
    index = np.repeat(np.arange(len(swept_section)), np.diff(offsets))
    areas = shapely.polygons(shapely.linearrings(swept, indices=index))
    sweep, point = shapely.STRtree(np.asarray(shapely.points(segments["start"]))).query(areas, predicate="contains")
    other = segments["section"][point] != swept_section[sweep]
    return np.unique(np.concatenate([swept_section[sweep[other]], segments["section"][point[other]]]))
