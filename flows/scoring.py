"""Scores of a network on labelled scenes, as a spec holds them."""

from collections.abc import Sequence

import numpy as np

from segflow.segmentation.metrics import Counts, Scores
from segflow.segmentation.networks import Network
from segflow.segmentation.spec import ModelSpec
from segflow.segmentation.training.chips import Sample
from segflow.segmentation.training.prediction import count_samples

_DIGITS = 4  # of scores in a spec


def score_samples(network: Network, samples: Sequence[Sample], spec: ModelSpec) -> dict[str, object]:
    """Give scores over all labelled pixels of some scenes, and the IoU of each scene."""
    tables: dict[str, Counts] = {
        sample.name: count_samples(
            network, [sample], bands=spec.bands, classes=len(spec.classes), stride=spec.stride, margin=spec.margin
        )
        for sample in samples
    }
    scores = Scores.of(np.sum(list(tables.values()), axis=0))
    by_scene = {name: by_class(Scores.of(table).iou, spec) for name, table in tables.items()}
    return {**summarise(scores, spec), "scenes": by_scene}


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
