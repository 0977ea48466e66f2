"""Chains of items of which each may name its successor: all chains at once, each in order from its head to its tail."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, depth_first_order

from segflow.segmentation.vectors.ragged import offsets_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessorChains:
    """Lists of items in which each item is the successor of the one before it.

    Attributes
    ----------
    order
        (n,) array: all items, chain by chain.
    offsets
        (chains + 1,) int64 array: chain i has the items ``order[offsets[i]:offsets[i + 1]]``.
    closed
        (chains,) bool array: True where the first item is the successor of the last one.
    """

    order: NDArray[np.integer]
    offsets: NDArray[np.int64]
    closed: NDArray[np.bool_]

    @property
    def heads(self) -> NDArray[np.integer]:
        """The first item of each chain."""
        return self.order[self.offsets[:-1]]

    @property
    def tails(self) -> NDArray[np.integer]:
        """The last item of each chain."""
        return self.order[self.offsets[1:] - 1]


def follow_successors(successor: NDArray[np.int32]) -> SuccessorChains:
    """Follow every item to its successor, until there is none (-1) or the chain closes.

    Each chain is opened before its head, and its tail is linked to the head of the next chain. One walk along the
    single chain that results gives all of them in order.
    """
    n = len(successor)
    if not n:
        return SuccessorChains(order=np.zeros(0, np.int32), offsets=np.zeros(1, np.int64), closed=np.zeros(0, bool))
    linked = np.flatnonzero(successor >= 0)
    count, chain = connected_components(_graph(successor), directed=False)
    predecessor = np.full(n, -1, np.int32)
    predecessor[successor[linked]] = linked
    heads, tails = np.empty(count, np.int32), np.empty(count, np.int32)
    heads[chain[::-1]] = np.arange(n - 1, -1, -1, dtype=np.int32)  # a closed chain may start at any item
    tails[:] = predecessor[heads]
    starts = np.flatnonzero(predecessor < 0)
    heads[chain[starts]] = starts
    ends = np.flatnonzero(successor < 0)
    tails[chain[ends]] = ends
    single = successor.copy()
    single[tails[:-1]] = heads[1:]
    single[tails[-1]] = -1
    return SuccessorChains(
        order=depth_first_order(_graph(single), heads[0], return_predecessors=False),
        offsets=offsets_of(np.bincount(chain, minlength=count)),
        closed=predecessor[heads] >= 0,
    )


def _graph(successor: NDArray[np.int32]) -> csr_array:
    """Give the graph with a link from each item to its successor, as a sparse matrix."""
    linked = successor >= 0
    ends = np.concatenate([[0], np.cumsum(linked)])
    return csr_array((np.ones(ends[-1]), successor[linked], ends), shape=(len(successor),) * 2)
