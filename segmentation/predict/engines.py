"""What an engine is: pixels in, labels and confidence out, on whatever device there is."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from segflow.tiling import NODATA, Window

Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """What an engine answers.

    Attributes
    ----------
    labels
        (n, height, width) uint8 array: the most probable class, 255 where not valid.
    confidence
        (n, height, width) uint8 array: its probability [%], 255 where not valid.
    probabilities
        (n, classes, height, width) uint8 array: probability of each class × 200, 255 where
        not valid; or None.
    """

    labels: npt.NDArray[np.uint8]
    confidence: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.uint8] | None = None

    def crop(self, index: int, window: Window) -> Self:
        """Give the prediction of tile `index` in `window`, without the first axis."""
        return type(self)(
            labels=self.labels[index, *window.slices],
            confidence=self.confidence[index, *window.slices],
            probabilities=None if self.probabilities is None else self.probabilities[index, :, *window.slices],
        )

    def hide(self, where: npt.NDArray[np.bool_]) -> Self:
        """Give the prediction of one tile with nodata where the (height, width) array says so."""
        nodata = np.uint8(NODATA)
        return type(self)(
            labels=np.where(where, nodata, self.labels),
            confidence=np.where(where, nodata, self.confidence),
            probabilities=None if self.probabilities is None else np.where(where, nodata, self.probabilities),
        )


class Engine(Protocol):
    """Predicts batches of tiles: all that tiles, plans and checks need to know of an engine.

    Attributes
    ----------
    preferred_batch
        Tiles per call; lowered when more do not fit into memory.
    classes
        Number of classes.
    probabilities
        Whether predictions hold the probability of every class.
    precision
        What the network computes in.
    """

    preferred_batch: int
    classes: int
    probabilities: bool
    precision: Precision

    @property
    def seconds(self) -> float:
        """Time spent inside the network so far [s]."""

    def predict(self, pixels: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> Prediction:
        """Map a batch of tiles.

        Parameters
        ----------
        pixels
            (n, bands, height, width) array in the scene's dtype.
        valid
            (n, height, width) bool array, True where there is data.
        """
