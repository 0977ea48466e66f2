"""The report of a training: one HTML page to look at, complete in itself, the same for the same training."""

import math
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segflow.io.pages.line_charts import LineChart
from segflow.io.pages.map import ReportSection
from segflow.io.pages.quicklook import Picture, jpeg_uri, png_uri
from segflow.io.pages.templates import page_template
from segflow.io.storage.files import write_text

FILE = "training.html"
_THIN = "\u202f"  # narrow space between thousands


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Example:
    """A piece of a scene that was not learnt from, and what the model made of it.

    Attributes
    ----------
    name
        Scene, and where in it.
    iou
        Mean IoU of the piece, 0 to 1.
    wrong
        Share of its labelled pixels that are wrong.
    image, reference, prediction, errors
        (height, width, 3) uint8 pictures.
    """

    name: str
    iou: float
    wrong: float
    image: Picture
    reference: Picture
    prediction: Picture
    errors: Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScores:
    """One class in the table: its scores on validation and test scenes, nan where not known."""

    name: str
    colour: str
    iou: float
    precision: float
    recall: float
    f1: float
    test_iou: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingReport:
    """All that a report of a training says.

    Attributes
    ----------
    title, summary
        Name of the model, and a sentence on how it was trained.
    figures
        What stands at the top: name and value of each.
    charts
        Curves.
    examples
        The worst first.
    classes
        In the order of their values.
    counts
        (classes, classes) int64 array of validation pixels [truth, prediction].
    sections
        Facts on model, data and settings.
    notes
        What the reader must know.
    footer
        Last line.
    """

    title: str
    summary: str
    figures: tuple[tuple[str, str], ...]
    charts: tuple[LineChart, ...]
    examples: tuple[Example, ...]
    classes: tuple[ClassScores, ...]
    counts: npt.NDArray[np.int64]
    sections: tuple[ReportSection, ...] = ()
    notes: tuple[str, ...] = ()
    footer: str = ""


def write_training_page(path: str | os.PathLike[str], report: TrainingReport) -> None:
    """Write the page of a training.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    page = page_template(FILE).render(
        report=report,
        classes=[
            (entry, *map(percent, (entry.iou, entry.precision, entry.recall, entry.f1, entry.test_iou)))
            for entry in report.classes
        ],
        rows=_confusion(report),
        examples=[
            (example, percent(example.iou), percent(example.wrong), _pictures(example)) for example in report.examples
        ],
    )
    write_text(path, page)


def percent(share: float) -> str:
    """Give a share of one in per cent, a dash where it is not known."""
    return "–" if math.isnan(share) else f"{100 * share:.1f}{_THIN}%"


def _pictures(example: Example) -> list[tuple[str, str]]:
    """Give caption and address of each picture: photographs as JPEG, flat colours as PNG."""
    flat = (("Reference", example.reference), ("Prediction", example.prediction))
    return [
        ("Image", jpeg_uri(example.image)),
        *((name, png_uri(picture)) for name, picture in flat),
        ("Errors", jpeg_uri(example.errors)),
    ]


def _confusion(report: TrainingReport) -> list[tuple[ClassScores, list[tuple[str, str, float]]]]:
    """Give the rows of the confusion matrix: the true class; count, share of the row and that as a number of each."""
    totals = report.counts.sum(1)
    return [
        (
            entry,
            [
                (_thousands(count), percent(count / total if total else math.nan), count / max(1, total))
                for count in report.counts[index]
            ],
        )
        for index, (entry, total) in enumerate(zip(report.classes, totals, strict=True))
    ]


def _thousands(count: int) -> str:
    return f"{count:,}".replace(",", _THIN)
