"""`segflow demo`: a scene of our own making, the main job on it, and a score against its truth."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segflow.configs.run import RunSettings
from segflow.flows.products.entries import CLASSES, REPORT, VECTORS
from segflow.flows.progress import Progress
from segflow.flows.run.result import RunResult
from segflow.flows.run.segment import segment_scene
from segflow.io.demo.scene import write_demo_scene
from segflow.io.raster.maps import read_blocks
from segflow.io.scene.scenes import describe_scene
from segflow.segmentation.scores.metrics import Scores, confusion

FOREST = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What the demo made and how good it is.

    Attributes
    ----------
    run
        The run.
    scores
        Scores of the map against the demo's truth.
    """

    run: RunResult
    scores: Scores

    def describe(self) -> str:
        """Give the result as lines to read, with the files to open."""
        folder = self.run.folder
        vectors, classes, report = (folder / each.file_name(folder.name) for each in (VECTORS, CLASSES, REPORT))
        forest = f"IoU {self.scores.iou[FOREST]:.3f}, F1 {self.scores.f1[FOREST]:.3f}"
        return "\n".join(
            [
                self.run.describe(),
                f"forest against the demo's truth: {forest}, accuracy {self.scores.pixel_accuracy:.3f}",
                "",
                f"open in QGIS     {vectors} and {classes}",
                f"open in browser  {report}",
                f"then             segflow run YOUR_SCENE.tif · segflow verify {folder} --seams 8",
            ]
        )


def run_demo(folder: Path, progress: Progress) -> DemoResult:
    """Write the demo scene, map it with the default model and score the map.

    Parameters
    ----------
    folder
        Where scene, truth and products go.
    progress
        Who watches.

    Raises
    ------
    SegflowError
        If a step fails.
    """
    progress.note(f"writing the demo scene to {folder}")
    demo = write_demo_scene(folder)
    run = segment_scene(demo.scene, RunSettings(out=str(folder / "maps"), overwrite=True), progress)
    return DemoResult(run=run, scores=score_map(run.folder, demo.truth))


def score_map(folder: Path, truth: Path) -> Scores:
    """Score a map against a label raster on the same grid, block by block.

    Parameters
    ----------
    folder
        Folder of a run's products.
    truth
        Label raster, 255 where the truth is unknown.
    """
    classes = folder / CLASSES.file_name(folder.name)
    grid = describe_scene(truth).grid
    histogram = np.zeros((2, 2), np.int64)
    for found, reference in zip(read_blocks(classes, classes, grid), read_blocks(truth, truth, grid), strict=True):
        histogram += confusion(reference.labels, found.labels, 2)
    return Scores.of(histogram)
