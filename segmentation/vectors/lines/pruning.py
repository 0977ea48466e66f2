"""What thinning adds to a network, taken away: side branches, and crossings that fell apart.

Noise on the side of a line grows a branch from its middle to its side, about as long as the line
is half wide; a crossing becomes two junctions with a short edge between them. Both are judged by the
local width: by the disc around the junction that fits into the class.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from segflow.segmentation.vectors.lines.network import PASSING, Network
from segflow.segmentation.vectors.lines.pixels import merge

SLACK = 1.5  # px; noise reaches so far beyond the side of a line


def prune(network: Network, factor: float) -> Network:
    """Take away free-ended edges that are short for the width of the line that they leave, the shortest first.

    Where one is gone and two edges remain, they become one edge, which may be a branch in its turn.

    Parameters
    ----------
    network
        Its edges run from junction to junction or free end.
    factor
        Branches shorter than this many half widths go.
    """
    while True:
        spurs = _spurs(network, factor)
        if not spurs.any():
            return network
        network = network.take(~spurs).contract()


def _spurs(network: Network, factor: float) -> NDArray[np.bool_]:
    """Find the shortest spur of each junction: (edges,) bool array."""
    degree = network.degree[network.ends]
    spur = (degree.min(axis=1) == 1) & (degree.max(axis=1) > PASSING)
    edge = np.flatnonzero(spur)
    junction = network.ends[edge, np.argmax(degree[edge], axis=1)]
    length = network.lengths()[edge]
    short = length < factor * network.nodes.radius[junction] + SLACK
    edge, junction, length = edge[short], junction[short], length[short]
    order = np.lexsort((edge, length, junction))
    _, first = np.unique(junction[order], return_index=True)
    chosen = np.zeros(len(network), bool)
    chosen[edge[order[first]]] = True
    return chosen


def join_junctions(network: Network) -> Network:
    """Make one node of junctions whose discs meet along an edge; that edge goes."""
    close = network.lengths() <= network.nodes.radius[network.ends].sum(axis=1) + SLACK
    close &= (network.degree[network.ends] > PASSING).all(axis=1)
    if not close.any():
        return network
    return merge(network, network.ends[close]).take(~close).contract()


def without_short(network: Network, shortest: float) -> Network:
    """Take away the parts of a network, connected ones, that are shorter in sum [px]."""
    n = len(network.nodes)
    graph = csr_array((np.ones(len(network)), (network.ends[:, 0], network.ends[:, 1])), shape=(n, n))
    _, part = connected_components(graph, directed=False)
    of_edge = part[network.ends[:, 0]]
    total = np.bincount(of_edge, weights=network.lengths(), minlength=n)
    return network.take(total[of_edge] >= shortest)
