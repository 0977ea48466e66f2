"""The report of a training: its curves, its worst mistakes and its settings."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segflow import __version__
from segflow.flows.train.monitor import TrainingState, read_state
from segflow.flows.train.worst_pieces import Piece, cut_pieces
from segflow.io.pages.line_charts import Line, LineChart, line_chart
from segflow.io.pages.map import ReportSection
from segflow.io.pages.quicklook import Picture, stretch
from segflow.io.pages.training import FILE, ClassScores, Example, TrainingReport, percent, write_training_page
from segflow.segmentation.scores.metrics import Counts, Scores, confusion
from segflow.segmentation.spec import ModelSpec
from segflow.segmentation.training.chips import Sample
from segflow.tiling import NODATA

Labels = npt.NDArray[np.uint8]

_SHOWN = 12  # examples, at most
_RGB = ("red", "green", "blue")
_GREY = (0.299, 0.587, 0.114)  # luma of red, green, blue
_PALE = 0.55  # how far the image under the errors is faded
_ERROR = (214, 39, 40)
_MAIN, _SECOND = "var(--ink)", "var(--soft)"  # colours of curves that belong to no class
_NOT_SHOWN = frozenset({"classes", "notes", "licence", "description", "name", "version"})  # said elsewhere, or long


def write_training_report(
    folder: Path, *, spec: ModelSpec, samples: Sequence[Sample], predict: Callable[[Sample], Labels]
) -> Path:
    """Write `training.html` beside the log of a training, and give its path.

    Parameters
    ----------
    folder
        Where the log lies.
    spec
        Of the model, with its scores.
    samples
        Labelled scenes that were not trained on: the validation scenes.
    predict
        Gives the (height, width) uint8 labels of a sample, 255 where it has no data.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    counts, examples = _judge(spec, samples, predict)
    state = read_state(folder)
    report = TrainingReport(
        title=f"{spec.name} {spec.version}",
        summary=f"{spec.architecture}, trained to tell {' and '.join(entry.name for entry in spec.classes)} apart. "
        f"Scores are of {len(samples)} validation scenes unless the test is named.",
        figures=_figures(state, spec, counts),
        charts=_charts(state, spec),
        examples=examples,
        classes=_classes(spec, counts),
        counts=counts,
        sections=(_model_facts(spec), _training_facts(state), _settings(spec)),
        footer=f"segflow {__version__}",
    )
    path = folder / FILE
    write_training_page(path, report)
    return path


def _judge(
    spec: ModelSpec, samples: Sequence[Sample], predict: Callable[[Sample], Labels]
) -> tuple[Counts, tuple[Example, ...]]:
    """Predict one scene after the other; count all pixels, and show the worst pieces."""
    classes = len(spec.classes)
    counts = np.zeros((classes, classes), np.int64)
    pieces: list[tuple[Piece, Example]] = []
    for sample in samples:
        prediction = predict(sample)
        truth = np.where(sample.valid, sample.labels, np.uint8(NODATA))
        counts += confusion(truth, prediction, classes)
        found = sorted(cut_pieces(sample.name, truth, prediction, classes), key=lambda piece: piece.rank)[:_SHOWN]
        pieces += zip(found, _examples(spec, sample, truth, prediction, found), strict=True)
        pieces = sorted(pieces, key=lambda pair: pair[0].rank)[:_SHOWN]
    return counts, tuple(example for _, example in pieces)


def _examples(
    spec: ModelSpec, sample: Sample, truth: Labels, prediction: Labels, pieces: Sequence[Piece]
) -> list[Example]:
    """Give pictures of the pieces of one scene, all stretched alike."""
    palette = np.full((256, 3), 255, np.uint8)
    palette[: len(spec.classes)] = [entry.rgb for entry in spec.classes]
    image = stretch(sample.pixels[_shown_bands(spec)].astype(np.float32), sample.valid)
    wrong = (truth != prediction) & (truth != NODATA) & (prediction != NODATA)
    errors = _mark(image, wrong)
    return [
        Example(
            name=f"{piece.scene}, row {piece.row}, column {piece.col}",
            iou=piece.iou,
            wrong=piece.wrong,
            image=image[piece.box].copy(),  # a view would keep the whole scene
            reference=palette[truth[piece.box]],
            prediction=palette[prediction[piece.box]],
            errors=errors[piece.box].copy(),
        )
        for piece in pieces
    ]


def _shown_bands(spec: ModelSpec) -> list[int]:
    """Choose the bands to show: red, green and blue by name, else the first three, else the first."""
    names = [band.name for band in spec.bands]
    if set(_RGB) <= set(names):
        return [names.index(name) for name in _RGB]
    return list(range(len(_RGB))) if len(names) >= len(_RGB) else [0]


def _mark(image: Picture, wrong: npt.NDArray[np.bool_]) -> Picture:
    """Give the image in pale grey, with wrong pixels in red."""
    grey = 255 - (255 - image @ np.array(_GREY)) * (1 - _PALE)
    marked: Picture = np.where(wrong[..., None], np.array(_ERROR), grey[..., None]).astype(np.uint8)
    return marked


def _figures(state: TrainingState, spec: ModelSpec, counts: Counts) -> tuple[tuple[str, str], ...]:
    scores = Scores.of(counts)
    figures = [("Mean IoU, validation", percent(scores.mean_iou)), ("Pixel accuracy", percent(scores.pixel_accuracy))]
    test = _test(spec).get("mean_iou")
    if test is not None:
        figures.append(("Mean IoU, test", percent(float(test))))
    if state.best is not None:
        figures.append(("Best epoch", f"{state.best.number} of {len(state.epochs)}"))
    return tuple(figures)


def _charts(state: TrainingState, spec: ModelSpec) -> tuple[LineChart, ...]:
    """Draw loss, scores and learning rate by epoch; steps lie between their epochs."""
    mark = None if state.best is None else float(state.best.number)
    epochs, per_epoch = state.epochs, max(1, state.steps_per_epoch)

    def by_epoch(values: Sequence[float | None]) -> tuple[tuple[float, float], ...]:
        return tuple(
            (float(epoch.number), math.nan if value is None else float(value))
            for epoch, value in zip(epochs, values, strict=True)
        )

    steps = tuple((step / per_epoch, loss) for step, loss in state.steps)
    loss = (
        Line(name="each step", colour=_SECOND, points=steps, faint=True),
        Line(name="mean of the epoch", colour=_MAIN, points=by_epoch([epoch.loss for epoch in epochs])),
    )
    scores = [Line(name="mean IoU", colour=_MAIN, points=by_epoch([epoch.mean_iou for epoch in epochs]))]
    scores += [
        Line(name=f"IoU {entry.name}", colour=entry.colour, points=by_epoch([_at(epoch.iou, i) for epoch in epochs]))
        for i, entry in enumerate(spec.classes)
    ]
    rates = (Line(name="learning rate", colour=_MAIN, points=by_epoch([epoch.learning_rate for epoch in epochs])),)
    return (
        line_chart("Loss", loss, mark=mark),
        line_chart("Validation scores", scores, mark=mark),
        line_chart("Learning rate", rates, mark=mark),
    )


def _classes(spec: ModelSpec, counts: Counts) -> tuple[ClassScores, ...]:
    scores = Scores.of(counts)
    tested: Mapping[str, Any] = _test(spec).get("iou") or {}
    return tuple(
        ClassScores(
            name=entry.name,
            colour=entry.colour,
            iou=scores.iou[entry.value],
            precision=scores.precision[entry.value],
            recall=scores.recall[entry.value],
            f1=scores.f1[entry.value],
            test_iou=math.nan if tested.get(entry.name) is None else float(tested[entry.name]),
        )
        for entry in spec.classes
    )


def _model_facts(spec: ModelSpec) -> ReportSection:
    facts = [
        ("Network", spec.architecture),
        ("Arguments", _text(spec.arguments)),
        ("Bands", ", ".join(band.name for band in spec.bands)),
        ("Resolution", f"{spec.gsd:g} m, accepts {spec.gsd_range[0]:g} to {spec.gsd_range[1]:g} m"),
        ("Stride, margin", f"{spec.stride} px, {spec.margin} px ({spec.guarantee})"),
        ("Trained on", spec.data or "unknown"),
        ("Licence", spec.licence or "unknown"),
    ]
    return ReportSection(title="Model", facts=tuple(facts))


def _training_facts(state: TrainingState) -> ReportSection:
    facts = [
        ("Epochs", f"{len(state.epochs)} of at most {state.planned}"),
        ("Steps", f"{state.step} of the optimiser, {state.steps_per_epoch} per epoch"),
        ("Best epoch", "none" if state.best is None else f"{state.best.number}, by validation mean IoU"),
    ]
    return ReportSection(title="Training", facts=tuple(facts))


def _settings(spec: ModelSpec) -> ReportSection:
    """Give all settings that the model file holds."""
    settings: Mapping[str, Any] = spec.provenance.get("settings") or {}
    facts = [(name, _text(value)) for name, value in settings.items() if name not in _NOT_SHOWN]
    return ReportSection(title="Settings", facts=tuple(facts))


def _test(spec: ModelSpec) -> Mapping[str, Any]:
    found: Mapping[str, Any] = spec.metrics.get("test") or {}
    return found


def _at(values: Sequence[float | None], index: int) -> float | None:
    return values[index] if index < len(values) else None


def _text(value: object) -> str:
    """Give a setting as text."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_text(entry)}" for key, entry in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    return "none" if value is None else str(value)
