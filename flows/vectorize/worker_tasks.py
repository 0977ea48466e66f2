"""What workers find out about a map apart from its polygons: the values it holds, and its summary.

Nothing here loads torch, pyogrio or Dask, so that worker processes are small and start quickly.
"""

from dataclasses import dataclass

import numpy as np

from segflow.flows.vectorize.worker_files import MapBlocks
from segflow.segmentation.summary import MapSummary
from segflow.segmentation.vectors.blocks import Block
from segflow.segmentation.vectors.execution import BlockTask
from segflow.segmentation.vectors.polygons.pipeline import Inspection
from segflow.tiling import Grid, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuesTask:
    """One block of a map whose values are listed."""

    source: MapBlocks
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Summarise:
    """Gives the summary of one block of a map with this grid."""

    grid: Grid

    def __call__(self, block: Block) -> MapSummary:
        """Count pixels, areas and confidences of one block."""
        summary = MapSummary(self.grid)
        summary.add(block.window, block.labels, block.confidence)
        return summary


def summarising(summary: MapSummary, grid: Grid) -> Inspection:
    """Give the inspection that adds all blocks of a map to its summary, while they are read for polygons."""
    return Inspection(inspect=Summarise(grid=grid), collect=summary.merge)


def summarise_block(task: BlockTask) -> MapSummary:
    """Read one block and give its summary."""
    return Summarise(grid=task.source.grid)(task.source.read(task.window))


def list_values(task: ValuesTask) -> list[int]:
    """Give the values that one block of a class raster holds, nodata included."""
    values: list[int] = np.unique(task.source.read_values(task.window)).tolist()
    return values
