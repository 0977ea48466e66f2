"""Ragged arrays: lists of different lengths in one array, where list i is ``values[offsets[i]:offsets[i + 1]]``."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def index_ranges(starts: NDArray[np.integer], lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    """Give the indices ``start, start + 1, …`` of ranges with these starts and lengths, one range after the other."""
    ends = np.cumsum(lengths)
    indices: NDArray[np.int64] = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
    return indices


def offsets_of(lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    """Give the offsets of lists with these lengths: (n + 1,) int64 array that starts with 0."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def next_indices(offsets: NDArray[np.int64], *, closed: bool = True) -> NDArray[np.intp]:
    """Give the index after each one; after the last one of a list its first, or itself unless lists are `closed`."""
    following = np.arange(1, offsets[-1] + 1)
    following[offsets[1:] - 1] = offsets[:-1] if closed else offsets[1:] - 1
    return following


def list_sums(values: NDArray[np.float64], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Add up the values of each list; none is empty."""
    return np.add.reduceat(values, offsets[:-1]) if len(offsets) > 1 else np.zeros(0)


def portions(offsets: NDArray[np.int64], size: int = 2**18) -> Iterator[slice]:
    """Give slices of lists that hold about `size` values each, so that work on them stays in the cache."""
    cuts = np.searchsorted(offsets, np.arange(0, offsets[-1], size))
    for start, stop in pairwise(np.append(cuts, len(offsets) - 1)):
        if start < stop:
            yield slice(int(start), int(stop))
