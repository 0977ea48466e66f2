"""Connected components of equal class in one block of a class raster.

Stretches of equal class along the rows (runs) are the nodes of a graph, runs that meet
across two rows its links; the components of the graph are those of the raster. Sums and
minima are taken by run first, so the work by pixel stays a few passes over small integers.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

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

    def rim(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Give the pixels that touch one of these sides: (height, width) bool array."""
        rim = np.zeros(shape, bool)
        rim[0] |= self.top
        rim[-1] |= self.bottom
        rim[:, 0] |= self.left
        rim[:, -1] |= self.right
        return rim


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What is known of each of n objects; integers, so that sums know no order.

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

    def __len__(self) -> int:
        """Give the number of objects."""
        return len(self.value)

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """Give the objects of an index or a mask."""
        return type(self)(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    @classmethod
    def of(cls, parts: list[Self]) -> Self:
        """Give the objects of all parts, of which there is at least one."""
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})

    def merge(self, into: NDArray[np.integer], count: int) -> Self:
        """Join the objects of equal class that have the same number in `into`, 0 … `count` - 1."""
        value = np.zeros(count, np.uint8)
        value[into] = self.value
        return type(self)(
            value=value,
            n_px=total(into, self.n_px, count),
            confidence_sum=total(into, self.confidence_sum, count),
            confidence_min=lowest(into, self.confidence_min, count),
            touches_edge=mark(into[self.touches_edge], count),
            touches_nodata=mark(into[self.touches_nodata], count),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The components of a block.

    Attributes
    ----------
    ids
        (height, width) int32 array: the component of each pixel, from 0.
    statistics
        Of each component; `touches_nodata` as far as the block can tell.
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
    # Two runs of one class meet in one stretch; it begins where one of them does.
    meet = (labels[1:] == labels[:-1]) & (starts[1:] | starts[:-1])
    count, of_run = join(runs[:-1][meet], runs[1:][meet], len(first))
    n_px = np.diff(first, append=labels.size)
    statistics = Statistics(
        value=labels.ravel()[first],
        n_px=n_px,
        confidence_sum=np.add.reduceat(confidence.ravel(), first, dtype=np.int64),
        confidence_min=np.minimum.reduceat(confidence.ravel(), first),
        touches_edge=mark(runs[_outer(inner).rim(labels.shape)], len(first)),
        touches_nodata=mark(runs[_beside(labels == NODATA)], len(first)),
    )
    return Components(ids=of_run[runs], statistics=statistics.merge(of_run, count))


def join(one: NDArray[np.integer], other: NDArray[np.integer], count: int) -> tuple[int, NDArray[np.int32]]:
    """Group nodes that links connect.

    Returns
    -------
    The number of groups, and a (count,) int32 array: the group of each node, numbered in the
    order of their first nodes.
    """
    links = csr_array((np.ones(len(one), np.uint8), (one, other)), shape=(count, count))
    groups, of_node = connected_components(links, directed=False)
    return int(groups), of_node


def total(into: NDArray[np.integer], values: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Add up the values with the same number in `into`; exact up to 2⁵³."""
    return np.bincount(into, weights=values, minlength=count).astype(np.int64)


def lowest(into: NDArray[np.integer], values: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Give the lowest of the values with the same number in `into`."""
    out = np.full(count, NODATA, np.uint8)
    np.minimum.at(out, into, values)
    return out


def mark(which: NDArray[np.integer], count: int) -> NDArray[np.bool_]:
    """Give a (count,) bool array that is True at the numbers in `which`."""
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
