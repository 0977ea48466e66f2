"""One block of a class raster on its own: outlines that are whole, and parts that other blocks continue.

Nothing here looks beyond the block, so blocks can be traced in any order and in many processes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.blocks import Block
from segflow.segmentation.vectors.components import Sides, Statistics, find_components, mark
from segflow.segmentation.vectors.polygons.boundaries import trace_boundaries
from segflow.segmentation.vectors.polygons.boundary_parts import Pieces
from segflow.segmentation.vectors.polygons.packed_corners import Words
from segflow.segmentation.vectors.polygons.rings import from_first_corners, sorted_rings
from segflow.tiling import Window

NO_PART = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rings:
    """Rings in canonical form, by owner and first corner.

    Attributes
    ----------
    words
        (n,) int64 array: their corners, each ring from its first one.
    offsets
        (rings + 1,) int64 array: ring i has the words ``offsets[i]:offsets[i + 1]``.
    first
        (rings,) int64 array: the first corners.
    owner
        (rings,) int64 array: numbers of the objects.
    """

    words: Words
    offsets: NDArray[np.int64]
    first: Words
    owner: NDArray[np.int64]


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
    whole, whole_rings
        Objects that no other block continues, and their rings.
    parts, part_rings, chains
        Parts of objects that reach an inner side, their rings, and boundaries that other blocks continue.
    top, left, bottom, right
        The pixels along its sides; parts are counted as in `parts`.
    """

    window: Window
    inner: Sides
    whole: Statistics
    whole_rings: Rings
    parts: Statistics
    part_rings: Rings
    chains: Pieces
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
    inner = Sides.of(block.window, scene)
    found = find_components(block.labels, block.confidence, inner)
    chosen = wanted[found.statistics.value]
    reaching = mark(found.ids[inner.rim(block.labels.shape)], len(chosen)) & chosen
    growing = np.where(reaching, found.statistics.value, np.int16(-1))
    whole = chosen & ~reaching
    number = np.where(reaching, np.cumsum(reaching), np.cumsum(whole)) - 1
    origin = rows.start, cols.start
    pieces = trace_boundaries(found.ids, chosen, growing, inner, origin, nodes=nodes)
    chains = np.flatnonzero(~pieces.closed)
    parts = np.where(reaching, number, NO_PART)

    def rim(side: tuple[slice | int, slice | int]) -> Rim:
        return Rim(labels=block.labels[side].copy(), parts=parts[found.ids[side]])

    everything = slice(None)
    return TracedBlock(
        window=block.window,
        inner=inner,
        whole=found.statistics.take(whole),
        whole_rings=_rings(pieces, number, whole),
        parts=found.statistics.take(reaching),
        part_rings=_rings(pieces, number, reaching),
        chains=pieces.take(chains, number[pieces.owner[chains]]),
        top=rim((0, everything)),
        left=rim((everything, 0)),
        bottom=rim((-1, everything)),
        right=rim((everything, -1)),
    )


def _rings(pieces: Pieces, number: NDArray[np.int64], chosen: NDArray[np.bool_]) -> Rings:
    """Give the rings of the chosen components in canonical form and order."""
    which = np.flatnonzero(pieces.closed & chosen[pieces.owner])
    closed = pieces.take(which, number[pieces.owner[which]])
    words, first = from_first_corners(closed.words, closed.offsets)
    words, offsets, order = sorted_rings(words, closed.offsets, first, closed.owner)
    return Rings(words=words, offsets=offsets, first=first[order], owner=closed.owner[order])
