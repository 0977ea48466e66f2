"""The report of an evaluation: one HTML page, complete in itself, the same for the same evaluation."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from segflow.io.pages.quicklook import Picture, png_uri
from segflow.io.pages.templates import page_template
from segflow.io.storage.files import write_text

_TEMPLATE = "evaluation.html"
_SIDE = 300  # px of the reliability diagram
_EDGE = 34  # px around it


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """A table: texts by row, the first of each row being its name.

    Attributes
    ----------
    title, caption
        Above and below it.
    columns
        Heads of the columns.
    rows
        As many texts per row as there are columns.
    colours
        ``#rrggbb`` of each row, or none.
    bars
        Share from 0 to 1 that is drawn behind the last column of each row, or none.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    colours: tuple[str, ...] = ()
    bars: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            msg = f"table {self.title}: every row needs {len(self.columns)} texts, got {self.rows}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionPicture:
    """A table of confusion as coloured cells.

    Attributes
    ----------
    names
        The classes.
    counts
        Rows are the truth, columns the map.
    rows, columns
        What rows and columns are.
    """

    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    rows: str = "reference"
    columns: str = "map"

    @property
    def shares(self) -> tuple[tuple[float, ...], ...]:
        """Share of its row in each cell, 0 to 1."""
        return tuple(tuple(count / max(1, sum(row)) for count in row) for row in self.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """A bar of the reliability diagram: bounds and accuracy from 0 to 1, and the bin's share of all pixels."""

    low: float
    high: float
    accuracy: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationContent:
    """All that the report says.

    Attributes
    ----------
    title, summary
        What was evaluated, and a sentence about it.
    figures
        Name and value of the key figures.
    notes
        What the reader must know.
    confusion
        The table of confusion.
    tables
        Tables in their order.
    reliability
        Bars of the reliability diagram; empty without confidence.
    picture, legend
        The error map, and colour and meaning of what it shows; None without.
    footer
        Last line.
    """

    title: str
    summary: str
    figures: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    confusion: ConfusionPicture
    tables: tuple[ReportTable, ...]
    reliability: tuple[ReliabilityBin, ...] = ()
    picture: Picture | None = None
    legend: tuple[tuple[str, str], ...] = ()
    footer: str = ""


def write_evaluation(path: str | os.PathLike[str], content: EvaluationContent) -> None:
    """Write a report.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    picture = content.picture
    page = page_template(_TEMPLATE).render(
        content=content,
        map=None if picture is None else png_uri(picture),
        size=(0, 0) if picture is None else picture.shape[1::-1],
        pixelated=picture is not None and max(picture.shape) < 480,  # noqa: PLR2004  # small maps are enlarged
        bars=_bars(content.reliability),
        side=_SIDE,
        edge=_EDGE,
    )
    write_text(path, page)


def _bars(bins: Sequence[ReliabilityBin]) -> list[dict[str, float | str]]:
    """Give the bars of the reliability diagram [px]; the fuller a bin, the stronger its colour."""
    most = max((entry.share for entry in bins), default=1.0) or 1.0
    return [
        {
            "x": round(_EDGE + entry.low * _SIDE + 1, 2),
            "y": round(_EDGE + (1 - entry.accuracy) * _SIDE, 2),
            "width": round((entry.high - entry.low) * _SIDE - 2, 2),
            "height": round(entry.accuracy * _SIDE, 2),
            "opacity": round(0.25 + 0.75 * entry.share / most, 3),
            "text": f"confidence {entry.low:.0%}–{entry.high:.0%}: {entry.accuracy:.1%} right, "
            f"{entry.share:.1%} of all pixels",
        }
        for entry in bins
        if entry.share > 0
    ]
