"""Boundaries are simplified and smoothed arc by arc, so that neighbours keep their shared edges.

The plan
--------
A corner where three or more boundaries meet is a node, and nodes never move. Between two nodes runs an arc, which two
objects share: one follows it forwards, one backwards. Both simplify it in its canonical direction, so both get the same
line independently of each other, and no object has to wait for its neighbours. A boundary without nodes is an arc from
its first corner back to it. Long arcs are divided into sections of SECTION edges.
Corners are then rounded by Chaikin's algorithm, whose result is the same forwards and backwards.

Arcs are simplified without regard to each other, so their lines may cross. `conflict_rounds` finds where they do; the
sections concerned stay exact.

References
----------
Douglas and Peucker, Algorithms for the reduction of the number of points (1973).
Chaikin, An algorithm for high-speed curve generation (1974).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import shapely
from numpy.typing import NDArray

from segflow.segmentation.vectors.polygons.packed_corners import NODE, START, PackedCorners, unpack
from segflow.segmentation.vectors.polygons.rules import PolygonRules
from segflow.segmentation.vectors.polygons.sections import ArcSections, cut_sections
from segflow.segmentation.vectors.ragged import index_ranges, offsets_of
from segflow.tiling import Window

LOOP = 4  # points of the smallest ring, with the first one repeated

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaping:
    """How boundaries are simplified and smoothed.

    Attributes
    ----------
    scene
        The window of all pixels; its corners do not move.
    tolerance
        How far a simplified line may lie from the boundary [px].
    rounds
        How often corners are cut.
    exact
        (n,) int64 array, sorted: numbers of the sections that stay exact.
    """

    scene: Window
    tolerance: float
    rounds: int
    exact: NDArray[np.int64]

    @classmethod
    def of(cls, scene: Window, rules: PolygonRules) -> Self:
        """Give the shaping that rules ask for."""
        return cls(scene=scene, tolerance=rules.simplify_px, rounds=rules.smooth, exact=np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """Rings after simplification and smoothing.

    Attributes
    ----------
    points
        (n, 2) float64 array of (column, row).
    rings
        (rings + 1,) int64 array: ring i has the points ``rings[i]:rings[i + 1]``.
    section
        (n,) int64 array: number of the section that each point belongs to.
    forwards
        (n,) bool array: True where the ring follows the section in its canonical direction, or no other ring shares it.
    """

    points: Points
    rings: NDArray[np.int64]
    section: NDArray[np.int64]
    forwards: NDArray[np.bool_]


def shape(packed: PackedCorners, shaping: Shaping) -> Shaped:
    """Simplify and smooth the rings of objects, in the order and direction in which they are given."""
    rings = np.append(np.flatnonzero(packed & START), len(packed)).astype(np.int64)
    corners = unpack(packed)
    node = (packed & NODE).astype(bool) | _scene_corners(corners, shaping.scene)
    sections = cut_sections(packed, corners, node, rings, shaping.scene)
    exact = np.isin(sections.number, shaping.exact)
    points, counts = _simplified(sections, corners.astype(np.float64), exact, shaping.tolerance)
    ends = offsets_of(counts)
    # A section's last point is the first of the next one.
    kept = np.ones(len(points), bool)
    kept[ends[1:] - 1] = False
    fixed = np.repeat(exact, counts)
    fixed[ends[:-1]] |= node[sections.place[sections.offsets[:-1]]]
    fixed[ends[:-1][np.roll(exact, 1) & (np.roll(sections.ring, 1) == sections.ring)]] = True
    first = np.flatnonzero(np.diff(sections.ring, prepend=-1))
    last = np.append(first[1:], len(sections.ring)) - 1
    fixed[ends[:-1][first]] |= exact[last]
    lengths = np.bincount(sections.ring, counts - 1, len(rings) - 1).astype(np.int64)
    shaped = Shaped(
        points=points[kept],
        rings=offsets_of(lengths),
        section=np.repeat(sections.number, counts)[kept],
        forwards=np.repeat(~sections.backwards | sections.outline, counts)[kept],
    )
    fixed = fixed[kept]
    for _ in range(shaping.rounds):
        shaped, fixed = cut_corners(shaped, fixed)
    return shaped


def cut_corners(shaped: Shaped, fixed: NDArray[np.bool_]) -> tuple[Shaped, NDArray[np.bool_]]:
    """Replace each point that is not fixed by two points, a quarter of the way along the edges before and after it."""
    index = np.arange(len(shaped.points))
    before, after = index - 1, index + 1
    starts, stops = shaped.rings[:-1], shaped.rings[1:] - 1
    before[starts], after[stops] = stops, starts
    near = [0.75 * shaped.points + 0.25 * shaped.points[side] for side in (before, after)]
    counts = np.where(fixed, 1, 2)
    places = offsets_of(counts)
    out = np.empty((places[-1], 2))
    out[places[:-1]] = np.where(fixed[:, None], shaped.points, near[0])
    out[places[:-1][~fixed] + 1] = near[1][~fixed]
    return (
        Shaped(
            points=out,
            rings=places[shaped.rings],
            section=np.repeat(shaped.section, counts),
            forwards=np.repeat(shaped.forwards, counts),
        ),
        np.repeat(fixed, counts),
    )


def _simplified(
    sections: ArcSections, corners: Points, exact: NDArray[np.bool_], tolerance: float
) -> tuple[Points, NDArray[np.int64]]:
    """Give the simplified points of all sections in ring direction, including both ends, and the number of each."""
    sizes = np.diff(sections.offsets)
    own = corners[sections.place]
    if tolerance <= 0:
        return own, sizes
    flipped = _flip(own, sections.offsets, sections.backwards)
    lines = np.asarray(shapely.linestrings(flipped, indices=np.repeat(np.arange(len(sizes)), sizes)))
    lines[~exact] = shapely.simplify(lines[~exact], tolerance, preserve_topology=False)
    counts = np.asarray(shapely.get_num_coordinates(lines), np.int64)
    closed = (own[sections.offsets[:-1]] == own[sections.offsets[1:] - 1]).all(axis=1)
    collapsed = np.flatnonzero(closed & (counts < LOOP))
    if len(collapsed):
        place = index_ranges(sections.offsets[collapsed], sizes[collapsed])
        index = np.repeat(np.arange(len(collapsed)), sizes[collapsed])
        lines[collapsed] = shapely.linestrings(flipped[place], indices=index)
        counts[collapsed] = sizes[collapsed]
    return _flip(shapely.get_coordinates(lines), offsets_of(counts), sections.backwards), counts


def _flip(points: Points, offsets: NDArray[np.int64], which: NDArray[np.bool_]) -> Points:
    """Reverse some of the lines."""
    sizes = np.diff(offsets)
    place = index_ranges(np.zeros_like(sizes), sizes)
    turned = np.repeat(which, sizes)
    return points[np.where(turned, np.repeat(offsets[1:] - 1, sizes) - place, np.repeat(offsets[:-1], sizes) + place)]


def _scene_corners(corners: NDArray[np.int32], scene: Window) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = ((corners == 0) | (corners == [len(scene.cols), len(scene.rows)])).all(axis=1)
    return found
