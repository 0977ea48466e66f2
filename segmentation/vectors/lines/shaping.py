"""The course of lines: junctions where their branches point, ends at the scene's edge, and smooth lines in between.

The skeleton is not followed in the disc around a junction. The junction moves to the point that is nearest to the
straight continuations of its branches in the least-squares sense, and the branches run straight to it.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from segflow.segmentation.vectors.lines.branches import Branch, branch_of, meeting, outside
from segflow.segmentation.vectors.lines.ends import extend_to_limits
from segflow.segmentation.vectors.lines.network import PASSING, Floats, Network

TRUNCATE = 4  # standard deviations of the Gaussian


def shape_lines(network: Network, shape: tuple[int, int], to_nodata: Floats, sigma: float) -> list[Floats]:
    """Give the courses of all edges.

    Parameters
    ----------
    network
        Its edges run from junction to junction or free end.
    shape
        (height, width) of the scene [px].
    to_nodata
        (nodes,) float64 array: distance to nodata that cuts lines off there, else infinity [px].
    sigma
        Standard deviation of a Gaussian along the lines [px]; it moves neither junctions nor ends.

    Returns
    -------
    (n, 2) float64 arrays of (column, row), from the scene's upper left corner [px]. Edges that meet in a
    node share its point in every bit.
    """
    points, offsets = network.points()
    junction = network.degree > PASSING
    place, radius = extend_to_limits(network, shape, to_nodata), network.nodes.radius
    courses = []
    branches: dict[int, list[Branch]] = {}
    for edge, (start, end) in enumerate(network.ends.tolist()):
        course = network.nodes.point[points[offsets[edge] + 1 : offsets[edge + 1] - 1]]
        for node, step in ((start, 1), (end, -1)):
            if junction[node]:
                course = outside(course[::step], place[node], radius[node])[::step]
        courses.append(course)
        for node, step in ((start, 1), (end, -1)):
            branch = branch_of(course[::step], radius[node]) if junction[node] else None
            if branch:
                branches.setdefault(node, []).append(branch)
    for node, found in branches.items():
        place[node] = meeting(place[node], radius[node], found)
    return [
        smooth(np.vstack([place[start], course, place[end]]), sigma, closed=start == end and not junction[start])
        for course, (start, end) in zip(courses, network.ends.tolist(), strict=True)
    ]


def smooth(course: Floats, sigma: float, *, closed: bool) -> Floats:
    """Smooth a line, at points about 1 px apart; its ends do not move, and a ring stays closed."""
    course = _evenly(course)
    n = len(course) - 1
    if sigma <= 0 or n < 2:  # noqa: PLR2004  # a single segment is straight
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
