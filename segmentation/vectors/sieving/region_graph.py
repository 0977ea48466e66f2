"""The regions of a whole scene and their borders, joined from those of its blocks and merged while small ones go."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segflow.segmentation.vectors.components import flags_at, group_linked
from segflow.segmentation.vectors.sieving.regions import RegionBlock, Regions, count_pairs
from segflow.tiling import Window


class RegionJoiner:
    """Joins the regions of blocks, which come in row-major order, to those of the scene."""

    def __init__(self, scene: Window) -> None:
        self._blocks: list[Regions] = []
        self._starts: list[int] = []
        self._count = 0
        self._equal: list[NDArray[np.int64]] = []  # (n, 2) arrays: regions of one class that meet across seams
        self._pairs: list[NDArray[np.int64]] = []
        self._lengths: list[NDArray[np.int64]] = []
        self._values = np.zeros(0, np.uint8)
        self._above = np.zeros(len(scene.cols), np.int64)
        self._above_values = np.zeros(len(scene.cols), np.uint8)
        self._left = np.zeros(0, np.int64)
        self._left_values = np.zeros(0, np.uint8)

    def add(self, block: RegionBlock) -> None:
        """Add the next block."""
        start, values, cols = self._count, block.regions.value, block.window.cols.slice
        self._starts.append(start)
        self._blocks.append(block.regions)
        self._count += len(block.regions)
        self._pairs.append(block.pairs.astype(np.int64) + start)
        self._lengths.append(block.lengths)
        if block.inner.top:
            self._join(self._above[cols], self._above_values[cols], block.top + start, values[block.top])
        if block.inner.left:
            self._join(self._left, self._left_values, block.left + start, values[block.left])
        self._left, self._left_values = block.right.astype(np.int64) + start, values[block.right]
        self._above[cols], self._above_values[cols] = block.bottom.astype(np.int64) + start, values[block.bottom]

    def _join(
        self,
        one: NDArray[np.int64],
        values: NDArray[np.uint8],
        other: NDArray[np.integer],
        other_values: NDArray[np.uint8],
    ) -> None:
        equal = values == other_values
        self._equal.append(np.stack([one[equal], other[equal]], axis=1))
        pairs, lengths = count_pairs(one[~equal], other[~equal])
        self._pairs.append(pairs)
        self._lengths.append(lengths)

    def finish(self) -> "RegionGraph":
        """Give the scene's regions."""
        none = np.zeros((0, 2), np.int64)
        links = np.concatenate([none, *self._equal])
        count, of_part = group_linked(links[:, 0], links[:, 1], self._count)
        parts = Regions.concatenate(self._blocks)
        value, first = np.zeros(count, np.uint8), np.full(count, np.iinfo(np.int64).max)
        value[of_part] = parts.value
        np.minimum.at(first, of_part, parts.first)
        regions = Regions(
            value=value,
            first=first,
            n_px=np.bincount(of_part, parts.n_px, count).astype(np.int64),
            units=np.bincount(of_part, parts.units, count).astype(np.int64),
            edge=flags_at(of_part[parts.edge], count),
        )
        pairs = of_part[np.concatenate([none, *self._pairs])]
        pairs, lengths = count_pairs(pairs[:, 0], pairs[:, 1], np.concatenate([np.zeros(0, np.int64), *self._lengths]))
        return RegionGraph(
            regions=regions, pairs=pairs, lengths=lengths, of_part=of_part, starts=np.array(self._starts)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionGraph:
    """The regions of a scene and their borders.

    Attributes
    ----------
    regions
        The regions.
    pairs, lengths
        (m, 2) and (m,) int64 arrays: regions that meet, and in how many pixel edges.
    of_part
        (parts,) int32 array: the region of each region of a block.
    starts
        (blocks,) int64 array: number of each block's first one among the parts.
    """

    regions: Regions
    pairs: NDArray[np.int64]
    lengths: NDArray[np.int64]
    of_part: NDArray[np.int32]
    starts: NDArray[np.int64]

    def part(self, block: int) -> NDArray[np.int32]:
        """Give the region of each region of a block."""
        stop = self.starts[block + 1] if block + 1 < len(self.starts) else len(self.of_part)
        return self.of_part[self.starts[block] : stop]


@dataclass(frozen=True, slots=True, kw_only=True)
class BorderGraph:
    """Regions and their borders while small ones are merged; attributes as of `Regions` and `RegionGraph`."""

    value: NDArray[np.uint8]
    first: NDArray[np.int64]
    units: NDArray[np.int64]
    edge: NDArray[np.bool_]
    pairs: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def merge(self, into: NDArray[np.integer], count: int, value: NDArray[np.uint8]) -> "BorderGraph":
        """Merge the regions that have the same number in `into`; `value` holds the classes of all regions."""
        first, merged = np.full(count, np.iinfo(np.int64).max), np.zeros(count, np.uint8)
        np.minimum.at(first, into, self.first)
        merged[into] = value
        edge = np.zeros(count, bool)
        edge[into[self.edge]] = True
        pairs = into[self.pairs]
        apart = pairs[:, 0] != pairs[:, 1]
        pairs, lengths = count_pairs(pairs[apart, 0], pairs[apart, 1], self.lengths[apart])
        units = np.bincount(into, self.units, count).astype(np.int64)
        return BorderGraph(value=merged, first=first, units=units, edge=edge, pairs=pairs, lengths=lengths)
