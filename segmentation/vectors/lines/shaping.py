"""The course of lines: junctions where their branches point, ends at the scene's edge, smooth in between.

Near a junction a skeleton bends towards the corners between the branches. So the pixels in
the disc around a junction are not followed: the junction moves to where the straight
continuations of its branches meet best, and they run to it straight. An end that the scene's edge
or nodata cuts off is carried on to there.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from segflow.segmentation.vectors.lines.bridging import BACK, heading
from segflow.segmentation.vectors.lines.network import PASSING, Floats, Network

FLATTEST = 0.15  # smallest eigenvalue of the normal equations: parallel branches do not say where they meet
FEWEST = 3  # points that make a direction
AT_EDGE = 0.5  # px; a disc that comes this close to the scene's edge touches it
LOCAL = 30  # points; at its very end a line is not as wide as it is
CUT_BACK = 1.5  # half widths; on its last bit a skeleton turns to a corner of what the edge cuts off
TRUNCATE = 4  # standard deviations of the Gaussian

Branch = tuple[Floats, Floats]  # a point of it and its direction


def shape_lines(
    network: Network, shape: tuple[int, int], at_nodata: NDArray[np.bool_], sigma: float
) -> list[Floats]:
    """Give the courses of all edges.

    Parameters
    ----------
    network
        Its edges run from junction to junction or free end.
    shape
        (height, width) of the scene [px].
    at_nodata
        (nodes,) bool array: True where a line that ends there ends at nodata.
    sigma
        Standard deviation of a Gaussian along the lines [px]; it moves neither junctions nor ends.

    Returns
    -------
    (n, 2) float64 arrays of (column, row), from the scene's upper left corner [px]. Edges that meet in a
    node share its point in every bit.
    """
    points, offsets = network.points()
    junction = network.degree > PASSING
    free = network.degree == 1
    place, radius = network.nodes.point.copy(), network.nodes.radius
    courses = []
    branches: dict[int, list[Branch]] = {}
    for edge, (start, end) in enumerate(network.ends.tolist()):
        course = network.nodes.point[points[offsets[edge] + 1 : offsets[edge + 1] - 1]]
        for node, step in ((start, 1), (end, -1)):
            if junction[node]:
                course = _outside(course[::step], place[node], radius[node])[::step]
        courses.append(course)
        for node, step in ((start, 1), (end, -1)):
            branch = _branch(course[::step], radius[node]) if junction[node] else None
            if branch:
                branches.setdefault(node, []).append(branch)
    for node, found in branches.items():
        place[node] = _meeting(place[node], radius[node], found)
    for edge, (start, end) in enumerate(network.ends.tolist()):
        for node, step in ((start, 1), (end, -1)):
            if free[node]:
                whole = np.vstack([place[[node]], courses[edge][::step]])
                along = points[offsets[edge] : offsets[edge + 1]][::step]
                width = float(np.median(radius[along[:LOCAL]]))
                carried = _carry_on(whole, width, shape, at_nodata=bool(at_nodata[node]))
                place[node], courses[edge] = carried[0], carried[1:][::step]
    return [
        smooth(np.vstack([place[start], course, place[end]]), sigma, closed=start == end and not junction[start])
        for course, (start, end) in zip(courses, network.ends.tolist(), strict=True)
    ]


def smooth(course: Floats, sigma: float, *, closed: bool) -> Floats:
    """Smooth a line along its way, at points about 1 px apart; its ends stay, and a ring stays closed."""
    course = _evenly(course)
    n = len(course) - 1
    if sigma <= 0 or n < 2:  # noqa: PLR2004: a single segment is straight
        return course
    if closed:
        ring = gaussian_filter1d(course[:-1], sigma, axis=0, mode="wrap", truncate=TRUNCATE)
        return np.vstack([ring, ring[:1]])
    more = min(round(TRUNCATE * sigma), n)
    before, after = 2 * course[0] - course[more:0:-1], 2 * course[-1] - course[-2 : -more - 2 : -1]
    wide = np.vstack([before, course, after])
    smoothed: Floats = gaussian_filter1d(wide, sigma, axis=0, mode="nearest", truncate=TRUNCATE)[more : more + n + 1]
    smoothed[[0, -1]] = course[[0, -1]]
    return smoothed


def _evenly(course: Floats) -> Floats:
    """Give points of equal distance, about 1 px, along a line."""
    step = np.diff(course, axis=0)
    along = np.concatenate([[0], np.cumsum(np.hypot(step[:, 0], step[:, 1]))])
    at = np.linspace(0, along[-1], max(int(np.ceil(along[-1])), 1) + 1)
    even = np.stack([np.interp(at, along, course[:, axis]) for axis in (0, 1)], axis=1)
    even[[0, -1]] = course[[0, -1]]
    return even


def _outside(course: Floats, centre: Floats, radius: float) -> Floats:
    """Give a course from where it leaves a disc."""
    outside = np.hypot(*(course - centre).T) > radius
    return course[np.argmax(outside) :] if outside.any() else course[:0]


def _branch(course: Floats, radius: float) -> Branch | None:
    """Give the straight line along the first bit of a course; None where it is too short to say."""
    if len(course) < FEWEST:
        return None
    bit = course[: max(round(max(BACK, 2 * radius)), FEWEST)]
    middle = bit.mean(axis=0)
    _, _, direction = np.linalg.svd(bit - middle, full_matrices=False)
    return middle, direction[0]


def _meeting(centre: Floats, radius: float, branches: list[Branch]) -> Floats:
    """Give the point in a disc that has the smallest squared distances to straight lines."""
    across = [np.eye(2) - np.outer(direction, direction) for _, direction in branches]
    normal: Floats = np.sum(across, axis=0)
    if np.linalg.eigvalsh(normal)[0] < FLATTEST:
        return centre
    right = np.sum([a @ point for a, (point, _) in zip(across, branches, strict=True)], axis=0)
    way = np.linalg.solve(normal, right) - centre
    return centre + way * min(1.0, radius / max(float(np.hypot(*way)), radius))


def _carry_on(course: Floats, radius: float, shape: tuple[int, int], *, at_nodata: bool) -> Floats:
    """Carry a course on through its first point, straight to the scene's edge or to nodata where that cuts it off."""
    size = np.array([shape[1], shape[0]])
    at_edge = min(course[0].min(), (size - course[0]).min()) <= radius + AT_EDGE
    if not at_edge and not at_nodata:
        return course
    away = np.hypot(*(course - course[0]).T) > CUT_BACK * radius
    rest = course[np.argmax(away) :] if away.any() else course
    if len(rest) < FEWEST:
        rest = course
    way = heading(rest, radius)
    if not way.any():
        return course
    reach = float((course[0] - rest[0]) @ way) + radius
    if at_edge:
        with np.errstate(divide="ignore"):
            hits = np.where(way > 0, (size - rest[0]) / way, np.where(way < 0, -rest[0] / way, np.inf))
        reach = float(hits.min()) if hits.min() <= reach + 2 * radius + 1 else reach
    return np.vstack([np.clip(rest[0] + reach * way, 0, size), rest])
