"""Labelled scenes in memory, and the scaling of their bands."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from segflow.errors import TrainingError
from segflow.segmentation.scaling import scale_pixels, scaling_of
from segflow.segmentation.spec import QUANTILES, BandSpec

_QUANTILE_PIXELS = 4_000_000  # that quantiles are taken of
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """A labelled scene in memory.

    Attributes
    ----------
    name
        The scene's name.
    pixels
        (bands, height, width) array in the scene's dtype.
    valid
        (height, width) bool array, True where there is data.
    labels
        (height, width) uint8 array of class values; 255 is ignored by loss and scores.
    """

    name: str
    pixels: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        if not self.pixels.shape[-2:] == self.valid.shape == self.labels.shape:
            shapes = (self.pixels.shape, self.valid.shape, self.labels.shape)
            msg = f"scene {self.name}: pixels, validity and labels must have one shape, got {shapes}"
            raise TrainingError(msg)


def normalise(pixels: npt.NDArray[Any], valid: npt.NDArray[np.bool_], bands: Sequence[BandSpec]) -> Floats:
    """Give ``(pixel - mean) / std`` as (bands, height, width) float32, 0 where not valid."""
    scaled: Floats = scale_pixels(
        torch.from_numpy(pixels.astype(np.float32)), *scaling_of(bands), torch.from_numpy(valid)[None]
    ).numpy()
    return scaled


def measure_bands(samples: Sequence[Sample], names: Sequence[str]) -> tuple[BandSpec, ...]:
    """Give the mean and the standard deviation of each band over all valid pixels.

    Raises
    ------
    TrainingError
        If there is no valid pixel, or a band has one value only.
    """
    counts = sum(int(sample.valid.sum()) for sample in samples)
    if not counts:
        msg = f"{len(samples)} training scenes hold no valid pixel: check their nodata values"
        raise TrainingError(msg)
    specs = []
    for index, name in enumerate(names):
        values = [sample.pixels[index][sample.valid].astype(np.float64) for sample in samples]
        mean = sum(float(v.sum()) for v in values) / counts
        std = (sum(float(((v - mean) ** 2).sum()) for v in values) / counts) ** 0.5
        if std == 0:
            msg = f"band {name} has the value {mean:g} in all training scenes: choose other bands"
            raise TrainingError(msg)
        specs.append(BandSpec(name=name, mean=round(mean, 4), std=round(std, 4)))
    return tuple(specs)


def measure_medians(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """Give the lowest and the highest median of a scene, for each band."""
    seen = [sample for sample in samples if sample.valid.any()]
    found = []
    for index in range(len(seen[0].pixels)):
        medians = [round(float(np.median(sample.pixels[index][sample.valid])), 6) for sample in seen]
        found.append((min(medians), max(medians)))
    return found


def measure_quantiles(samples: Sequence[Sample]) -> list[tuple[float, ...]]:
    """Give the quantiles of each band at the shares `QUANTILES`, over at most some million valid pixels.

    Of more pixels every n-th counts, so that the figures are the same each time.
    """
    step = max(1, sum(int(sample.valid.sum()) for sample in samples) // _QUANTILE_PIXELS)
    found = []
    for index in range(len(samples[0].pixels)):
        values = np.concatenate([sample.pixels[index][sample.valid][::step] for sample in samples]).astype(np.float64)
        found.append(tuple(round(float(value), 6) for value in np.quantile(values, QUANTILES)))
    return found
