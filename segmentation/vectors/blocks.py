"""One block of a class raster and its confidence: the input of polygons, centrelines and the minimum mapping unit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segflow.tiling import Window

LARGEST = 2**28  # px; corners are counted in 32 bits, and tracing a block of this size takes 10 GB


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
        (height, width) uint8 array: confidences [%]; ignored where `labels` is nodata.
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
