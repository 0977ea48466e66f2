"""Two models on the same kept-out scenes: the one in use, and a new one."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from segflow.configs.training import TrainSettings
from segflow.errors import ModelError
from segflow.flows.models.lookup import ModelRef
from segflow.flows.planning.encoding import model_encoding
from segflow.flows.progress import Progress, stage
from segflow.flows.train.labelled import read_samples
from segflow.flows.train.scoring import rounded
from segflow.flows.train.splitting import SplitPlan
from segflow.io.models.packages import read_model_file
from segflow.segmentation.predict.devices import choose_device
from segflow.segmentation.predict.weights import restore_network
from segflow.segmentation.scores.bootstrap import SMALLEST, Tables
from segflow.segmentation.scores.metrics import confusion
from segflow.segmentation.scores.paired import Pair, PairedScores, compare_tables
from segflow.segmentation.spec import ModelSpec
from segflow.segmentation.training.prediction import label_scene
from segflow.tiling import NODATA, TileGrid

_MOST_SQUARES = 256  # of one scene; more would only cost memory
_ADVICE = "give the training a --shelf of its own, or change its settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A new model beside the one in use.

    Attributes
    ----------
    classes
        Names of the classes.
    scores
        What the new one gains.
    """

    classes: tuple[str, ...]
    scores: PairedScores

    @classmethod
    def of(cls, used: ModelRef, new: ModelRef, plan: SplitPlan, settings: TrainSettings, progress: Progress) -> Self:
        """Predict the test scenes of a plan with both models, and count.

        Raises
        ------
        ModelError
            If the models do not tell the same classes apart or do not take the same scenes.
        SegflowError
            If scenes or labels cannot be read.
        """
        check_comparable(used.spec, settings, new.spec.dtype)
        reaches = [model.spec.dependency for model in (used, new)]
        reach = None if None in reaches else max(filter(None, reaches), default=0)  # one window for both
        with stage(progress, "compare", 2 * len(plan.names("test")), "scenes"):
            first, second = (_count_model(model, plan, settings, reach, progress) for model in (used, new))
        classes = tuple(entry.name for entry in new.spec.classes)
        return cls(classes=classes, scores=compare_tables(first, second, settings.seed))

    def as_dict(self) -> dict[str, Any]:
        """Give the comparison as plain values for JSON."""
        scores = self.scores
        return {
            "mean_iou": _plain(scores.mean_iou),
            "iou": {name: _plain(pair) for name, pair in zip(self.classes, scores.iou, strict=True)},
            "scenes": {name: _plain(pair) for name, pair in scores.scenes.items()},
            "drawn": scores.unit,
            "units": scores.units,
        }

    def rows(self) -> list[dict[str, str]]:
        """Give the comparison as a table: the mean, the classes, then the scenes."""
        pairs = {"mean IoU": self.scores.mean_iou}
        pairs |= {f"IoU {name}": pair for name, pair in zip(self.classes, self.scores.iou, strict=True)}
        pairs |= {f"scene {name}": pair for name, pair in self.scores.scenes.items()}
        return [
            {
                "score": name,
                "in use": f"{pair.first:.4f}",
                "new": f"{pair.second:.4f}",
                "gain": f"{pair.gain:+.4f}",
                "95 % interval": "" if pair.interval is None else "{:+.4f} … {:+.4f}".format(*pair.interval),
            }
            for name, pair in pairs.items()
        ]


def check_comparable(used: ModelSpec, settings: TrainSettings, dtype: str) -> None:
    """Refuse a training whose model could not be compared with the one in use, before it begins.

    Raises
    ------
    ModelError
        If classes, data type or resolution differ.
    """
    known, wanted = [entry.name for entry in used.classes], [entry.name for entry in settings.classes]
    if known != wanted:
        msg = (
            f"model in use, {used.name}, has the classes {', '.join(known)}, the training {', '.join(wanted)}"
            f": {_ADVICE}"
        )
        raise ModelError(msg)
    if used.dtype != dtype:
        msg = f"model in use, {used.name}, takes {used.dtype} pixels, the scenes of the training are {dtype}: {_ADVICE}"
        raise ModelError(msg)
    low, high = used.gsd_range
    if not low <= settings.gsd <= high:
        msg = (
            f"model in use, {used.name}, takes scenes of {low:g}–{high:g} m, the training has {settings.gsd:g} m"
            f": {_ADVICE}"
        )
        raise ModelError(msg)


def _count_model(
    model: ModelRef, plan: SplitPlan, settings: TrainSettings, reach: int | None, progress: Progress
) -> dict[str, Tables]:
    """Give the (squares, classes, classes) counts of each test scene."""
    spec = model.spec
    bands = tuple(band.name for band in spec.bands)
    asked = settings if bands == settings.bands else _other_bands(settings, bands)
    meant = model_encoding(spec)
    seen = replace(plan, encoding=meant) if meant.known else plan
    samples = read_samples(seen, "test", asked, dependency=reach)
    network = restore_network(spec, read_model_file(model.path)[1]).to(choose_device(settings.device))
    found: dict[str, Tables] = {}
    for sample in samples:
        labels = label_scene(network, sample, bands=spec.bands, stride=spec.stride, margin=spec.margin)
        truth = np.where(sample.valid, sample.labels, np.uint8(NODATA))
        found[sample.name] = _count_squares(truth, labels, len(spec.classes))
        progress.advance(1)
    return found


def _other_bands(settings: TrainSettings, bands: tuple[str, ...]) -> TrainSettings:
    """Give the settings that read a model's bands, where they are not the training's."""
    if settings.bands_chosen is None:
        return replace(settings, bands=bands)
    by_name = dict(zip(settings.bands, settings.bands_chosen, strict=True))
    missing = [name for name in bands if name not in by_name]
    if missing:
        msg = (
            f"model in use needs the bands {', '.join(bands)}, but bands_chosen does not say which is "
            f"{', '.join(missing)}: {_ADVICE}"
        )
        raise ModelError(msg)
    return replace(settings, bands=bands, bands_chosen=tuple(by_name[name] for name in bands))


def _count_squares(truth: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], classes: int) -> Tables:
    """Count the squares of a scene; their side is doubled until they are few enough."""
    height, width = truth.shape
    side = SMALLEST
    while -(-height // side) * -(-width // side) > _MOST_SQUARES:
        side *= 2
    squares = TileGrid(height=height, width=width, core=side, margin=0, stride=1)
    return np.stack([confusion(truth[t.core.slices], labels[t.core.slices], classes) for t in squares])


def _plain(pair: Pair) -> dict[str, Any]:
    interval = None if pair.interval is None else [rounded(value) for value in pair.interval]
    return {
        "in_use": rounded(pair.first),
        "new": rounded(pair.second),
        "gain": rounded(pair.gain),
        "interval": interval,
    }
