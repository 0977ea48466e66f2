"""The objects of one block of a class raster: complete ones, and parts that other blocks continue.

The result depends on the pixels of the block alone, so blocks can be traced in any order and by many workers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.blocks import Block
from segflow.segmentation.vectors.components import Sides, Statistics, find_components, flags_at
from segflow.segmentation.vectors.polygons.boundaries import trace_boundaries
from segflow.segmentation.vectors.polygons.boundary_parts import BoundaryParts
from segflow.segmentation.vectors.polygons.packed_corners import PackedCorners
from segflow.segmentation.vectors.polygons.rings import from_first_corners, sorted_rings
from segflow.tiling import Window

NO_PART = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rings:
    """Rings that start at their first corners in row-major order, sorted by owner and first corner.

    Attributes
    ----------
    packed
        (n,) int64 array: the corners of all rings, one ring after the other.
    offsets
        (rings + 1,) int64 array: ring i has the corners ``packed[offsets[i]:offsets[i + 1]]``.
    first
        (rings,) int64 array: the first corners.
    owner
        (rings,) int64 array: numbers of the objects.
    """

    packed: PackedCorners
    offsets: NDArray[np.int64]
    first: PackedCorners
    owner: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SidePixels:
    """The pixels along one side of a block.

    Attributes
    ----------
    labels
        (n,) uint8 array: their classes.
    parts
        (n,) int64 array: the parts of objects that they belong to; NO_PART where the class is not traced.
    """

    labels: NDArray[np.uint8]
    parts: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedBlock:
    """The objects of one block, and the pixels along its sides.

    Attributes
    ----------
    window
        Window of the block in the scene.
    inner
        The sides beyond which another block lies.
    whole, whole_rings
        Objects without a pixel at an inner side, and their rings; they are complete.
    parts, part_rings, chains
        Parts of objects with a pixel at an inner side, their rings, and chains: boundaries that other blocks continue.
    top, left, bottom, right
        The pixels along its sides; they refer to parts by their index in `parts`.
    """

    window: Window
    inner: Sides
    whole: Statistics
    whole_rings: Rings
    parts: Statistics
    part_rings: Rings
    chains: BoundaryParts
    top: SidePixels
    left: SidePixels
    bottom: SidePixels
    right: SidePixels


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
        Keep the corners where three or more boundaries meet, also where a boundary runs straight on.
    """
    rows, cols = block.window.rows, block.window.cols
    inner = Sides.of(block.window, scene)
    found = find_components(block.labels, block.confidence, inner)
    chosen = wanted[found.statistics.value]
    reaching = flags_at(found.ids[inner.border_mask(block.labels.shape)], len(chosen)) & chosen
    growing = np.where(reaching, found.statistics.value, np.int16(-1))
    whole = chosen & ~reaching
    number = np.where(reaching, np.cumsum(reaching), np.cumsum(whole)) - 1
    origin = rows.start, cols.start
    boundaries = trace_boundaries(found.ids, chosen, growing, inner, origin, nodes=nodes)
    chains = np.flatnonzero(~boundaries.closed)
    parts = np.where(reaching, number, NO_PART)

    def side_pixels(side: tuple[slice | int, slice | int]) -> SidePixels:
        return SidePixels(labels=block.labels[side].copy(), parts=parts[found.ids[side]])

    everything = slice(None)
    return TracedBlock(
        window=block.window,
        inner=inner,
        whole=found.statistics.take(whole),
        whole_rings=_rings(boundaries, number, whole),
        parts=found.statistics.take(reaching),
        part_rings=_rings(boundaries, number, reaching),
        chains=boundaries.take(chains, number[boundaries.owner[chains]]),
        top=side_pixels((0, everything)),
        left=side_pixels((everything, 0)),
        bottom=side_pixels((-1, everything)),
        right=side_pixels((everything, -1)),
    )


def _rings(boundaries: BoundaryParts, number: NDArray[np.int64], chosen: NDArray[np.bool_]) -> Rings:
    """Give the rings of the chosen components."""
    which = np.flatnonzero(boundaries.closed & chosen[boundaries.owner])
    closed = boundaries.take(which, number[boundaries.owner[which]])
    packed, first = from_first_corners(closed.packed, closed.offsets)
    packed, offsets, order = sorted_rings(packed, closed.offsets, first, closed.owner)
    return Rings(packed=packed, offsets=offsets, first=first[order], owner=closed.owner[order])
