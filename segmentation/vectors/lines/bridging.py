"""Gaps between free ends of lines that point at each other are bridged."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from segflow.segmentation.vectors.lines.ends import FreeEnds, find_free_ends
from segflow.segmentation.vectors.lines.network import Floats, Network

LARGEST_TURN = np.cos(np.deg2rad(40))  # between the two directions
ASIDE, ASIDE_PER_PX = 1.5, 0.35  # px, px/px; how far an end may lie from the straight continuation of the other one
ROUGH = 1.0  # px; skeletons end before the ends of regions, by about the radius of the discs around them
NEAR = 1.0  # px; a bridge this close to another line counts as crossing it


def bridge(network: Network, max_gap: float) -> Network:
    """Bridge gaps between aligned free ends, the straightest and shortest first; each end is used once.

    Parameters
    ----------
    network
        Its edges run from junction to junction or free end.
    max_gap
        Widest gap, measured between the discs around the ends [px].
    """
    if max_gap <= 0:
        return network
    ends = find_free_ends(network)
    if len(ends.node) < 2:  # noqa: PLR2004  # a bridge has two ends
        return network
    pairs = _aligned(network, ends, max_gap)
    tree = KDTree(network.nodes.point[np.concatenate([network.path, network.ends.ravel()])])
    chosen: list[tuple[int, int]] = []
    used: set[int] = set()
    for one, other in ends.node[pairs].tolist():
        if not used & {one, other} and _is_free(tree, network.nodes.point[one], network.nodes.point[other]):
            chosen.append((one, other))
            used |= {one, other}
    return network.add(np.array(chosen, np.int64).reshape(-1, 2)).contract()


def _aligned(network: Network, ends: FreeEnds, max_gap: float) -> NDArray[np.intp]:
    """Give the pairs of ends that point at each other: (n, 2), the straightest and shortest first."""
    point, radius = network.nodes.point[ends.node], network.nodes.radius[ends.node]
    pairs = KDTree(point).query_pairs(max_gap + ROUGH + 2 * radius.max(), output_type="ndarray")
    one, other = pairs.T
    gap = point[other] - point[one]
    distance = np.hypot(gap[:, 0], gap[:, 1])
    ahead = (gap * ends.direction[one]).sum(axis=1), -(gap * ends.direction[other]).sum(axis=1)
    offsets = np.abs(_cross(ends.direction[one], gap)), np.abs(_cross(ends.direction[other], gap))
    fits = distance - radius[one] - radius[other] <= max_gap + ROUGH
    fits &= -(ends.direction[one] * ends.direction[other]).sum(axis=1) >= LARGEST_TURN
    for along, off in zip(ahead, offsets, strict=True):
        fits &= (along > 0) & (off <= ASIDE + ASIDE_PER_PX * along)
    cost = distance + 2 * (offsets[0] + offsets[1])
    keys = np.sort(network.nodes.pixel[ends.node[pairs]], axis=1)
    order = np.lexsort((keys[:, 1], keys[:, 0], cost))
    chosen: NDArray[np.intp] = pairs[order[fits[order]]]
    return chosen


def _is_free(tree: KDTree, one: Floats, other: Floats) -> bool:
    """Give whether no line lies between two ends."""
    distance = np.hypot(*(other - one))
    along = np.arange(2 * NEAR, distance - 2 * NEAR, 0.5)
    if not len(along):
        return True
    places = one + along[:, None] / distance * (other - one)
    nearest, _ = tree.query(places, distance_upper_bound=NEAR)
    return not np.isfinite(nearest).any()


def _cross(one: Floats, other: Floats) -> Floats:
    return one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
