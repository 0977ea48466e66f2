"""Objects joined across the seams between blocks.

The plan
--------
Blocks arrive in row-major order. Across each seam, adjacent pixels of one class link the parts of objects that they
belong to; adjacent pixels of different classes give boundary edges, which tracing left out along the sides of blocks.
At the end of a row of blocks the linked parts are merged (connected components of a graph) and chains of boundaries are
closed to rings where possible. Objects without a pixel in the last row of pixels are complete and are given out.
Corners are kept in a store; memory holds a few numbers for each ring and chain of the objects that are incomplete.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.block_order import BlockOrder
from segflow.segmentation.vectors.components import Statistics, flags_at, group_linked
from segflow.segmentation.vectors.polygons.chains import UNKNOWN, Chains, close_rings
from segflow.segmentation.vectors.polygons.edges import DOWN, LEFT, RIGHT, UP, find_runs
from segflow.segmentation.vectors.polygons.objects import StoredObjects, gather_rings, store_whole
from segflow.segmentation.vectors.polygons.packed_corners import NODE, Store, pack, unpack, without_flags
from segflow.segmentation.vectors.polygons.rings import StoredRings
from segflow.segmentation.vectors.polygons.tracing import NO_PART, Rings, SidePixels, TracedBlock
from segflow.tiling import NODATA, Span, Window

_NONE = np.zeros(0, np.int64)


class Seams:
    """Joins the traced blocks of a scene, which are added in row-major order.

    Parameters
    ----------
    scene
        The window of all pixels.
    store
        Keeps the corners of rings and chains.
    nodes
        Mark the corners where three or more boundaries meet; this needs all classes to be traced, and nodata.
    """

    def __init__(self, scene: Window, store: Store, *, nodes: bool = False) -> None:
        width = len(scene.cols)
        self._scene = scene
        self._store = store
        self._nodes = nodes
        self._order = BlockOrder(scene)
        self._count = 0  # number of parts of incomplete objects
        self._statistics: list[Statistics] = []  # of these parts, in the order of their numbers
        self._rings: list[StoredRings] = []  # of these parts
        self._chains: list[Chains] = []  # of these parts
        self._links: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._beside_nodata: list[NDArray[np.int64]] = []
        self._above = SidePixels(labels=np.zeros(width, np.uint8), parts=np.full(width, NO_PART))  # across the scene
        self._below = self._above
        self._left = self._above

    def add(self, block: TracedBlock) -> Iterator[StoredObjects]:
        """Add the next block, and give the objects that it completes.

        Raises
        ------
        ValueError
            If it is not the next block.
        """
        window = block.window
        self._order.add(window)
        if window.cols.start == 0:
            self._below = SidePixels(labels=self._above.labels.copy(), parts=np.full_like(self._above.parts, NO_PART))
        yield store_whole(block.whole, block.whole_rings, self._store)
        first = self._count
        self._statistics.append(block.parts)
        self._count += len(block.parts)
        self._rings.append(_stored(block.part_rings, first, self._store))
        self._chains.append(_stored_chains(block, first, self._store))
        if block.inner.top:
            above = _part_of(self._above, window.cols)
            self._join(above, _numbered(block.top, first), (window.cols.start, window.rows.start), level=True)
        if block.inner.left:
            self._join(self._left, _numbered(block.left, first), (window.cols.start, window.rows.start), level=False)
        self._left = _numbered(block.right, first)
        bottom = _numbered(block.bottom, first)
        self._below.labels[window.cols.slice] = bottom.labels
        self._below.parts[window.cols.slice] = bottom.parts
        if not block.inner.right:
            yield self._end_row(window.rows.stop)

    def check_complete(self) -> None:
        """Check that all blocks were added.

        Raises
        ------
        ValueError
            If blocks are missing.
        """
        self._order.check_complete()

    def _join(self, one: SidePixels, other: SidePixels, corner: tuple[int, int], *, level: bool) -> None:
        """Join the pixels on both sides of a seam that starts at `corner` and runs right (`level`) or down."""
        differ = one.labels != other.labels
        equal = ~differ & (one.parts != NO_PART)
        self._links.append((one.parts[equal], other.parts[equal]))
        for mine, its, directions in ((one, other, (LEFT, DOWN)), (other, one, (RIGHT, UP))):
            own = differ & (mine.parts != NO_PART)
            self._beside_nodata.append(mine.parts[own & (its.labels == NODATA)])
            uncut = np.diff(mine.parts) == 0
            if self._nodes:
                uncut &= np.diff(its.parts) == 0
            places = find_runs(own[None], uncut[None])
            self._chains.append(_edges(directions[0 if level else 1], *places, mine.parts, corner))

    def _end_row(self, row: int) -> StoredObjects:
        """Merge linked parts, close rings, and give the objects that are complete; `row` is the next row of pixels."""
        links = [np.concatenate(side) for side in zip((_NONE, _NONE), *self._links, strict=True)]
        count, of_part = group_linked(links[0], links[1], self._count)
        parts = Statistics.concatenate(self._statistics)
        parts.touches_nodata[np.concatenate([_NONE, *self._beside_nodata])] = True
        objects = parts.merge(of_part, count)
        ends = row == len(self._scene.rows)
        reach = self._below.parts
        waits = flags_at(of_part[reach[reach != NO_PART]], count) & (not ends)
        rings = self._close(of_part, objects, waits, visible=row + ends)
        number = np.where(waits, np.cumsum(waits), np.cumsum(~waits)) - 1
        stays = waits[rings.owner]
        rings = replace(rings, owner=number[rings.owner])
        self._rings = [rings.take(stays)]
        self._chains = [replace(chains, owner=number[chains.owner]) for chains in self._chains]
        self._statistics, self._count = [objects.take(waits)], int(waits.sum())
        self._links, self._beside_nodata = [], []
        self._above = SidePixels(
            labels=self._below.labels,
            parts=np.where(reach == NO_PART, NO_PART, number[of_part[reach]] if count else reach),
        )
        return gather_rings(objects.take(~waits), rings.take(~stays), self._store)

    def _close(
        self, of_part: NDArray[np.int32], objects: Statistics, waits: NDArray[np.bool_], *, visible: int
    ) -> StoredRings:
        """Close the chains that can be closed, and give all rings with the numbers of their objects."""
        chains = Chains.concatenate(self._chains)
        chains = replace(chains, owner=of_part[chains.owner].astype(np.int64))
        rings = StoredRings.of(self._rings)
        rings = replace(rings, owner=of_part[rings.owner].astype(np.int64))
        if self._nodes:
            chains = chains.find_nodes(self._scene, visible)
        closed, chains = close_rings(chains, chains.successors(objects.value, waits), self._store)
        self._chains = [chains]
        return StoredRings.of([rings, closed])


def _part_of(side_pixels: SidePixels, span: Span) -> SidePixels:
    return SidePixels(labels=side_pixels.labels[span.slice], parts=side_pixels.parts[span.slice])


def _numbered(side_pixels: SidePixels, first: int) -> SidePixels:
    """Give the pixels with the numbers of their parts increased by `first`."""
    return SidePixels(
        labels=side_pixels.labels, parts=np.where(side_pixels.parts == NO_PART, NO_PART, side_pixels.parts + first)
    )


def _stored(rings: Rings, first: int, store: Store) -> StoredRings:
    """Put rings into the store; the numbers of their owners are increased by `first`."""
    place = store.append(rings.packed) + rings.offsets[:-1] * 8
    return StoredRings(owner=rings.owner + first, first=rings.first, place=place, count=np.diff(rings.offsets))


def _stored_chains(block: TracedBlock, first: int, store: Store) -> Chains:
    """Put the chains of a block into the store; the numbers of their owners are increased by `first`."""
    boundaries = block.chains
    starts = boundaries.offsets[:-1]
    head = boundaries.packed[starts]
    col, row = unpack(head).T
    rows, cols, inner = block.window.rows, block.window.cols, block.inner
    hidden = (inner.top & (row == rows.start)) | (inner.bottom & (row == rows.stop))
    hidden |= (inner.left & (col == cols.start)) | (inner.right & (col == cols.stop))
    return Chains(
        head=without_flags(head),
        end=boundaries.end,
        leaves=boundaries.leaves,
        arrives=boundaries.arrives,
        owner=boundaries.owner + first,
        node=np.where(hidden, UNKNOWN, head & NODE).astype(np.int8),
        place=store.append(boundaries.packed) + starts * 8,
        count=boundaries.lengths,
    )


def _edges(
    direction: int,
    first: NDArray[np.intp],
    last: NDArray[np.intp],
    parts: NDArray[np.int64],
    corner: tuple[int, int],
) -> Chains:
    """Give the edges along a seam as chains of one edge each."""
    axis = 0 if direction in (RIGHT, LEFT) else 1
    ends = np.tile(np.array(corner, np.int32), (2, len(first), 1))
    ends[0, :, axis] += first.astype(np.int32)
    ends[1, :, axis] += last.astype(np.int32) + 1
    start, end = (pack(side) for side in (ends if direction in (RIGHT, DOWN) else ends[::-1]))
    directions = np.full(len(first), direction, np.int8)
    return Chains(
        head=start,
        end=end,
        leaves=directions,
        arrives=directions,
        owner=parts[first],
        node=np.full(len(first), UNKNOWN, np.int8),
        place=np.full(len(first), -1),
        count=np.ones(len(first), np.int64),
    )
