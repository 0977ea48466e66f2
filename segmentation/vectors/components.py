"""Connected components of equal class in one block of a class raster.

Runs of pixels of equal class along the rows are the nodes of a graph, and runs that touch in adjacent rows are linked;
the components of the graph are those of the raster. Sums and minima are taken per run first, so only a few passes
over small integers are made per pixel.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from segflow.segmentation.vectors.columns import Columns
from segflow.tiling import NODATA, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """The sides of a block beyond which another block lies; the others lie on the scene's edge."""

    top: bool = False
    left: bool = False
    bottom: bool = False
    right: bool = False

    @classmethod
    def of(cls, window: Window, scene: Window) -> Self:
        """Give the sides of a block that are not the scene's."""
        return cls(
            top=window.rows.start > scene.rows.start,
            left=window.cols.start > scene.cols.start,
            bottom=window.rows.stop < scene.rows.stop,
            right=window.cols.stop < scene.cols.stop,
        )

    def border_mask(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Give a (height, width) bool array that is True for pixels along these sides."""
        mask = np.zeros(shape, bool)
        mask[0] |= self.top
        mask[-1] |= self.bottom
        mask[:, 0] |= self.left
        mask[:, -1] |= self.right
        return mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics(Columns):
    """Statistics of n objects; integers, so that sums do not depend on the order of their terms.

    Attributes
    ----------
    value
        (n,) uint8 array: the class.
    n_px
        (n,) int64 array: number of pixels.
    confidence_sum, confidence_min
        (n,) int64 and uint8 arrays: of the pixels' confidences [%].
    touches_edge, touches_nodata
        (n,) bool arrays: True where a pixel lies on the scene's edge, or beside a nodata pixel.
    """

    value: NDArray[np.uint8]
    n_px: NDArray[np.int64]
    confidence_sum: NDArray[np.int64]
    confidence_min: NDArray[np.uint8]
    touches_edge: NDArray[np.bool_]
    touches_nodata: NDArray[np.bool_]

    @classmethod
    def none(cls) -> Self:
        """Give the statistics of no objects."""
        none, flags = np.zeros(0, np.int64), np.zeros(0, bool)
        return cls(
            value=none.astype(np.uint8),
            n_px=none,
            confidence_sum=none,
            confidence_min=none.astype(np.uint8),
            touches_edge=flags,
            touches_nodata=flags,
        )

    def merge(self, into: NDArray[np.integer], count: int) -> Self:
        """Join the objects of equal class that have the same number in `into`, 0 … `count` - 1."""
        value = np.zeros(count, np.uint8)
        value[into] = self.value
        return type(self)(
            value=value,
            n_px=group_sum(into, self.n_px, count),
            confidence_sum=group_sum(into, self.confidence_sum, count),
            confidence_min=group_minimum(into, self.confidence_min, count),
            touches_edge=flags_at(into[self.touches_edge], count),
            touches_nodata=flags_at(into[self.touches_nodata], count),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The components of a block.

    Attributes
    ----------
    ids
        (height, width) int32 array: the component of each pixel, from 0.
    statistics
        Of each component; `touches_nodata` as far as the pixels of the block show it.
    """

    ids: NDArray[np.int32]
    statistics: Statistics


def find_components(labels: NDArray[np.uint8], confidence: NDArray[np.uint8], inner: Sides) -> Components:
    """Find the 4-connected components of equal class.

    Parameters
    ----------
    labels, confidence
        (height, width) uint8 arrays: classes, and confidences [%].
    inner
        The sides beyond which another block lies.
    """
    starts = np.ones(labels.shape, bool)
    starts[:, 1:] = labels[:, 1:] != labels[:, :-1]
    first = np.flatnonzero(starts)  # pixel at which each run begins
    runs = np.cumsum(starts, dtype=np.int32).reshape(labels.shape) - 1
    # Two runs of one class touch along one range of columns, which begins where one of the runs begins.
    meet = (labels[1:] == labels[:-1]) & (starts[1:] | starts[:-1])
    count, of_run = group_linked(runs[:-1][meet], runs[1:][meet], len(first))
    n_px = np.diff(first, append=labels.size)
    statistics = Statistics(
        value=labels.ravel()[first],
        n_px=n_px,
        confidence_sum=np.add.reduceat(confidence.ravel(), first, dtype=np.int64),
        confidence_min=np.minimum.reduceat(confidence.ravel(), first),
        touches_edge=flags_at(runs[_outer(inner).border_mask(labels.shape)], len(first)),
        touches_nodata=flags_at(runs[_beside(labels == NODATA)], len(first)),
    )
    return Components(ids=of_run[runs], statistics=statistics.merge(of_run, count))


def group_linked(one: NDArray[np.integer], other: NDArray[np.integer], count: int) -> tuple[int, NDArray[np.int32]]:
    """Group the nodes of a graph that links connect.

    Returns
    -------
    The number of groups, and a (count,) int32 array: the group of each node, numbered in the
    order of their first nodes.
    """
    links = csr_array((np.ones(len(one), np.uint8), (one, other)), shape=(count, count))
    groups, of_node = connected_components(links, directed=False)
    return int(groups), of_node


def group_sum(into: NDArray[np.integer], values: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Add up the values with the same number in `into`; exact up to 2⁵³."""
    return np.bincount(into, weights=values, minlength=count).astype(np.int64)


def group_minimum(into: NDArray[np.integer], values: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Give the lowest of the values with the same number in `into`."""
    out = np.full(count, NODATA, np.uint8)
    np.minimum.at(out, into, values)
    return out


def flags_at(which: NDArray[np.integer], count: int) -> NDArray[np.bool_]:
    """Give a (count,) bool array that is True at the indices `which`."""
    out = np.zeros(count, bool)
    out[which] = True
    return out


def _outer(inner: Sides) -> Sides:
    return Sides(top=not inner.top, left=not inner.left, bottom=not inner.bottom, right=not inner.right)


def _beside(nodata: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Give the pixels with a 4-neighbour that is nodata."""
    beside = np.zeros_like(nodata)
    if nodata.any():
        beside[1:] |= nodata[:-1]
        beside[:-1] |= nodata[1:]
        beside[:, 1:] |= nodata[:, :-1]
        beside[:, :-1] |= nodata[:, 1:]
    return beside
