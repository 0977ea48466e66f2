"""An evaluation as tables and figures, for the terminal and for the report."""

import math

from segflow import __version__
from segflow.flows.evaluate.findings import Evaluation, SampleEvaluation
from segflow.io.pages.error_picture import ErrorPicture, faded, wrong_colour
from segflow.io.pages.evaluation import ConfusionPicture, EvaluationContent, ReliabilityBin, ReportTable
from segflow.io.pages.map import area_text
from segflow.io.raster.sidecars import LegendEntry
from segflow.segmentation.scores.area import Estimate
from segflow.segmentation.scores.bootstrap import ScoreIntervals
from segflow.segmentation.scores.distance import DistanceBin

_BY_CHANCE = "Areas of a map are biased by its errors, and against a full reference no sampling error applies: "


def cover_figures(found: Evaluation) -> tuple[tuple[str, str], ...]:
    """Give the key figures: name and value."""
    scores, sure = found.scores, found.calibration
    figures = [
        ("pixel accuracy", share(scores.pixel_accuracy)),
        ("mean accuracy", share(scores.mean_accuracy)),
        ("mean IoU", share(scores.mean_iou)),
        ("frequency-weighted IoU", share(scores.frequency_weighted_iou)),
        (f"mean boundary F1 ({found.tolerance:g} px)", share(found.boundary.mean_f1)),
    ]
    if sure is not None:
        figures.append(("calibration error", share(sure.error)))
    return tuple(figures)


def cover_tables(found: Evaluation) -> tuple[ReportTable, ...]:
    """Give the tables of an evaluation against a full reference."""
    tables = [_class_table(found), _forgiving_table(found), _area_table(found)]
    if found.intervals is not None:
        tables.append(_interval_table(found.classes, found.intervals))
    tables.append(
        _distance_table(
            "Accuracy by distance to the class boundary",
            found.by_boundary,
            "Distance of a pixel from the reference's boundary between classes, 1 where it touches it.",
        )
    )
    if found.by_tile:
        caption = (
            f"Tiles of {found.tile} px. Errors that grow towards these edges would be seams; equal rows mean none."
        )
        tables.append(_distance_table("Accuracy by distance to the nearest tile edge", found.by_tile, caption))
    return tuple(tables)


def cover_content(found: Evaluation, picture: ErrorPicture) -> EvaluationContent:
    """Give what the report says of an evaluation against a full reference."""
    legend = [(_hex(faded(entry.rgb)), f"{entry.name}, right") for entry in found.classes]
    legend += [(_hex(wrong_colour(index)), f"wrongly {entry.name}") for index, entry in enumerate(found.classes)]
    pixels = f"{found.pixels:,} of {found.size:,} pixels compared"
    sure = found.calibration
    total = max(1, sum(entry.pixels for entry in sure.bins)) if sure else 1
    return EvaluationContent(
        title=f"Accuracy of {found.map}",
        summary=f"against {found.reference}: {pixels}",
        figures=cover_figures(found),
        notes=found.notes,
        confusion=ConfusionPicture(names=tuple(entry.name for entry in found.classes), counts=found.confusion),
        tables=cover_tables(found),
        reliability=tuple(
            ReliabilityBin(low=e.low, high=e.high, accuracy=e.accuracy, share=e.pixels / total)
            for e in (sure.bins if sure else ())
        ),
        picture=picture.paint([entry.rgb for entry in found.classes]),
        legend=tuple(legend),
        footer=f"segflow {__version__}",
    )


def sample_figures(found: SampleEvaluation) -> tuple[tuple[str, str], ...]:
    """Give the key figures of a sample: name and value."""
    points = sum(found.estimates.points)
    return (("overall accuracy", _within(found.estimates.overall)), ("reference points", f"{points:,}"))


def sample_tables(found: SampleEvaluation) -> tuple[ReportTable, ...]:
    """Give the tables of an evaluation by a sample."""
    unit = found.unit
    estimates = found.estimates
    rows = tuple(
        (
            entry.name,
            f"{estimates.points[index]:,}",
            _area(found.mapped[index], unit),
            _area(estimates.areas[index].value, unit),
            f"± {_area(estimates.areas[index].margin, unit)}",
            _within(estimates.users[index]),
            _within(estimates.producers[index]),
        )
        for index, entry in enumerate(found.classes)
    )
    columns = ("Class", "Points", "Mapped area", "Adjusted area", "95 %", "User's accuracy", "Producer's accuracy")
    return (
        ReportTable(
            title="Classes",
            columns=columns,
            rows=rows,
            colours=_colours(found.classes),
            caption="Stratified estimators of Olofsson et al. 2014 with 95 % confidence intervals; strata are the "
            "classes of the map, so the points must have been drawn at random within each of them.",
        ),
    )


def sample_content(found: SampleEvaluation) -> EvaluationContent:
    """Give what the report says of an evaluation by a sample."""
    return EvaluationContent(
        title=f"Accuracy of {found.map}",
        summary=f"by the reference points of {found.reference}",
        figures=sample_figures(found),
        notes=found.notes,
        confusion=ConfusionPicture(
            names=tuple(entry.name for entry in found.classes), counts=found.counts, rows="map", columns="reference"
        ),
        tables=sample_tables(found),
        footer=f"segflow {__version__}",
    )


def share(value: float) -> str:
    """Give a score with four digits; a dash where there is none."""
    return "–" if math.isnan(value) else f"{value:.4f}"


def _class_table(found: Evaluation) -> ReportTable:
    scores = found.scores
    return ReportTable(
        title="Classes",
        columns=("Class", "IoU", "F1", "Precision", "Recall"),
        rows=_per_class(found.classes, scores.iou, scores.f1, scores.precision, scores.recall),
        colours=_colours(found.classes),
    )


def _forgiving_table(found: Evaluation) -> ReportTable:
    parts = (found.boundary, found.relaxed)
    columns = [column for part in parts for column in (part.f1, part.precision, part.recall)]
    return ReportTable(
        title="Boundaries and lines",
        columns=("Class", "Boundary F1", "Precision", "Recall", "Relaxed F1", "Precision", "Recall"),
        rows=_per_class(found.classes, *columns),
        colours=_colours(found.classes),
        caption=f"Boundary scores forgive {found.tolerance:g} px at boundaries between classes, relaxed scores "
        f"{found.buffer:g} px everywhere: they suit lines such as roads.",
    )


def _per_class(classes: tuple[LegendEntry, ...], *columns: tuple[float, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple((entry.name, *(share(column[i]) for column in columns)) for i, entry in enumerate(classes))


def _area_table(found: Evaluation) -> ReportTable:
    rows = tuple(
        (
            entry.name,
            area_text(area.mapped),
            area_text(area.reference),
            "–" if math.isnan(area.bias) else f"{area.bias:+.2%}",
        )
        for entry, area in zip(found.classes, found.areas, strict=True)
    )
    how = (
        f"see the intervals of the block bootstrap (squares of {found.intervals.side} px)."
        if found.intervals
        else "the scene is too small for a bootstrap of blocks."
    )
    return ReportTable(
        title="Areas where both are known",
        columns=("Class", "Map", "Reference", "Bias"),
        rows=rows,
        colours=_colours(found.classes),
        caption=_BY_CHANCE + how,
    )


def _interval_table(classes: tuple[LegendEntry, ...], found: ScoreIntervals) -> ReportTable:
    rows = [
        ("pixel accuracy", _range(found.pixel_accuracy), "", ""),
        ("mean IoU", _range(found.mean_iou), "", ""),
        *(
            (entry.name, _range(found.iou[index]), _range(found.f1[index]), _range(found.bias[index], signed=True))
            for index, entry in enumerate(classes)
        ),
    ]
    return ReportTable(
        title="95 % intervals",
        columns=("", "Score or IoU", "F1", "Area bias"),
        rows=tuple(rows),
        caption=f"Bootstrap of {found.blocks} squares of {found.side} px: they say how far the figures depend on which "
        "parts of this scene were seen, not how the model does elsewhere.",
    )


def _distance_table(title: str, bins: tuple[DistanceBin, ...], caption: str) -> ReportTable:
    wrong = [0.0 if math.isnan(entry.accuracy) else 1 - entry.accuracy for entry in bins]
    most = max(wrong) or 1.0
    return ReportTable(
        title=title,
        columns=("Distance [px]", "Pixels", "Accuracy", "Wrong"),
        rows=tuple(
            (entry.name, f"{entry.pixels:,}", share(entry.accuracy), f"{100 * error:.2f} %" if entry.pixels else "–")
            for entry, error in zip(bins, wrong, strict=True)
        ),
        bars=tuple(error / most for error in wrong),
        caption=caption,
    )


def _colours(classes: tuple[LegendEntry, ...]) -> tuple[str, ...]:
    return tuple(_hex(entry.rgb) for entry in classes)


def _hex(rgb: tuple[int, int, int]) -> str:
    return "#" + bytes(rgb).hex()


def _within(found: Estimate) -> str:
    if math.isnan(found.value):
        return "–"
    return f"{found.value:.3f} ± {'?' if math.isnan(found.margin) else f'{found.margin:.3f}'}"


def _area(area: float, unit: str) -> str:
    return "?" if math.isnan(area) else area_text(area) if unit == "m²" else f"{area:,.0f} px"


def _range(interval: tuple[float, float], *, signed: bool = False) -> str:
    low, high = interval
    if math.isnan(low):
        return "–"
    return f"{low:+.2%} … {high:+.2%}" if signed else f"{low:.4f} … {high:.4f}"
