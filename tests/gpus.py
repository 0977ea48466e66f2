"""Stand-ins for a GPU's engine, and how maps of two devices are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from segflow.segmentation.predict.engines import Prediction, TorchEngine
from segflow.tiling import Window


@dataclass(frozen=True)
class FakeStaged:
    """Plain memory for one tile."""

    pixels: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_]


class FakeFlight:
    """A core that is there at once."""

    def __init__(self, prediction: Prediction) -> None:
        self.prediction = prediction
        self.landed = self

    def synchronize(self) -> None:
        """Wait for nothing."""

    def land(self) -> Prediction:
        return self.prediction


class FakeCudaEngine:
    """Answers as a GPU's engine does, on a CPU, as long as no more than `room` tiles come at once."""

    def __init__(self, engine: TorchEngine, room: int = 64) -> None:
        self.engine, self.room = engine, room
        self.classes, self.probabilities = engine.classes, engine.probabilities
        self.preferred_batch = 8
        self.sizes: list[int] = []

    def fitting_batch(self, shape: tuple[int, int]) -> int:
        return max(1, 2**18 // (shape[0] * shape[1]))

    def stage(self, dtype: npt.DTypeLike, bands: int, shape: tuple[int, int]) -> FakeStaged:
        return FakeStaged(np.full((bands, *shape), 77, dtype), np.ones(shape, bool))

    def start(self, batch: Sequence[FakeStaged], cores: Sequence[Window]) -> list[FakeFlight]:
        self.sizes.append(len(batch))
        if len(batch) > self.room:
            raise torch.OutOfMemoryError
        found = self.engine.predict(np.stack([tile.pixels for tile in batch]), np.stack([tile.valid for tile in batch]))
        return [FakeFlight(found.crop(index, core)) for index, core in enumerate(cores)]


def count_changes(
    found: npt.NDArray[np.uint8], expected: npt.NDArray[np.uint8], shares: npt.NDArray[np.floating], near: float
) -> tuple[int, int]:
    """Count the pixels whose class differs, and those of them that are no near-ties.

    Parameters
    ----------
    found, expected
        (n, height, width) labels.
    shares
        (n, classes, height, width) probabilities behind `expected`.
    near
        Two classes are a near-tie where their probabilities differ by less.
    """
    ordered = np.sort(shares, axis=1)
    differ = (found != expected) & (expected != 255)
    return int(np.count_nonzero(differ)), int(np.count_nonzero(differ & (ordered[:, -1] - ordered[:, -2] >= near)))
