"""What an evaluation found, as values: for JSON, for the terminal and for the report."""

import math
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Self

from segflow.flows.evaluate.evaluated_map import MapToEvaluate
from segflow.io.raster.sidecars import LegendEntry
from segflow.segmentation.scores.accuracy import AccuracyCounts
from segflow.segmentation.scores.area import AreaEstimates
from segflow.segmentation.scores.bootstrap import ScoreIntervals, bootstrap_scores
from segflow.segmentation.scores.boundary import MatchScores
from segflow.segmentation.scores.calibration import Calibration
from segflow.segmentation.scores.distance import DistanceBin, distance_bins
from segflow.segmentation.scores.metrics import Scores

FORMAT = 1  # of the JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassArea:
    """Area of one class where map and reference are both known.

    Attributes
    ----------
    mapped, reference
        In the map and in the reference [m²]; nan for a map without CRS.
    bias
        Mapped over reference pixels, less one; nan where the reference has none.
    """

    mapped: float
    reference: float
    bias: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A map compared with a reference that covers it, or parts of it.

    Attributes
    ----------
    map, reference
        Names of the files.
    classes
        The classes, in the order of all tables.
    pixels, size
        Pixels that were compared, and pixels of the map.
    confusion
        Rows are the truth, columns the map [px].
    scores, boundary, relaxed
        The scores; `tolerance` and `buffer` are those of the latter two [px].
    calibration
        None without a confidence raster.
    by_boundary, by_tile
        Accuracy by distance; `by_tile` is empty without tile edges, `tile` being their spacing [px].
    areas
        Per class.
    intervals
        By a bootstrap of blocks; None for a scene of too few.
    notes
        What the reader must know.
    """

    map: str
    reference: str
    classes: tuple[LegendEntry, ...]
    pixels: int
    size: int
    confusion: tuple[tuple[int, ...], ...]
    scores: Scores
    boundary: MatchScores
    tolerance: float
    relaxed: MatchScores
    buffer: float
    calibration: Calibration | None
    by_boundary: tuple[DistanceBin, ...]
    by_tile: tuple[DistanceBin, ...]
    tile: int | None
    areas: tuple[ClassArea, ...]
    intervals: ScoreIntervals | None
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        found: MapToEvaluate,
        reference: str,
        legend: tuple[LegendEntry, ...],
        counts: AccuracyCounts,
        notes: tuple[str, ...],
        seed: int,
    ) -> Self:
        """Score all counts of a comparison."""
        table = counts.confusion
        return cls(
            map=Path(found.classes.path).name,
            reference=Path(reference).name,
            classes=legend,
            pixels=int(table.sum()),
            size=found.classes.grid.window.size,
            confusion=tuple(tuple(row) for row in table.tolist()),
            scores=Scores.of(table),
            boundary=MatchScores.of(counts.boundary),
            tolerance=counts.settings.tolerance,
            relaxed=MatchScores.of(counts.relaxed),
            buffer=counts.settings.buffer,
            calibration=Calibration.of(counts.reliability) if counts.reliability.any() else None,
            by_boundary=distance_bins(counts.by_boundary),
            by_tile=distance_bins(counts.by_tile) if counts.by_tile.any() else (),
            tile=counts.settings.tile,
            areas=tuple(
                ClassArea(
                    mapped=float(counts.mapped.area[index]),
                    reference=float(counts.reference.area[index]),
                    bias=float(table[:, index].sum() / true - 1) if (true := table[index].sum()) else math.nan,
                )
                for index in range(len(legend))
            ),
            intervals=bootstrap_scores(counts.blocks, counts.side, seed),
            notes=notes,
        )

    def as_dict(self) -> dict[str, Any]:
        """Give the result as plain values for JSON; what is not known is null."""
        return {"format": FORMAT, "kind": "cover", **plain(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleEvaluation:
    """A map compared with a stratified random sample of points.

    Attributes
    ----------
    map, reference, classes, notes
        As in `Evaluation`.
    counts
        Points: rows are the map, columns the reference.
    mapped
        Area of each class in the whole map, the weights of the strata [m²; px for a map without CRS].
    unit
        ``m²`` or ``px``.
    estimates
        What follows from them.
    """

    map: str
    reference: str
    classes: tuple[LegendEntry, ...]
    counts: tuple[tuple[int, ...], ...]
    mapped: tuple[float, ...]
    unit: str
    estimates: AreaEstimates
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give the result as plain values for JSON; what is not known is null."""
        return {"format": FORMAT, "kind": "sample", **plain(self)}


def plain(value: Any) -> Any:  # noqa: ANN401  # any value that JSON knows, and dataclasses of them
    """Give a value as JSON knows it: dataclasses as objects, nan as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, tuple | list):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value
