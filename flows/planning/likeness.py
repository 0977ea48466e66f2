"""How like a scene is to what its model was trained on, and what else a look at its pixels tells."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from segflow.configs.run import RunSettings
from segflow.errors import SceneMismatchError
from segflow.flows.planning.reading import SceneReading
from segflow.io.inputs.sampling import SceneSample, Where, alpha_levels, sample_scene
from segflow.io.scene.access import Access
from segflow.io.scene.info import SceneInfo
from segflow.segmentation.spec import BandSpec, ModelSpec

WARN = 0.3  # shift above which the user is warned; of the shipped models' own scenes 1 of 68 is above it
COLLAR = 0.01  # share of equal pixels at the scene's corners above which the user is warned
ALPHA_LEVELS = 16  # more than soft edges have
ALPHA_BETWEEN = 0.05  # share of pixels that are neither clear nor opaque


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How like a scene's pixels are to those of a model's training scenes.

    Attributes
    ----------
    outside
        Share of the pixels that lie, in some band, outside the range of 98 % of the training pixels.
    band
        Name of the band that differs most.
    median, training_medians
        Median of that band, and the lowest and highest median of a training scene [unit of the pixels].
    away
        How far the median lies outside the range of those, in interquartile ranges of the training pixels; at most 1.
    """

    outside: float
    band: str
    median: float
    training_medians: tuple[float, float]
    away: float

    @property
    def shift(self) -> float:
        """How unlike the scene is: 0 like the training scenes, 1 nothing like them."""
        return max(self.outside, self.away)

    def describe(self) -> str:
        """Say it in words and figures."""
        low, high = self.training_medians
        return (
            f"{self.outside:.0%} of its pixels lie outside the range of 98 % of the training pixels; "
            f"median {self.band} {self.median:.4g}, of training scenes {low:.4g} to {high:.4g} (shift {self.shift:.2f})"
        )

    def as_dict(self) -> dict[str, Any]:
        """Give the figures as plain values for JSON."""
        return {
            "shift": round(self.shift, 4),
            "outside": round(self.outside, 4),
            "band": self.band,
            "median": self.median,
            "training_medians": list(self.training_medians),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look at a scene's pixels tells.

    Attributes
    ----------
    likeness
        How like they are to the training pixels; None where the model does not say how these were distributed.
    warnings
        What the user should know, a line each.
    """

    likeness: Likeness | None
    warnings: tuple[str, ...]


def look_at(reading: SceneReading, spec: ModelSpec, settings: RunSettings, access: Access) -> Look:
    """Look at some pixels of a scene, or of the area that is mapped.

    Raises
    ------
    SceneError
        If the scene cannot be opened.
    SceneMismatchError
        If it is less like the training scenes than `max_shift` allows.
    """
    scene, bands, area = reading.scene, reading.bands, reading.area
    where = None if area is None else Where(around=area.around, inside=area.inside)
    sample = sample_scene(scene, bands, access, where)
    likeness = measure_likeness(sample, spec.bands)
    name = scene.path.rsplit("/", 1)[-1]
    found = [*_collar(name, sample), *_alpha(name, scene, bands, access)]
    if likeness is not None and likeness.shift > WARN:
        found.append(f"{name} is unlike the scenes that {spec.name} was trained on: {likeness.describe()}")
    if settings.max_shift is not None and likeness is not None and likeness.shift > settings.max_shift:
        msg = (
            f"{scene.path} is unlike the scenes that model {spec.name} was trained on: {likeness.describe()}, but at "
            f"most {settings.max_shift:g} is allowed: choose another model, check bands and scale, or raise --max-shift"
        )
        raise SceneMismatchError(msg)
    return Look(likeness=likeness, warnings=tuple(found))


def measure_likeness(sample: SceneSample, bands: tuple[BandSpec, ...]) -> Likeness | None:
    """Compare pixels with those that a model was trained on; None without pixels, or where the model says nothing."""
    if not sample.pixels.shape[1] or not all(band.quantiles and band.medians for band in bands):
        return None
    values = sample.pixels.astype(np.float64)
    lows = np.array([band.quantiles[0] for band in bands])[:, None]
    highs = np.array([band.quantiles[-1] for band in bands])[:, None]
    outside = float(((values < lows) | (values > highs)).any(axis=0).mean())
    medians = np.median(values, axis=1)
    aways = [_away(float(median), band) for median, band in zip(medians, bands, strict=True)]
    worst = int(np.argmax(aways))
    low, high = bands[worst].medians[0], bands[worst].medians[-1]
    return Likeness(
        outside=outside,
        band=bands[worst].name,
        median=float(medians[worst]),
        training_medians=(low, high),
        away=min(1.0, aways[worst]),
    )


def _away(median: float, band: BandSpec) -> float:
    low, high = band.medians[0], band.medians[-1]
    spread = max(band.quantiles[4] - band.quantiles[2], float(np.finfo(np.float32).tiny))  # interquartile
    return max(low - median, median - high, 0.0) / spread


def _collar(name: str, sample: SceneSample) -> list[str]:
    if sample.collar <= COLLAR:
        return []
    values = [f"{value:g}" for value in sample.collar_values]
    same = len(set(values)) == 1
    text = values[0] if same else ", ".join(values)
    advice = f"--nodata {values[0]} makes them nodata" if same else "mask them, if they are no data (--mask)"
    return [f"{name}: about {sample.collar:.1%} of its pixels are {text} and joined to a corner: {advice}"]


def _alpha(name: str, scene: SceneInfo, bands: tuple[int, ...], access: Access) -> list[str]:
    if scene.alpha is None or scene.alpha in bands:
        return []
    levels, between = alpha_levels(scene, access)
    if levels <= ALPHA_LEVELS or between <= ALPHA_BETWEEN:
        return []
    text = (
        f"{name}: band {scene.alpha} is tagged as alpha, but has {levels} levels and looks like measurements; its "
        "pixels of 0 are nodata: --no-alpha takes it as a band like others"
    )
    return [text]
