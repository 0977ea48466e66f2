"""`segflow sample` draws reference points; `segflow evaluate` with such points estimates areas."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from segflow.errors import SceneError, SettingsError
from segflow.flows.evaluate.evaluated_map import BLOCK, ClassTable, MapToEvaluate, legend_of, values_in
from segflow.flows.evaluate.findings import SampleEvaluation
from segflow.flows.evaluate.reference import EvaluateSettings
from segflow.flows.progress import Progress, stage
from segflow.io.labels.fields import map_classes
from segflow.io.labels.points import is_filled, read_points, write_points
from segflow.io.labels.references import open_classes
from segflow.io.scene.sources import unread_masks
from segflow.segmentation.scores.area import AreaEstimates, allocate_sample
from segflow.segmentation.summary import MapSummary
from segflow.tiling import NODATA, Span, TileGrid, Window

CLASS_FIELD = "class"  # of the points that are drawn, and the default of those that are read


def evaluate_sample(
    found: MapToEvaluate, reference: str, settings: EvaluateSettings, progress: Progress
) -> SampleEvaluation:
    """Estimate accuracies and areas from points drawn at random within each class of a map.

    Raises
    ------
    SceneError
        If map or points cannot be read, no point lies on the map, classes are unknown, or a
        class of the map has no point.
    """
    field = settings.class_field or CLASS_FIELD
    points = read_points(reference, found.classes.grid, field, allow_shift=settings.allow_datum_shift)
    table = _table(found, settings)
    filled = np.array([is_filled(text) for text in points.texts], bool)
    inside = ((points.places >= 0) & (points.places < found.classes.grid.shape)).all(1)
    used = np.flatnonzero(filled & inside)
    if not used.size:
        lost = "".join(f", {count} more {why}" for count, why in points.left)
        told = f"of {len(filled)}, {filled.sum()} have a class and {inside.sum()} lie on the map{lost}"
        msg = f"points {reference}: {told}, none does both; fill in {field!r} and check the CRS"
        raise SceneError(msg)
    texts = [points.texts[index] for index in used]
    mapping = map_classes(texts, settings.class_values, table.names, where=f"points {reference}: field {field!r}")
    raw = np.array([[mapping[text]] for text in texts], np.int64)
    truth = table.number(raw, f"points {reference}", mapped=False)[:, 0]
    labels = _read_at(found, table, points.places[used])
    summary = summarise(found, table, progress)
    known = (truth != NODATA) & (labels != NODATA)
    size = len(table.legend)
    counts = np.bincount(labels[known].astype(np.int64) * size + truth[known], minlength=size**2).reshape(size, size)
    unit = "px" if found.classes.grid.crs is None or np.isnan(summary.area[:size]).any() else "m²"
    areas = summary.area[:size] if unit == "m²" else summary.pixels.sum(1)[:size].astype(np.float64)
    try:
        estimates = AreaEstimates.of(counts, areas)
    except ValueError as error:
        empty = [e.name for e, n, a in zip(table.legend, counts.sum(1), areas, strict=True) if a and not n]
        msg = f"points {reference}: none lies in {', '.join(empty)} of the map; draw a sample with segflow sample"
        raise SceneError(msg) from error
    left = [
        *points.left,
        (int((~filled).sum()), "have no class yet"),
        (int((filled & ~inside).sum()), "lie outside the map"),
        (int((~known).sum()), "lie where the map has no data, or are ignored"),
    ]
    return SampleEvaluation(
        map=Path(found.classes.path).name,
        reference=Path(reference).name,
        classes=table.legend,
        counts=tuple(tuple(row) for row in counts.tolist()),
        mapped=tuple(areas.tolist()),
        unit=unit,
        estimates=estimates,
        notes=(
            *unread_masks(found.classes.files, found.access),
            *points.notes,
            *(f"{count:,} points {why}: left out" for count, why in left if count),
        ),
    )


def draw_sample(
    found: MapToEvaluate, points: int, out: Path, seed: int, progress: Progress
) -> tuple[tuple[str, int], ...]:
    """Draw a stratified random sample of pixels and write their centres with an empty class field.

    The strata are the classes of the map; the points lie in random order and do not tell their
    stratum, so that whoever fills in their class is not led by the map.

    Returns
    -------
    Name and number of points of each class.

    Raises
    ------
    SettingsError
        If no point is asked for.
    """
    if points < 1:
        msg = f"a sample needs at least one point, got {points}"
        raise SettingsError(msg)
    table = _table(found, EvaluateSettings())
    size = len(table.legend)
    pixels = summarise(found, table, progress).pixels.sum(1)[:size]
    wanted = allocate_sample(pixels, points)
    random = np.random.default_rng(seed)
    ranks = [np.sort(random.choice(pixels[i], wanted[i], replace=False, shuffle=False)) for i in range(size)]
    places = _places(found, table, ranks)
    write_points(out, found.classes.grid, random.permutation(places), CLASS_FIELD)
    return tuple((entry.name, int(count)) for entry, count in zip(table.legend, wanted, strict=True))


def summarise(found: MapToEvaluate, table: ClassTable, progress: Progress) -> MapSummary:
    """Count pixels and areas of all classes of a map, under their numbers."""
    grid = found.classes.grid
    summary = MapSummary(grid)
    with open_classes(found.classes, found.access) as raster, stage(progress, "areas", grid.window.size):
        for tile in TileGrid(height=grid.height, width=grid.width, core=BLOCK, margin=0, stride=1):
            labels = table.number(raster.read(tile.core), f"map {found.classes.path}", mapped=False)
            summary.add(tile.core, labels, np.zeros(labels.shape, np.uint8))
            progress.advance(tile.core.size)
    return summary


def _table(found: MapToEvaluate, settings: EvaluateSettings) -> ClassTable:
    """Give the classes of the map and those that entries of the points were said to mean."""
    if found.legend:
        return ClassTable(legend=found.legend, mapping=settings.class_values)
    values = values_in(found.classes, found.access) | (set(settings.class_values.values()) - {NODATA})
    if not values:
        msg = f"map {found.classes.path} holds no class anywhere: choose another map"
        raise SceneError(msg)
    return ClassTable(legend=legend_of(values, found.classes), mapping=settings.class_values)


def _read_at(found: MapToEvaluate, table: ClassTable, places: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Give the numbers of the map's classes at pixels, in their order."""
    labels = np.full(len(places), NODATA, np.uint8)
    with open_classes(found.classes, found.access) as raster:
        for index in np.lexsort(places.T[::-1]).tolist():  # row by row, so that blocks are decoded once
            row, col = places[index].tolist()
            raw = raster.read(Window(Span(row, row + 1), Span(col, col + 1)))
            labels[index] = table.number(raw, f"map {found.classes.path}", mapped=False)[0, 0]
    return labels


def _places(found: MapToEvaluate, table: ClassTable, ranks: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Give (row, column) of the pixels that have given ranks among those of their class, block by block."""
    grid = found.classes.grid
    seen = np.zeros(len(ranks), np.int64)
    places = [np.empty((0, 2), np.int64)]
    with open_classes(found.classes, found.access) as raster:
        for tile in TileGrid(height=grid.height, width=grid.width, core=BLOCK, margin=0, stride=1):
            labels = table.number(raster.read(tile.core), f"map {found.classes.path}", mapped=False)
            for number, wanted in enumerate(ranks):
                here = np.argwhere(labels == number)
                chosen = wanted[(wanted >= seen[number]) & (wanted < seen[number] + len(here))] - seen[number]
                places.append(here[chosen] + (tile.core.rows.start, tile.core.cols.start))
                seen[number] += len(here)
    return np.concatenate(places)
