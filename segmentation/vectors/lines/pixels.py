"""The network of a skeleton: its pixels are linked with their neighbours, and junctions are merged to one node each."""

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from segflow.segmentation.vectors.lines.network import PASSING, Floats, Ints, Network, Nodes
from segflow.segmentation.vectors.lines.skeleton import Skeleton


def trace_pixels(skeleton: Skeleton, width: int) -> Network:
    """Trace the network of a skeleton.

    Diagonal neighbours are linked where no pixel is a side neighbour of both, so that steps do not become triangles.
    Junction pixels that are linked with each other become one junction.

    Parameters
    ----------
    skeleton
        Pixels in row-major order.
    width
        Of the scene [px].
    """
    row, col = np.divmod(skeleton.place, width)
    middle = np.stack([col, row], axis=1) + skeleton.shift + 0.5
    pixels = Nodes(point=middle, radius=skeleton.half_width, pixel=skeleton.place)
    links = _links(row * (width + 2) + col + 1, width + 2)
    return _with_junctions(Network.of_straight_edges(pixels, links)).contract()


def _links(key: Ints, width: int) -> Ints:
    """Give the pairs of pixels that are linked: (n, 2) int64 array; a key is an index into rows padded at both ends."""

    def find(step: int) -> Ints:
        place = np.searchsorted(key, key + step)
        found = place < len(key)
        found[found] = key[place[found]] == key[found] + step
        return np.where(found, place, -1)

    right, below, left = find(1), find(width), find(-1)
    pairs = []
    for there, free in (
        (right, True),
        (below, True),
        (find(width - 1), (left < 0) & (below < 0)),
        (find(width + 1), (right < 0) & (below < 0)),
    ):
        linked = np.flatnonzero((there >= 0) & free)
        pairs.append(np.stack([linked, there[linked]], axis=1))
    return np.concatenate(pairs)


def _with_junctions(network: Network) -> Network:
    """Merge junction pixels that are linked with each other to one node."""
    junction = network.degree > PASSING
    inner = junction[network.ends[:, 0]] & junction[network.ends[:, 1]]
    return merge(network, network.ends[inner]).take(~inner)


def merge(network: Network, pairs: Ints) -> Network:
    """Merge each set of nodes that pairs connect; the merged node is added to the nodes as a new one.

    Its point is the mean of theirs and its pixel the first. Its disc is the largest of theirs, or one that covers half
    of each if that is larger.
    """
    n = len(network.nodes)
    graph = csr_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, group = connected_components(graph, directed=False)
    merged = np.flatnonzero(np.bincount(pairs.ravel(), minlength=n))
    groups, which = np.unique(group[merged], return_inverse=True)
    count = len(groups)
    nodes = network.nodes
    radius, pixel = np.zeros(count), np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(pixel, which, nodes.pixel[merged])
    point = np.stack([_mean(which, nodes.point[merged, axis], count) for axis in (0, 1)], axis=1)
    away = np.hypot(*(nodes.point[merged] - point[which]).T)
    np.maximum.at(radius, which, np.maximum(nodes.radius[merged], away + nodes.radius[merged] / 2))
    target = np.arange(n)
    target[merged] = n + which
    return replace(
        network,
        nodes=Nodes(
            point=np.concatenate([nodes.point, point]),
            radius=np.concatenate([nodes.radius, radius]),
            pixel=np.concatenate([nodes.pixel, pixel]),
        ),
        ends=target[network.ends],
    )


def _mean(which: Ints, values: Floats, count: int) -> Floats:
    mean: Floats = np.bincount(which, weights=values, minlength=count) / np.bincount(which, minlength=count)
    return mean
