"""What labels there are on each scene: pixels, area and polygons by class, and what was repaired or overlaps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from segflow.configs.training import TrainSettings
from segflow.flows.access import training_access
from segflow.flows.train.label_source import SceneLabels, cut_windows, find_labels, find_scenes
from segflow.io.labels.polygons import IGNORE, LabelPolygons, count_outside
from segflow.io.labels.rasters import LabelRaster, tally_notes
from segflow.io.scene.scenes import describe_scene, gsd, open_scene, select_bands
from segflow.io.vector.source import composed

_HECTARE = 10_000.0  # m²
_SHOWN = 8  # names in a line


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSurvey:
    """The labels of one scene.

    Attributes
    ----------
    name, shape, gsd
        Name, (height, width) [px] and ground sampling distance [m] of the scene; None where it is not known.
    pixels, polygons
        Labelled pixels with data, and polygons that meet the scene, by class value.
    valid
        Pixels with data.
    outside
        Labelled pixels without data, which are ignored.
    overlaps
        Pixels that polygons of different classes cover; the last one in the file counts.
    repaired, dropped
        Invalid polygons that were repaired, and those that enclose nothing.
    notes
        Warnings.
    labels
        What was looked at.
    """

    name: str
    shape: tuple[int, int]
    gsd: float | None
    pixels: tuple[int, ...]
    polygons: tuple[int, ...]
    valid: int
    outside: int = 0
    overlaps: int = 0
    repaired: int = 0
    dropped: int = 0
    notes: tuple[str, ...] = ()
    labels: SceneLabels | None = field(default=None, compare=False, repr=False)

    @property
    def labelled(self) -> int:
        """Labelled pixels of all classes."""
        return sum(self.pixels)

    def area(self, value: int) -> float:
        """Give the area of a class [ha]; nan where the scene's resolution is not known."""
        return self.pixels[value] * (self.gsd or float("nan")) ** 2 / _HECTARE

    def as_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """Give the survey for machines, classes by name."""
        return {
            "pixels": dict(zip(names, self.pixels, strict=True)),
            "polygons": dict(zip(names, self.polygons, strict=True)),
            "valid": self.valid,
            "outside": self.outside,
            "overlaps": self.overlaps,
            "repaired": self.repaired,
            "dropped": self.dropped,
            "notes": list(self.notes),
        }


def survey_labels(settings: TrainSettings) -> tuple[SceneSurvey, ...]:
    """Count the labels of every scene, in windows, whatever its size.

    Raises
    ------
    SegflowError
        If scenes or labels cannot be read or do not fit.
    """
    return tuple(_survey(path, settings) for path in find_scenes(settings).values())


def sum_pixels(surveys: Sequence[SceneSurvey]) -> tuple[int, ...]:
    """Give the labelled pixels of all scenes by class value."""
    return tuple(int(count) for count in np.sum([entry.pixels for entry in surveys], axis=0))


def outside_polygons(surveys: Sequence[SceneSurvey]) -> tuple[int, int]:
    """Give how many polygons lie on no scene, of how many."""
    return count_outside(entry.labels for entry in surveys if isinstance(entry.labels, LabelPolygons))


def warnings_of(surveys: Sequence[SceneSurvey], names: Mapping[int, str]) -> tuple[str, ...]:
    """Give warnings for whoever draws the labels, a line each."""
    totals = {key: sum(getattr(s, key) for s in surveys) for key in ("repaired", "dropped", "overlaps", "outside")}
    says = {
        "repaired": "{:,} invalid polygons were repaired",
        "dropped": "{:,} geometries enclose nothing and were left out",
        "overlaps": "{:,} pixels lie in polygons of different classes: the last polygon in the file counts",
        "outside": "{:,} labelled pixels hold no data and are ignored",
    }
    lines = [says[key].format(count) for key, count in totals.items() if count]
    outside, total = outside_polygons(surveys)
    if outside:
        lines.append(f"{outside:,} of {total:,} polygons lie on no scene")
    covered = [e.name for e in surveys if isinstance(e.labels, LabelPolygons) and not len(e.labels.values)]
    if covered:
        lines.append(
            f"{len(covered)} of {len(surveys)} scenes hold no polygon, so all of their land is background: "
            f"{', '.join(covered[:_SHOWN])}{' …' if len(covered) > _SHOWN else ''}"
        )
    bare = [entry.name for entry in surveys if not entry.labelled]
    if bare:
        lines.append(
            f"{len(bare)} of {len(surveys)} scenes have no labels: "
            f"{', '.join(bare[:_SHOWN])}{' …' if len(bare) > _SHOWN else ''}"
        )
    counts = sum_pixels(surveys)
    lines += [
        f"class {name} has no labelled pixel: label some, or make it the background"
        for value, name in names.items()
        if not counts[value]
    ]
    rasters = [entry.labels for entry in surveys if isinstance(entry.labels, LabelRaster)]
    lines += [note.removeprefix("labels: ") for note in tally_notes(rasters, names)]
    return (*lines, *dict.fromkeys(note for entry in surveys for note in entry.notes))


def _survey(path: Path, settings: TrainSettings) -> SceneSurvey:
    access = training_access(settings)
    info = describe_scene(path, access)
    labels = find_labels(path, settings)
    counts = np.zeros(256, np.int64)
    valid_count = outside = overlaps = 0
    with open_scene(path, select_bands(info, settings.bands, settings.bands_chosen), access) as scene:
        for window in cut_windows(info.grid.window):
            _, valid = scene.read_window(window)
            valid_count += int(valid.sum())
            if labels is None:
                continue
            found = labels.read(window)
            counts += np.bincount(found[valid], minlength=256)
            outside += int((found[~valid] != IGNORE).sum())
            overlaps += labels.count_overlaps(window) if isinstance(labels, LabelPolygons) else 0
    polygons = labels if isinstance(labels, LabelPolygons) else None
    values = range(len(settings.classes))
    return SceneSurvey(
        name=composed(path.stem),
        shape=info.grid.shape,
        gsd=gsd(info.grid),
        pixels=tuple(int(counts[value]) for value in values),
        polygons=tuple(int((polygons.values == value).sum()) if polygons else 0 for value in values),
        valid=valid_count,
        outside=outside if polygons is None or settings.background == IGNORE else 0,
        overlaps=overlaps,
        repaired=polygons.repaired if polygons else 0,
        dropped=polygons.dropped if polygons else 0,
        notes=labels.notes if labels is not None else (),
        labels=labels,
    )
