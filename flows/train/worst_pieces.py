"""Pieces of scenes with the lowest mean IoU."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segflow.segmentation.scores.metrics import Scores, confusion

SIDE = 256  # px
_LABELLED = 0.05  # share of a piece that must have a label
_PRESENT = 0.01  # share of the labelled pixels that a class must have in truth or prediction to count


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of a scene.

    Attributes
    ----------
    scene
        Name of the scene.
    row, col, height, width
        Where it lies [px].
    iou, wrong
        Mean IoU, and share of the labelled pixels that are wrong.
    """

    scene: str
    row: int
    col: int
    height: int
    width: int
    iou: float
    wrong: float

    @property
    def box(self) -> tuple[slice, slice]:
        """Where it lies, as slices of rows and columns."""
        return slice(self.row, self.row + self.height), slice(self.col, self.col + self.width)

    @property
    def rank(self) -> tuple[float, float, str, int, int]:
        """The sorting key of pieces: the worst first, equal ones by scene and place."""
        return self.iou, -self.wrong, self.scene, self.row, self.col


def cut_pieces(
    scene: str, truth: npt.NDArray[np.uint8], prediction: npt.NDArray[np.uint8], classes: int, *, side: int = SIDE
) -> list[Piece]:
    """Cut a scene into pieces that do not overlap and score each; those with few labels are left out.

    The mean IoU of a piece is that of the classes that hold at least one of a hundred of its pixels:
    else a single pixel of a class that is missed would outweigh a whole forest.
    """
    pieces = []
    for row in range(0, truth.shape[0], side):
        for col in range(0, truth.shape[1], side):
            box = (slice(row, row + side), slice(col, col + side))
            counts = confusion(truth[box], prediction[box], classes)
            total, size = int(counts.sum()), truth[box].size
            if total < max(1.0, _LABELLED * size):
                continue
            ious = np.array(Scores.of(counts).iou)
            present = np.maximum(counts.sum(0), counts.sum(1)) >= _PRESENT * total
            height, width = truth[box].shape
            pieces.append(
                Piece(
                    scene=scene,
                    row=row,
                    col=col,
                    height=height,
                    width=width,
                    iou=float(ious[present].mean()),
                    wrong=1 - int(np.trace(counts)) / total,
                )
            )
    return pieces
