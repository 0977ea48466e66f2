"""`segflow evaluate` and `segflow sample` from paths to files: compare, write JSON and report, say what was found."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segflow.flows.access import raster_access
from segflow.flows.evaluate.evaluated_map import MapToEvaluate
from segflow.flows.evaluate.findings_tables import (
    cover_content,
    cover_figures,
    cover_tables,
    sample_content,
    sample_figures,
    sample_tables,
)
from segflow.flows.evaluate.reference import RASTERS, EvaluateSettings, evaluate_map
from segflow.flows.evaluate.sample import draw_sample, evaluate_sample
from segflow.flows.progress import Progress
from segflow.io.labels.points import holds_points
from segflow.io.pages.evaluation import EvaluationContent, ReportTable, write_evaluation
from segflow.io.scene.sources import unread_masks
from segflow.io.storage.files import check_writable, write_text

_DEFAULTS = EvaluateSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationDone:
    """An evaluation that was written.

    Attributes
    ----------
    result
        All figures as plain values for JSON.
    figures, tables, notes
        What the terminal shows.
    report, json
        Where the files lie.
    """

    result: dict[str, Any]
    figures: tuple[tuple[str, str], ...]
    tables: tuple[ReportTable, ...]
    notes: tuple[str, ...]
    report: Path
    json: Path


def run_evaluation(
    path: Path, reference: str, settings: EvaluateSettings, out: Path | None, progress: Progress
) -> EvaluationDone:
    """Evaluate a map and write ``NAME_evaluation.json`` and ``.html``.

    Parameters
    ----------
    path
        A class raster, or a folder of products.
    reference
        A raster, polygons or points.
    settings
        How they are compared.
    out
        Folder of the files; None: beside the map.
    progress
        Who watches.

    Raises
    ------
    SegflowError
        If either cannot be read, they do not fit, or nothing can be written.
    """
    found = MapToEvaluate.find(path, raster_access(settings))
    folder = out or Path(found.classes.path).parent
    check_writable(folder)
    content: EvaluationContent
    if Path(reference).suffix.lower() not in RASTERS and holds_points(reference):
        sampled = evaluate_sample(found, reference, settings, progress)
        result, content = sampled.as_dict(), sample_content(sampled)
        figures, tables = sample_figures(sampled), sample_tables(sampled)
    else:
        covered, picture = evaluate_map(found, reference, settings, progress)
        result, content = covered.as_dict(), cover_content(covered, picture)
        figures, tables = cover_figures(covered), cover_tables(covered)
    page, data = (folder / f"{found.name}_evaluation{suffix}" for suffix in (".html", ".json"))
    write_evaluation(page, content)
    write_text(data, json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return EvaluationDone(result=result, figures=figures, tables=tables, notes=content.notes, report=page, json=data)


def run_sample(
    path: Path, points: int, out: Path | None, seed: int, progress: Progress, settings: EvaluateSettings = _DEFAULTS
) -> tuple[Path, tuple[tuple[str, int], ...]]:
    """Draw a stratified random sample from a map; give the file and the points of each class.

    Of the settings only how the map may be opened counts.

    Raises
    ------
    SegflowError
        If the map cannot be read, or the points cannot be written.
    """
    found = MapToEvaluate.find(path, raster_access(settings))
    for note in unread_masks(found.classes.files, found.access):
        progress.note(f"warning: {note}")
    target = out or Path(found.classes.path).parent / f"{found.name}_sample.gpkg"
    check_writable(target.parent)
    return target, draw_sample(found, points, target, seed, progress)
