"""Free ends of lines: straightened, and carried on to where the scene or its data end.

On its last bit a skeleton turns to a corner of what it is the middle of. So that bit is not
followed: the line goes on straight, as far as the skeleton came.
"""

from dataclasses import dataclass, replace

import numpy as np

from segflow.segmentation.vectors.lines.branches import FEWEST, branch_of, outside
from segflow.segmentation.vectors.lines.network import Floats, Ints, Network

LAST_BIT = 1.5  # half widths
LOCAL = 20  # points; the half width at an end is the largest of so many, as the end itself is narrow
AT_EDGE = 1.5  # px; a disc that comes this close to the scene's edge touches it: skeletons end early


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeEnds:
    """Ends of lines that meet no other, (n,) arrays.

    Attributes
    ----------
    node
        int64: their nodes.
    way
        (n, 2) float64: the unit vector in which the line leaves through its end; 0 where it is too short to say.
    half_width
        float64: of the line there [px].
    last
        int64: number of the line's points, the end's own too, that its last bit holds.
    """

    node: Ints
    way: Floats
    half_width: Floats
    last: Ints


def find_free_ends(network: Network) -> FreeEnds:
    """Find the free ends: those at starts of edges in the order of the edges, then those at their ends."""
    points, offsets = network.points()
    free = network.degree[network.ends] == 1
    ends = [(edge, side) for side in (0, 1) for edge in np.flatnonzero(free[:, side]).tolist()]
    found = FreeEnds(
        node=np.array([network.ends[end] for end in ends], np.int64),
        way=np.zeros((len(ends), 2)),
        half_width=np.zeros(len(ends)),
        last=np.ones(len(ends), np.int64),
    )
    for i, (edge, side) in enumerate(ends):
        nodes = points[offsets[edge] : offsets[edge + 1]][:: 1 - 2 * side]
        course = network.nodes.point[nodes]
        found.half_width[i] = network.nodes.radius[nodes[:LOCAL]].max()
        rest = outside(course, course[0], LAST_BIT * found.half_width[i])
        if len(rest) <= FEWEST:
            rest = course
        branch = branch_of(rest, found.half_width[i])
        if branch:
            found.way[i], found.last[i] = -branch.way, max(len(course) - len(rest), 1)
    return found


def straighten(network: Network) -> Network:
    """Make the last bits of all free ends straight."""
    ends = find_free_ends(network)
    points, offsets = network.points()
    place = network.nodes.point.copy()
    sides = np.nonzero((network.degree[network.ends] == 1).T)
    for i, (side, edge) in enumerate(zip(*(axis.tolist() for axis in sides), strict=True)):
        last = int(ends.last[i])
        nodes = points[offsets[edge] : offsets[edge + 1]][:: 1 - 2 * side]
        begin = place[nodes[last]]
        length = max(float((place[nodes[0]] - begin) @ ends.way[i]), 0.0)
        place[nodes[:last]] = begin + np.linspace(length, 0, last, endpoint=False)[:, None] * ends.way[i]
    return replace(network, nodes=replace(network.nodes, point=place))


def carry_on(network: Network, shape: tuple[int, int], to_nodata: Floats) -> Floats:
    """Carry free ends on to the scene's edge or to nodata, where these cut a line off.

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
    for node, way, half_width in zip(ends.node.tolist(), ends.way, ends.half_width.tolist(), strict=True):
        end = place[node]
        if min(end.min(), (size - end).min()) <= half_width + AT_EDGE:
            place[node] = _to_edge(end, way, size, half_width)
        elif np.isfinite(to_nodata[node]):
            place[node] = np.clip(end + max(to_nodata[node] - 0.5, 0.0) * way, 0, size)
    return place


def _to_edge(end: Floats, way: Floats, size: Floats, half_width: float) -> Floats:
    """Go on to the edge of a rectangle; straight to its nearest side where the way ahead is too long."""
    with np.errstate(divide="ignore", invalid="ignore"):
        hits = np.where(way > 0, (size - end) / way, np.where(way < 0, -end / way, np.inf))
    if hits.min() <= 3 * half_width:  # at 20° to the edge
        hit: Floats = np.clip(end + hits.min() * way, 0, size)
        return hit
    to_side = np.concatenate([end, size - end])
    side = int(np.argmin(to_side))
    foot = end.copy()
    foot[side % 2] = 0.0 if side < 2 else size[side % 2]  # noqa: PLR2004  # two sides at 0, two at the size
    return foot
