"""Free ends of lines: they are straightened, and extended to the edge of the scene or to nodata.

Near its free end a skeleton turns towards a corner of the region. That part of it is not followed: the line continues
straight, as far as the skeleton reached.
"""

from dataclasses import dataclass, replace

import numpy as np

from segflow.segmentation.vectors.lines.branches import FEWEST, branch_of, outside
from segflow.segmentation.vectors.lines.network import Floats, Ints, Network

END_LENGTH = 1.5  # half widths; the part of a line before its free end whose course is not followed
NEAREST = 20  # points; the half width at an end is the largest over this many points, as the end itself is narrow
AT_EDGE = 1.5  # px; a disc this close to the scene's edge counts as touching it, because skeletons end before it


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeEnds:
    """Ends of lines at which no other line ends, (n,) arrays.

    Attributes
    ----------
    node
        int64: their nodes.
    way
        (n, 2) float64: the unit vector in which the line points at its end; 0 where the line is too short for one.
    half_width
        float64: of the line there [px].
    last
        int64: number of points, including the end itself, that belong to the part that is straightened.
    """

    node: Ints
    direction: Floats
    half_width: Floats
    end_points: Ints


def find_free_ends(network: Network) -> FreeEnds:
    """Find the free ends: first those at starts of edges, in the order of the edges, then those at their ends."""
    points, offsets = network.points()
    free = network.degree[network.ends] == 1
    ends = [(edge, side) for side in (0, 1) for edge in np.flatnonzero(free[:, side]).tolist()]
    found = FreeEnds(
        node=np.array([network.ends[end] for end in ends], np.int64),
        direction=np.zeros((len(ends), 2)),
        half_width=np.zeros(len(ends)),
        end_points=np.ones(len(ends), np.int64),
    )
    for i, (edge, side) in enumerate(ends):
        nodes = points[offsets[edge] : offsets[edge + 1]][:: 1 - 2 * side]
        course = network.nodes.point[nodes]
        found.half_width[i] = network.nodes.radius[nodes[:NEAREST]].max()
        rest = outside(course, course[0], END_LENGTH * found.half_width[i])
        if len(rest) <= FEWEST:
            rest = course
        branch = branch_of(rest, found.half_width[i])
        if branch:
            found.direction[i], found.end_points[i] = -branch.direction, max(len(course) - len(rest), 1)
    return found


def straighten(network: Network) -> Network:
    """Straighten the parts of lines before their free ends."""
    ends = find_free_ends(network)
    points, offsets = network.points()
    place = network.nodes.point.copy()
    sides = np.nonzero((network.degree[network.ends] == 1).T)
    for i, (side, edge) in enumerate(zip(*(axis.tolist() for axis in sides), strict=True)):
        end_points = int(ends.end_points[i])
        nodes = points[offsets[edge] : offsets[edge + 1]][:: 1 - 2 * side]
        begin = place[nodes[end_points]]
        length = max(float((place[nodes[0]] - begin) @ ends.direction[i]), 0.0)
        place[nodes[:end_points]] = (
            begin + np.linspace(length, 0, end_points, endpoint=False)[:, None] * ends.direction[i]
        )
    return replace(network, nodes=replace(network.nodes, point=place))


def extend_to_limits(network: Network, shape: tuple[int, int], to_nodata: Floats) -> Floats:
    """Extend free ends to the scene's edge or to nodata, where these cut a line off.

    Parameters
    ----------
    network
        Its free ends are straight.
    shape
        (height, width) of the scene [px].
    to_nodata
        (nodes,) float64 array: distance to nodata that cuts lines off there, else infinity [px].

    Returns
    -------
    (nodes, 2) float64 array: the points of all nodes.
    """
    place = network.nodes.point.copy()
    size = np.array([shape[1], shape[0]], np.float64)
    ends = find_free_ends(network)
    for node, direction, half_width in zip(ends.node.tolist(), ends.direction, ends.half_width.tolist(), strict=True):
        end = place[node]
        if min(end.min(), (size - end).min()) <= half_width + AT_EDGE:
            place[node] = _to_edge(end, direction, size, half_width)
        elif np.isfinite(to_nodata[node]):
            place[node] = np.clip(end + max(to_nodata[node] - 0.5, 0.0) * direction, 0, size)
    return place


def _to_edge(end: Floats, direction: Floats, size: Floats, half_width: float) -> Floats:
    """Extend an end to the edge of a rectangle, straight ahead, or to its nearest side where that is too far."""
    with np.errstate(divide="ignore", invalid="ignore"):
        hits = np.where(direction > 0, (size - end) / direction, np.where(direction < 0, -end / direction, np.inf))
    if hits.min() <= 3 * half_width:  # at 20° to the edge
        hit: Floats = np.clip(end + hits.min() * direction, 0, size)
        return hit
    to_side = np.concatenate([end, size - end])
    side = int(np.argmin(to_side))
    foot = end.copy()
    foot[side % 2] = 0.0 if side < 2 else size[side % 2]  # noqa: PLR2004  # two sides at 0, two at the size
    return foot
