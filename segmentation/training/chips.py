"""Training chips cut at random from scenes in memory, turned, mirrored and tinted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segflow.errors import TrainingError
from segflow.segmentation.spec import NODATA, BandSpec

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tint:
    """How strongly light varies from chip to chip, as standard deviations.

    Attributes
    ----------
    gain
        Of the logarithm of a factor on all bands: sun and season.
    band_gain
        Of the logarithm of a factor on each band.
    haze
        Of a summand on all bands [std of the band].
    band_haze
        Of a summand on each band [std of the band].
    """

    gain: float = 0.1
    band_gain: float = 0.05
    haze: float = 0.1
    band_haze: float = 0.05


def normalise(pixels: npt.NDArray[Any], valid: npt.NDArray[np.bool_], bands: Sequence[BandSpec]) -> Floats:
    """Give ``(pixel - mean) / std`` as (bands, height, width) float32, 0 where not valid."""
    mean = np.array([band.mean for band in bands], np.float32)[:, None, None]
    std = np.array([band.std for band in bands], np.float32)[:, None, None]
    return np.where(valid, (pixels.astype(np.float32) - mean) / std, np.float32(0))


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


def random_chips(
    samples: Sequence[Sample],
    bands: Sequence[BandSpec],
    *,
    size: int,
    turn: bool,
    tint: Tint,
    random: np.random.Generator,
) -> Iterator[tuple[Floats, npt.NDArray[np.uint8]]]:
    """Give chips without end; the same generator state gives the same chips.

    Every scene is as likely as its number of places for a chip.

    Parameters
    ----------
    samples
        The scenes, each at least `size` on a side.
    bands
        Scaling of their bands.
    size
        Side of a chip [px].
    turn
        Whether chips are turned and mirrored: the eight symmetries of a square.
    tint
        How strongly light varies.
    random
        Where chance comes from.

    Yields
    ------
    (bands, size, size) float32 normalised pixels, 0 where not valid, and (size, size) uint8
    labels, 255 where not valid.
    """
    places = np.array([(s.labels.shape[0] - size + 1) * (s.labels.shape[1] - size + 1) for s in samples], float)
    while True:
        sample = samples[random.choice(len(samples), p=places / places.sum())]
        height, width = sample.labels.shape
        top, left = random.integers(height - size + 1), random.integers(width - size + 1)
        box = (slice(top, top + size), slice(left, left + size))
        valid = sample.valid[box]
        pixels = tint_chip(sample.pixels[:, *box].astype(np.float32), bands, tint, random)
        chip, labels = normalise(pixels, valid, bands), np.where(valid, sample.labels[box], np.uint8(NODATA))
        if turn:
            chip, labels = turn_chip(chip, labels, int(random.integers(8)))
        yield chip, labels


def tint_chip(pixels: Floats, bands: Sequence[BandSpec], tint: Tint, random: np.random.Generator) -> Floats:
    """Give (bands, h, w) pixels under another light and another haze."""
    std = np.array([band.std for band in bands], np.float32)
    gain = np.exp(tint.gain * random.standard_normal() + tint.band_gain * random.standard_normal(len(bands)))
    haze = std * (tint.haze * random.standard_normal() + tint.band_haze * random.standard_normal(len(bands)))
    return (pixels * gain[:, None, None] + haze[:, None, None]).astype(np.float32)


def turn_chip(chip: Floats, labels: npt.NDArray[np.uint8], symmetry: int) -> tuple[Floats, npt.NDArray[np.uint8]]:
    """Give a chip and its labels under one of the eight symmetries of the square, 0 being none."""
    quarter, mirror = symmetry % 4, symmetry >= 4  # noqa: PLR2004
    chip, labels = np.rot90(chip, quarter, (-2, -1)), np.rot90(labels, quarter)
    if mirror:
        chip, labels = chip[..., ::-1], labels[..., ::-1]
    return np.ascontiguousarray(chip), np.ascontiguousarray(labels)
