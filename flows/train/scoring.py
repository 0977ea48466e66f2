"""Scores of a network on labelled scenes, as a spec holds them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from segflow.segmentation.networks.registry import Network
from segflow.segmentation.scores.boundary import MatchCounts, MatchScores, count_matches
from segflow.segmentation.scores.calibration import Calibration, Reliability, reliability
from segflow.segmentation.scores.metrics import Counts, Scores, confusion
from segflow.segmentation.spec import ModelSpec
from segflow.segmentation.training.chips import Sample
from segflow.segmentation.training.prediction import tile_logits
from segflow.tiling import NODATA

_DIGITS = 4  # of scores in a spec
_TOLERANCE = 3.0  # px; as for roads in Mnih 2013


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """Mergeable counts of one scene: the confusion table, matches of boundaries and areas, and reliability."""

    table: Counts
    boundary: MatchCounts
    area: MatchCounts
    reliability: Reliability


def score_samples(network: Network, samples: Sequence[Sample], spec: ModelSpec) -> dict[str, object]:
    """Give scores over all labelled pixels of some scenes, and the IoU of each scene.

    Beside the scores of `summarise` by class: `boundary_f1` and `relaxed_f1` with a tolerance of 3 px, and
    `calibration_error`, the expected difference of confidence and accuracy.
    """
    counts = {sample.name: _count(network, sample, spec) for sample in samples}
    table, boundary, area, reliable = (
        np.sum([getattr(count, field.name) for count in counts.values()], axis=0) for field in fields(_Counts)
    )
    by_scene = {name: by_class(Scores.of(count.table).iou, spec) for name, count in counts.items()}
    return {
        **summarise(Scores.of(table), spec),
        "boundary_f1": by_class(MatchScores.of(boundary).f1, spec),
        "relaxed_f1": by_class(MatchScores.of(area).f1, spec),
        "calibration_error": rounded(Calibration.of(reliable).error),
        "scenes": by_scene,
    }


def _count(network: Network, sample: Sample, spec: ModelSpec) -> _Counts:
    """Predict a scene and count; of a large one, the tiles with labels."""
    classes = len(spec.classes)
    found, sure = (np.full(sample.labels.shape, NODATA, np.uint8) for _ in range(2))
    tiles = tile_logits(network, sample, bands=spec.bands, stride=spec.stride, margin=spec.margin)
    for core, logits in tiles:
        best = logits.max(0)
        share = 1 / np.exp((logits - best) / spec.temperature).sum(0)  # of the class with the largest logit
        valid = sample.valid[core.slices]
        found[core.slices] = np.where(valid, logits.argmax(0), NODATA)
        sure[core.slices] = np.where(valid, np.rint(100 * share), NODATA)
    truth = np.where(sample.valid, sample.labels, np.uint8(NODATA))
    return _Counts(
        table=confusion(truth, found, classes),
        boundary=count_matches(truth, found, classes, _TOLERANCE, "boundary"),
        area=count_matches(truth, found, classes, _TOLERANCE, "area"),
        reliability=reliability(truth, found, sure),
    )


def summarise(scores: Scores, spec: ModelSpec) -> dict[str, object]:
    """Give scores rounded and by class name."""
    each = {key: by_class(getattr(scores, key), spec) for key in ("iou", "f1", "precision", "recall")}
    return {
        "pixel_accuracy": rounded(scores.pixel_accuracy),
        "mean_iou": rounded(scores.mean_iou),
        **each,
        "summary": ", ".join(f"{name} IoU {value}" for name, value in each["iou"].items()),
    }


def by_class(values: Sequence[float], spec: ModelSpec) -> dict[str, float | None]:
    """Name values by class."""
    return {entry.name: rounded(value) for entry, value in zip(spec.classes, values, strict=True)}


def rounded(value: float) -> float | None:
    """Round a score; None where a class does not occur, which JSON has no number for."""
    return None if np.isnan(value) else round(value, _DIGITS)
