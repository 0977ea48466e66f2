"""One block of a class raster on its own: outlines that are whole, and parts that other blocks continue.

Nothing here looks beyond the block, so blocks can be traced in any order and in many processes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.boundaries import trace_boundaries
from segflow.segmentation.vectors.components import Sides, Statistics, find_components, mark
from segflow.segmentation.vectors.pieces import Pieces
from segflow.tiling import Window

NO_PART = -1
LARGEST = 2**28  # px; corners are counted in 32 bits, and a block this large would take 10 GB already


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A window of a scene's class and confidence rasters.

    Attributes
    ----------
    window
        Where it lies in the scene.
    labels
        (height, width) uint8 array: classes; 255 is nodata.
    confidence
        (height, width) uint8 array: confidences [%]; not looked at where `labels` is nodata.
    """

    window: Window
    labels: NDArray[np.uint8]
    confidence: NDArray[np.uint8]

    def __post_init__(self) -> None:
        for name, array in (("labels", self.labels), ("confidence", self.confidence)):
            if array.shape != self.window.shape or array.dtype != np.uint8:
                msg = (
                    f"the {name} of a block must be a uint8 array of its window's shape {self.window.shape}, "
                    f"got {array.dtype} {array.shape}"
                )
                raise ValueError(msg)
        if not 0 < self.window.size <= LARGEST:
            msg = f"a block must have 1 to {LARGEST} pixels, got {self.window.shape}: use smaller blocks"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlines:
    """Objects with their boundaries; the pieces' owners are places in the statistics."""

    pieces: Pieces
    statistics: Statistics


@dataclass(frozen=True, slots=True, kw_only=True)
class Rim:
    """The pixels along one side of a block.

    Attributes
    ----------
    labels
        (n,) uint8 array: their classes.
    parts
        (n,) int64 array: the parts that they belong to; -1 where the class is not wanted.
    """

    labels: NDArray[np.uint8]
    parts: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedBlock:
    """What one block knows.

    Attributes
    ----------
    window
        Where it lies in the scene.
    inner
        The sides beyond which another block lies.
    whole
        Objects that no other block continues.
    parts
        Parts of objects that reach an inner side.
    top, left, bottom, right
        The pixels along its sides; parts are counted as in `parts`.
    """

    window: Window
    inner: Sides
    whole: Outlines
    parts: Outlines
    top: Rim
    left: Rim
    bottom: Rim
    right: Rim


def trace_block(block: Block, *, scene: Window, wanted: NDArray[np.bool_], nodes: bool = False) -> TracedBlock:
    """Trace the boundaries of the objects and parts of objects in a block.

    Parameters
    ----------
    block
        The block; its window lies in the scene.
    scene
        The window of all pixels.
    wanted
        (256,) bool array: the classes to trace.
    nodes
        Keep the corners in which three or more boundaries meet, even on straight ones.
    """
    rows, cols = block.window.rows, block.window.cols
    inner = Sides(
        top=rows.start > scene.rows.start,
        left=cols.start > scene.cols.start,
        bottom=rows.stop < scene.rows.stop,
        right=cols.stop < scene.cols.stop,
    )
    found = find_components(block.labels, block.confidence, inner)
    chosen = wanted[found.statistics.value]
    reaching = mark(found.ids[inner.rim(block.labels.shape)], len(chosen)) & chosen
    growing = np.where(reaching, found.statistics.value, np.int16(-1))
    pieces = trace_boundaries(found.ids, chosen, growing, inner, nodes=nodes).shift(rows.start, cols.start)
    number = np.where(reaching, np.cumsum(reaching) - 1, NO_PART)

    def rim(side: tuple[slice | int, slice | int]) -> Rim:
        return Rim(labels=block.labels[side].copy(), parts=number[found.ids[side]])

    everything = slice(None)
    return TracedBlock(
        window=block.window,
        inner=inner,
        whole=_choose(pieces, found.statistics, chosen & ~reaching),
        parts=_choose(pieces, found.statistics, reaching),
        top=rim((0, everything)),
        left=rim((everything, 0)),
        bottom=rim((-1, everything)),
        right=rim((everything, -1)),
    )


def _choose(pieces: Pieces, statistics: Statistics, chosen: NDArray[np.bool_]) -> Outlines:
    number = np.cumsum(chosen) - 1
    which = np.flatnonzero(chosen[pieces.owner])
    return Outlines(pieces=pieces.take(which, number[pieces.owner[which]]), statistics=statistics.take(chosen))
