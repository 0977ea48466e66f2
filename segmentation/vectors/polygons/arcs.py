"""Boundaries simplified and smoothed arc by arc, so that neighbours keep their shared edges.

The plan
--------
Where three or more boundaries meet there is a node, and nodes never move. Between two nodes runs an arc, which
two objects share: one follows it forwards, one backwards. Both simplify it in its canonical direction,
so both get the same line, without knowing of each other; no object needs to wait for its neighbours.
A boundary without nodes is an arc from its first corner back to it. Long arcs are cut every PIECE edges.
Corners are then rounded by Chaikin's cutting, which is the same forwards and backwards.

That lines simplified apart do not cross is looked at afterwards (`crossings`); pieces that do stay as they were.

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

from segflow.segmentation.vectors.polygons.packed_corners import NODE, START, Words, plain, unpack
from segflow.segmentation.vectors.polygons.rules import PolygonRules
from segflow.segmentation.vectors.ragged import ends_of, spread
from segflow.tiling import Window

PIECE = 256  # edges; a piece that would cross another stays as it was, so pieces are short
LOOP = 4  # points of the smallest ring, the first one repeated

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaping:
    """How boundaries change.

    Attributes
    ----------
    scene
        The window of all pixels; its corners stay.
    tolerance
        How far a simplified line may lie from the boundary [px].
    rounds
        Of corner cutting.
    exact
        (n,) int64 array, sorted: the pieces that stay as they are.
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
    piece
        (n,) int64 array: the piece that each point belongs to.
    forwards
        (n,) bool array: True where the ring follows the piece in its canonical direction, or nobody else has it.
    """

    points: Points
    rings: NDArray[np.int64]
    piece: NDArray[np.int64]
    forwards: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """Pieces of arcs, in the order of the rings; (n,) arrays.

    Attributes
    ----------
    place, offsets
        Piece i runs through the corners ``place[offsets[i]:offsets[i + 1]]``, both its ends too, as the ring does.
    ring
        The ring it belongs to.
    number
        The same for both sides of a piece, and for no other piece: its first canonical corner and direction.
    backwards
        True where the ring follows it against its canonical direction.
    outline
        True on the outline of the scene.
    """

    place: NDArray[np.int64]
    offsets: NDArray[np.int64]
    ring: NDArray[np.int64]
    number: NDArray[np.int64]
    backwards: NDArray[np.bool_]
    outline: NDArray[np.bool_]


def shape(words: Words, shaping: Shaping) -> Shaped:
    """Simplify and smooth the rings of objects, in the order and direction in which they are given."""
    rings = np.append(np.flatnonzero(words & START), len(words)).astype(np.int64)
    corners = unpack(words)
    node = (words & NODE).astype(bool) | _scene_corners(corners, shaping.scene)
    pieces = cut_pieces(words, corners, node, rings, shaping.scene)
    exact = np.isin(pieces.number, shaping.exact)
    points, counts = _simplified(pieces, corners.astype(np.float64), exact, shaping.tolerance)
    ends = ends_of(counts)
    # A piece's last point is the first of the next one.
    kept = np.ones(len(points), bool)
    kept[ends[1:] - 1] = False
    fixed = np.repeat(exact, counts)
    fixed[ends[:-1]] |= node[pieces.place[pieces.offsets[:-1]]]
    fixed[ends[:-1][np.roll(exact, 1) & (np.roll(pieces.ring, 1) == pieces.ring)]] = True
    first = np.flatnonzero(np.diff(pieces.ring, prepend=-1))
    last = np.append(first[1:], len(pieces.ring)) - 1
    fixed[ends[:-1][first]] |= exact[last]
    lengths = np.bincount(pieces.ring, counts - 1, len(rings) - 1).astype(np.int64)
    shaped = Shaped(
        points=points[kept],
        rings=ends_of(lengths),
        piece=np.repeat(pieces.number, counts)[kept],
        forwards=np.repeat(~pieces.backwards | pieces.outline, counts)[kept],
    )
    fixed = fixed[kept]
    for _ in range(shaping.rounds):
        shaped, fixed = cut_corners(shaped, fixed)
    return shaped


def cut_corners(shaped: Shaped, fixed: NDArray[np.bool_]) -> tuple[Shaped, NDArray[np.bool_]]:
    """Replace each point that is not fixed by two, a quarter along the edges before and after it."""
    index = np.arange(len(shaped.points))
    before, after = index - 1, index + 1
    starts, stops = shaped.rings[:-1], shaped.rings[1:] - 1
    before[starts], after[stops] = stops, starts
    near = [0.75 * shaped.points + 0.25 * shaped.points[side] for side in (before, after)]
    counts = np.where(fixed, 1, 2)
    places = ends_of(counts)
    out = np.empty((places[-1], 2))
    out[places[:-1]] = np.where(fixed[:, None], shaped.points, near[0])
    out[places[:-1][~fixed] + 1] = near[1][~fixed]
    return (
        Shaped(
            points=out,
            rings=places[shaped.rings],
            piece=np.repeat(shaped.piece, counts),
            forwards=np.repeat(shaped.forwards, counts),
        ),
        np.repeat(fixed, counts),
    )


def cut_pieces(
    words: Words, corners: NDArray[np.int32], node: NDArray[np.bool_], rings: NDArray[np.int64], scene: Window
) -> Pieces:
    """Cut rings at their nodes, and the arcs between these every PIECE edges from their canonical starts."""
    lengths = np.diff(rings)
    of_ring = np.repeat(np.arange(len(lengths)), lengths)
    # Rings start at their first nodes from here on; those without at their first corners.
    number = np.where(node, np.arange(len(node)) - rings[of_ring], lengths[of_ring])
    shift = np.minimum.reduceat(number, rings[:-1]) % lengths
    place = rings[of_ring] + (np.arange(len(node)) - rings[of_ring] + shift[of_ring]) % lengths[of_ring]
    begins = node[place]
    begins[rings[:-1]] = True
    following = np.arange(1, len(place) + 1)
    following[rings[1:] - 1] = rings[:-1]
    step = np.sign(corners[place[following]] - corners[place])
    direction = np.where(step[:, 0] != 0, 1 - step[:, 0], 2 - step[:, 1])  # right, down, left, up
    begin = np.flatnonzero(begins)
    end = np.append(begin[1:], len(place))  # of the edges of each arc
    forth = plain(words[place[begin]]) | direction[begin]
    back = plain(words[place[following[end - 1]]]) | ((direction[end - 1] + 2) % 4)
    reverse = back < forth
    count = -(-(end - begin) // PIECE)
    arc = np.repeat(np.arange(len(begin)), count)
    turn = spread(np.zeros_like(count), count)
    lower = np.where(
        reverse[arc], np.maximum(end[arc] - (count[arc] - turn) * PIECE, begin[arc]), begin[arc] + turn * PIECE
    )
    upper = np.append(lower[1:], len(place))
    sizes = upper - lower + 1
    through = spread(lower, sizes)
    offsets = ends_of(sizes)
    through[offsets[1:] - 1] = following[upper - 1]
    numbers = np.where(
        reverse[arc],
        plain(words[place[following[upper - 1]]]) | ((direction[upper - 1] + 2) % 4),
        plain(words[place[lower]]) | direction[lower],
    )
    ends = np.stack([corners[place[lower]], corners[place[following[lower]]]])
    outline = ((ends == 0) | (ends == [len(scene.cols), len(scene.rows)])).all(axis=0).any(axis=1)
    return Pieces(
        place=place[through],
        offsets=offsets,
        ring=of_ring[lower],
        number=numbers,
        backwards=reverse[arc],
        outline=outline,
    )


def _simplified(
    pieces: Pieces, corners: Points, exact: NDArray[np.bool_], tolerance: float
) -> tuple[Points, NDArray[np.int64]]:
    """Give the points of all pieces, both ends with each, in the direction of the rings, and their numbers."""
    sizes = np.diff(pieces.offsets)
    own = corners[pieces.place]
    if tolerance <= 0:
        return own, sizes
    flipped = _flip(own, pieces.offsets, pieces.backwards)
    lines = np.asarray(shapely.linestrings(flipped, indices=np.repeat(np.arange(len(sizes)), sizes)))
    lines[~exact] = shapely.simplify(lines[~exact], tolerance, preserve_topology=False)
    counts = np.asarray(shapely.get_num_coordinates(lines), np.int64)
    closed = (own[pieces.offsets[:-1]] == own[pieces.offsets[1:] - 1]).all(axis=1)
    collapsed = np.flatnonzero(closed & (counts < LOOP))
    if len(collapsed):
        place = spread(pieces.offsets[collapsed], sizes[collapsed])
        index = np.repeat(np.arange(len(collapsed)), sizes[collapsed])
        lines[collapsed] = shapely.linestrings(flipped[place], indices=index)
        counts[collapsed] = sizes[collapsed]
    return _flip(shapely.get_coordinates(lines), ends_of(counts), pieces.backwards), counts


def _flip(points: Points, offsets: NDArray[np.int64], which: NDArray[np.bool_]) -> Points:
    """Turn some of the lines round."""
    sizes = np.diff(offsets)
    place = spread(np.zeros_like(sizes), sizes)
    turned = np.repeat(which, sizes)
    return points[np.where(turned, np.repeat(offsets[1:] - 1, sizes) - place, np.repeat(offsets[:-1], sizes) + place)]


def _scene_corners(corners: NDArray[np.int32], scene: Window) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = ((corners == 0) | (corners == [len(scene.cols), len(scene.rows)])).all(axis=1)
    return found
