"""Crossings at narrow angles: thinning turns each into two junctions, joined by one line for both roads.

Such a pair differs from two real junctions by its branches: each branch of one junction continues a branch of the other
in a straight line.
"""

import numpy as np

from segflow.segmentation.vectors.lines.branches import Branch, branch_of, outside
from segflow.segmentation.vectors.lines.network import Network
from segflow.segmentation.vectors.lines.pixels import merge

LONGEST = 3.0  # times the sum of the radii at its ends; roads that cross at 20° share this length
STRAIGHT = np.cos(np.deg2rad(20))
ASIDE, ASIDE_PER_PX = 2.0, 0.1  # px, px/px; how far a branch may lie from the straight line of the other one
BRANCHES = 3


def join_crossings(network: Network) -> Network:
    """Merge the two junctions of each crossing to one node; the line between them is removed."""
    degree = network.degree
    length = network.lengths()
    candidate = (degree[network.ends] == BRANCHES).all(axis=1) & (network.ends[:, 0] != network.ends[:, 1])
    candidate &= length <= LONGEST * network.nodes.radius[network.ends].sum(axis=1)
    edges = np.flatnonzero(candidate)
    edges = edges[np.argsort(length[edges], kind="stable")]
    if not len(edges):
        return network
    leaving = _leaving(network)
    gone = np.zeros(len(network), bool)
    used: set[int] = set()
    for edge in edges.tolist():
        nodes = set(network.ends[edge].tolist())
        if not used & nodes and _crosses(network, edge, leaving):
            gone[edge] = True
            used |= nodes
    return merge(network, network.ends[gone]).take(~gone).contract()


def _leaving(network: Network) -> dict[int, list[int]]:
    """Give the half-edges that leave each junction with three branches."""
    tails = network.ends.ravel()
    found: dict[int, list[int]] = {}
    for half in np.flatnonzero(network.degree[tails] == BRANCHES).tolist():
        found.setdefault(int(tails[half]), []).append(half)
    return found


def _crosses(network: Network, edge: int, leaving: dict[int, list[int]]) -> bool:
    """Give whether two straight lines run through an edge, each from a branch of one end to a branch of the other."""
    sides = []
    for node in network.ends[edge].tolist():
        branches = [_branch(network, half) for half in leaving[node] if half // 2 != edge]
        sides.append([branch for branch in branches if branch])
    if [len(side) for side in sides] != [BRANCHES - 1] * 2:
        return False
    (a, b), (c, d) = sides
    return (_continues(a, c) and _continues(b, d)) or (_continues(a, d) and _continues(b, c))


def _branch(network: Network, half: int) -> Branch | None:
    edge, backwards = divmod(half, 2)
    nodes = network.path[network.offsets[edge] : network.offsets[edge + 1]]
    nodes = nodes[::-1] if backwards else nodes
    node = network.ends[edge, backwards]
    radius = float(network.nodes.radius[node])
    return branch_of(outside(network.nodes.point[nodes], network.nodes.point[node], radius), radius)


def _continues(one: Branch, other: Branch) -> bool:
    """Give whether two branches lie on one straight line, in opposite directions."""
    limit = ASIDE + ASIDE_PER_PX * float(np.hypot(*(other.point - one.point)))
    return (
        -float(one.direction @ other.direction) >= STRAIGHT
        and max(one.offset_of(other.point), other.offset_of(one.point)) <= limit
    )
