"""Artefacts of thinning are removed from a network: spurs, and pairs of junctions that are one crossing.

Noise on the side of a line causes a spur from its middle to its side, about half as long as the line is wide.
A crossing becomes two junctions with a short edge between them. Both are recognised by their lengths, compared with the
local width: with the largest disc around the junction that fits into the class.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from segflow.segmentation.vectors.lines.network import PASSING, Network
from segflow.segmentation.vectors.lines.pixels import merge

SLACK = 1.5  # px; how far noise reaches beyond the side of a line


def prune(network: Network, factor: float) -> Network:
    """Remove spurs, edges with a free end that are short for the width of the line they branch off; the shortest first.

    Where two edges remain at a junction, they become one edge, which may be a spur as well.

    Parameters
    ----------
    network
        Its edges run from junction to junction or free end.
    factor
        Spurs shorter than this many half widths are removed.
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
    """Merge junctions whose discs meet along an edge to one node; the edge is removed."""
    close = network.lengths() <= network.nodes.radius[network.ends].sum(axis=1) + SLACK
    close &= (network.degree[network.ends] > PASSING).all(axis=1)
    if not close.any():
        return network
    return merge(network, network.ends[close]).take(~close).contract()


def without_short(network: Network, shortest: float) -> Network:
    """Remove connected parts of a network whose edges are shorter in sum than `shortest` [px]."""
    n = len(network.nodes)
    graph = csr_array((np.ones(len(network)), (network.ends[:, 0], network.ends[:, 1])), shape=(n, n))
    _, part = connected_components(graph, directed=False)
    of_edge = part[network.ends[:, 0]]
    total = np.bincount(of_edge, weights=network.lengths(), minlength=n)
    return network.take(total[of_edge] >= shortest)
