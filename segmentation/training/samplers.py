"""Samplers of chips: at random among all windows with a label, or with equal shares of the classes.

torchgeo's `RandomGeoSampler` draws the scene from torch's global generator and never reaches a
scene's last row and column of places. These two draw from a generator that seed and epoch
determine, reach every window, and skip windows without a label.
"""

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from torchgeo.datasets.utils import GeoSlice
from torchgeo.samplers import GeoSampler

from segflow.errors import TrainingError
from segflow.segmentation.training.atlas import Atlas
from segflow.tiling import NODATA

_TRIES = 64  # places drawn before a labelled pixel is sought instead
_PIXELS = 100_000  # kept per scene and class: as good as all of them, and 400 kB


class ChipSampler(GeoSampler):
    """Square windows of an atlas, the same ones for the same seed and epoch.

    Parameters
    ----------
    atlas
        The scenes, each at least `size` a side.
    size
        Side of a chip [px].
    length
        Chips per epoch.
    seed
        Of the places.

    Attributes
    ----------
    epoch
        Which epoch's places come next; set before every one.
    """

    def __init__(self, atlas: Atlas, *, size: int, length: int, seed: int) -> None:
        super().__init__(atlas)
        self.atlas, self.size, self.length, self.seed = atlas, size, length, seed
        self.epoch = 0

    def __len__(self) -> int:
        """Give the number of chips per epoch."""
        return self.length

    def __iter__(self) -> Iterator[GeoSlice]:
        """Give a window for each chip of the epoch."""
        random = np.random.default_rng((self.seed, self.epoch))
        for _ in range(self.length):
            yield self.atlas.query(*self.draw(random), self.size)

    @abstractmethod
    def draw(self, random: np.random.Generator) -> tuple[int, int, int]:
        """Give the number of a scene, and the first row and column of a chip in it."""

    def _around(self, index: int, row: int, column: int, random: np.random.Generator) -> tuple[int, int, int]:
        """Give a place whose chip holds a pixel, wherever in the chip it comes to lie."""
        height, width = self.atlas.samples[index].labels.shape
        top, left = row - random.integers(self.size), column - random.integers(self.size)
        return index, int(np.clip(top, 0, height - self.size)), int(np.clip(left, 0, width - self.size))


class UniformSampler(ChipSampler):
    """Every window with a labelled pixel is equally likely, so large scenes are drawn more often."""

    def __init__(self, atlas: Atlas, *, size: int, length: int, seed: int) -> None:
        super().__init__(atlas, size=size, length=length, seed=seed)
        shapes = [sample.labels.shape for sample in atlas.samples]
        places = np.array([(height - size + 1) * (width - size + 1) for height, width in shapes], float)
        labelled = [bool(np.any(s.valid & (s.labels != NODATA))) for s in atlas.samples]
        if not any(labelled):
            msg = "no training scene has a labelled pixel: check `labels` and `background`"
            raise TrainingError(msg)
        self._shares = places * labelled / (places * labelled).sum()

    def draw(self, random: np.random.Generator) -> tuple[int, int, int]:
        """Give a place by trying until its chip has a label."""
        for _ in range(_TRIES):
            index = int(random.choice(len(self._shares), p=self._shares))
            sample = self.atlas.samples[index]
            height, width = sample.labels.shape
            top, left = (int(random.integers(side - self.size + 1)) for side in (height, width))
            box = (slice(top, top + self.size), slice(left, left + self.size))
            if np.any(sample.valid[box] & (sample.labels[box] != NODATA)):
                return index, top, left
        rows, columns = np.nonzero(sample.valid & (sample.labels != NODATA))
        pixel = random.integers(len(rows))
        return self._around(index, int(rows[pixel]), int(columns[pixel]), random)


class BalancedSampler(ChipSampler):
    """Every class that occurs is equally likely: a chip is cut around a random pixel of it."""

    def __init__(self, atlas: Atlas, *, size: int, length: int, seed: int, classes: int) -> None:
        super().__init__(atlas, size=size, length=length, seed=seed)
        random = np.random.default_rng(seed)
        self._pixels: dict[tuple[int, int], npt.NDArray[np.int64]] = {}
        counts = np.zeros((classes, len(atlas.samples)))
        for index, sample in enumerate(atlas.samples):
            for value in range(classes):
                found = np.flatnonzero(sample.valid & (sample.labels == value))
                counts[value, index] = len(found)
                kept = found if len(found) <= _PIXELS else random.choice(found, _PIXELS, replace=False)
                self._pixels[value, index] = kept
        self._classes = np.flatnonzero(counts.sum(1))
        if not self._classes.size:
            msg = "no training scene has a labelled pixel: check `labels` and `background`"
            raise TrainingError(msg)
        self._shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)

    def draw(self, random: np.random.Generator) -> tuple[int, int, int]:
        """Give a place by class, then scene, then pixel."""
        value = int(random.choice(self._classes))
        index = int(random.choice(len(self.atlas.samples), p=self._shares[value]))
        pixel = int(random.choice(self._pixels[value, index]))
        row, column = divmod(pixel, self.atlas.samples[index].labels.shape[1])
        return self._around(index, row, column, random)
