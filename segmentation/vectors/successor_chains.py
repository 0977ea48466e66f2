"""Items that name their successors, followed from end to end."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, depth_first_order

from segflow.segmentation.vectors.ragged import offsets_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessorChains:
    """Lists of items that follow each other.

    Attributes
    ----------
    order
        (n,) array: all items, trail by trail.
    offsets
        (trails + 1,) int64 array: trail i has the items ``order[offsets[i]:offsets[i + 1]]``.
    closed
        (trails,) bool array: True where the first item follows the last one.
    """

    order: NDArray[np.integer]
    offsets: NDArray[np.int64]
    closed: NDArray[np.bool_]

    @property
    def heads(self) -> NDArray[np.integer]:
        """The first item of each trail."""
        return self.order[self.offsets[:-1]]

    @property
    def tails(self) -> NDArray[np.integer]:
        """The last item of each trail."""
        return self.order[self.offsets[1:] - 1]


def follow_successors(successor: NDArray[np.int32]) -> SuccessorChains:
    """Follow every item to its successor, until there is none (-1) or the trail closes.

    Each trail is cut before its head, and its tail tied to the head of the next one: one walk
    along the single trail that results gives all of them in order.
    """
    n = len(successor)
    if not n:
        return SuccessorChains(order=np.zeros(0, np.int32), offsets=np.zeros(1, np.int64), closed=np.zeros(0, bool))
    linked = np.flatnonzero(successor >= 0)
    count, trail = connected_components(_graph(successor), directed=False)
    predecessor = np.full(n, -1, np.int32)
    predecessor[successor[linked]] = linked
    heads, tails = np.empty(count, np.int32), np.empty(count, np.int32)
    heads[trail[::-1]] = np.arange(n - 1, -1, -1, dtype=np.int32)  # a ring may start anywhere
    tails[:] = predecessor[heads]
    chains = np.flatnonzero(predecessor < 0)
    heads[trail[chains]] = chains
    ends = np.flatnonzero(successor < 0)
    tails[trail[ends]] = ends
    tied = successor.copy()
    tied[tails[:-1]] = heads[1:]
    tied[tails[-1]] = -1
    return SuccessorChains(
        order=depth_first_order(_graph(tied), heads[0], return_predecessors=False),
        offsets=offsets_of(np.bincount(trail, minlength=count)),
        closed=predecessor[heads] >= 0,
    )


def _graph(successor: NDArray[np.int32]) -> csr_array:
    """Give the graph that links each item to its successor, in the form that scipy needs."""
    linked = successor >= 0
    ends = np.concatenate([[0], np.cumsum(linked)])
    return csr_array((np.ones(ends[-1]), successor[linked], ends), shape=(len(successor),) * 2)
