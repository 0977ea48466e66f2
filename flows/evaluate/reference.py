"""`segflow evaluate`: a map against a reference that covers it, streamed in blocks with halos."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from segflow.errors import SceneError, SettingsError
from segflow.flows.access import raster_access
from segflow.flows.evaluate.evaluated_map import BLOCK, ClassTable, MapToEvaluate, distinct, legend_of, values_in
from segflow.flows.evaluate.findings import Evaluation
from segflow.flows.progress import Progress, stage
from segflow.io.labels.polygons import LabelPolygons, count_outside, read_label_polygons
from segflow.io.labels.references import UNKNOWN, ValueReader, Values, open_classes, open_reference, reference_doubts
from segflow.io.pages.error_picture import ErrorPicture
from segflow.io.raster.classes import describe_classes
from segflow.io.scene.sources import unread_masks
from segflow.segmentation.scores.accuracy import AccuracyCounts, AccuracySettings
from segflow.segmentation.scores.boundary import BUFFER, TOLERANCE
from segflow.tiling import NODATA, Grid, Span, TileGrid, Window

RASTERS = (".tif", ".tiff", ".jp2", ".j2k", ".vrt")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateSettings:
    """How a map is compared with a reference.

    Attributes
    ----------
    class_field
        Field of a vector reference that says the class.
    class_values
        Class value by entry of that field, or by value of a reference raster; 255 ignores.
    background
        Class value of pixels outside all polygons of a reference; 255 ignores them.
    resample
        ``nearest`` brings a reference raster of another grid onto the map's.
    tile
        Side of the cores of the map's tiles [px], where the map does not say.
    tolerance, buffer
        Of boundary F1 and of relaxed scores [px].
    seed
        Of the bootstrap.
    allow_datum_shift
        Whether a reference may be off by more than a pixel where PROJ only guesses the shift between two datums.
    sidecars
        Whether the files beside map and reference are read, such as masks.
    max_pixels, max_block
        How large map and reference may be, as in `RunSettings`.
    block
        Side of the blocks that are read at a time [px], a multiple of 64; it changes no figure.
    """

    class_field: str | None = None
    class_values: Mapping[str, int] = field(default_factory=dict)
    background: int = NODATA
    resample: str | None = None
    tile: int | None = None
    tolerance: float = TOLERANCE
    buffer: float = BUFFER
    seed: int = 0
    allow_datum_shift: bool = False
    sidecars: bool = False
    max_pixels: int | None = None
    max_block: int | None = None
    block: int = BLOCK

    def __post_init__(self) -> None:
        if self.tolerance < 0 or self.buffer < 0 or (self.tile is not None and self.tile < 1):
            msg = f"tolerance and buffer must not be negative and tile positive, got {self}"
            raise SettingsError(msg)
        if self.resample not in {None, "nearest"}:
            msg = f"a reference is resampled by nearest only, got {self.resample!r}: class values have no mean"
            raise SettingsError(msg)


class PolygonReference:
    """Polygons as values on the grid of the map."""

    def __init__(self, polygons: LabelPolygons) -> None:
        self._polygons = polygons

    def read(self, window: Window) -> Values:
        """Give the values in a window; -1 where there is none."""
        labels = self._polygons.read(window)
        return np.where(labels == NODATA, UNKNOWN, labels.astype(np.int64))


def evaluate_map(
    found: MapToEvaluate, reference: str, settings: EvaluateSettings, progress: Progress
) -> tuple[Evaluation, ErrorPicture]:
    """Compare a map with a raster or polygons that say the truth.

    Raises
    ------
    SceneError
        If either cannot be read, they share no pixel, or the reference holds unknown classes.
    SettingsError
        If polygons are given without the field of their class.
    """
    table = class_table(found, settings, reference)
    tile = found.tile or settings.tile
    grid = found.classes.grid
    options = AccuracySettings(
        classes=len(table.legend), tolerance=settings.tolerance, buffer=settings.buffer, tile=tile
    )
    counts, picture = AccuracyCounts(grid, options), ErrorPicture(grid)
    ignored = 0  # reference pixels of value 255, which is a class in masks of 0 and 255
    declared = _declares_ignored(reference, settings)
    seen = 0  # reference pixels with a class, wherever the map has none
    with ExitStack() as stack:
        truth_reader, notes = stack.enter_context(_open_truth(reference, grid, settings, table))
        map_reader = stack.enter_context(open_classes(found.classes, found.access))
        sure = stack.enter_context(open_classes(found.confidence, found.access)) if found.confidence else None
        stack.enter_context(stage(progress, "evaluate", grid.window.size))
        for core, read in _windows(grid, settings.block, options.halo):
            raw = truth_reader.read(read)
            truth = table.number(raw, f"reference {reference}", mapped=True)
            labels = table.number(map_reader.read(read), f"map {found.classes.path}", mapped=False)
            confidence = None if sure is None else _percent(sure.read(read))
            counts.add(core, read, truth, labels, confidence)
            inner = core.relative_to(read).slices
            picture.add(core, truth[inner], labels[inner])
            ignored += int(np.isin(raw[inner], (NODATA, UNKNOWN) if declared else (NODATA,)).sum())
            seen += int(np.count_nonzero(truth[inner] != NODATA))
            progress.advance(core.size)
    masked = () if str(NODATA) in settings.class_values else _ignored_note(ignored, counts, table, reference)
    _check_overlap(seen, counts, reference, found, masked)
    unread = unread_masks((*found.classes.files, *_raster_files(reference, settings)), found.access)
    notes = (*notes, *unread, *masked, *_one_sided(counts, table, reference))
    return Evaluation.of(found, reference, table.legend, counts, notes, settings.seed), picture


def class_table(found: MapToEvaluate, settings: EvaluateSettings, reference: str) -> ClassTable:
    """Give the classes that are compared: those of the map's legend, or else all that occur."""
    if found.legend:
        return ClassTable(legend=found.legend, mapping=settings.class_values)
    values = values_in(found.classes, found.access)
    if not values:
        msg = f"map {found.classes.path} holds no class anywhere: choose another map"
        raise SceneError(msg)
    if Path(reference).suffix.lower() in RASTERS:
        extra = _reference_values(reference, found.classes.grid, settings)
        if not values & extra and extra:
            msg = (
                f"reference {reference} holds {_list(extra)}, but the map {_list(values)}: "
                "say what is meant with --class-value"
            )
            raise SceneError(msg)
        values |= extra
    elif settings.background != NODATA:
        values.add(settings.background)
    return ClassTable(legend=legend_of(values, found.classes), mapping=settings.class_values)


def _reference_values(reference: str, grid: Grid, settings: EvaluateSettings) -> set[int]:
    """Give the class values that occur in a reference raster."""
    raw: set[int] = set()
    with open_reference(
        reference, grid, raster_access(settings), resample=settings.resample is not None, classes=_classes(settings)
    ) as raster:
        for core, _ in _windows(grid, settings.block, 0):
            raw |= set(distinct(raster.read(core)))
    return {settings.class_values.get(str(value), value) for value in raw - {UNKNOWN}} - {NODATA}


@contextmanager
def _open_truth(
    reference: str, grid: Grid, settings: EvaluateSettings, table: ClassTable
) -> Iterator[tuple[ValueReader, tuple[str, ...]]]:
    """Open a reference; give its reader and what the user should know of it."""
    if Path(reference).suffix.lower() in RASTERS:
        access, nearest = raster_access(settings), settings.resample is not None
        with open_reference(reference, grid, access, resample=nearest, classes=_classes(settings)) as raster:
            yield raster, reference_doubts(reference, grid, access, allow_shift=settings.allow_datum_shift)
        return
    if settings.class_field is None:
        msg = f"reference {reference} is a vector file: name the field of its class with --class-field"
        raise SettingsError(msg)
    polygons = read_label_polygons(
        reference,
        grid,
        field=settings.class_field,
        values=settings.class_values,
        names=table.names,
        background=settings.background,
        allow_shift=settings.allow_datum_shift,
        role="reference",
    )
    notes = list(polygons.notes)
    outside, total = count_outside([polygons])
    if outside:
        notes.append(f"{outside:,} of {total:,} polygons of the reference lie outside the map")
    if polygons.repaired or polygons.dropped:
        notes.append(f"{polygons.repaired} invalid polygons were repaired, {polygons.dropped} without area left out")
    yield PolygonReference(polygons), tuple(notes)


def _classes(settings: EvaluateSettings) -> tuple[int, ...]:
    """Give the values of a reference that were said to be classes."""
    chosen = settings.class_values.items()
    return tuple(int(text) for text, value in chosen if text.lstrip("-").isdigit() and value != NODATA)


def _windows(grid: Grid, block: int, halo: int) -> Iterator[tuple[Window, Window]]:
    """Give blocks in row-major order, each with its halo inside the map."""
    for tile in TileGrid(height=grid.height, width=grid.width, core=block, margin=0, stride=1):
        rows, cols = (Span(span.start - halo, span.stop + halo) for span in (tile.core.rows, tile.core.cols))
        yield tile.core, Window(rows, cols).clip(grid.window)


def _percent(values: Values) -> npt.NDArray[np.uint8]:
    return np.where(values == UNKNOWN, NODATA, values).astype(np.uint8)


def _declares_ignored(reference: str, settings: EvaluateSettings) -> bool:
    """Tell whether a reference raster declares 255 as nodata."""
    if Path(reference).suffix.lower() not in RASTERS:
        return False
    return describe_classes(reference, raster_access(settings), role="reference").bands[0].nodata == NODATA


def _raster_files(reference: str, settings: EvaluateSettings) -> tuple[str, ...]:
    """Give the files of a reference raster; none of other references."""
    if Path(reference).suffix.lower() not in RASTERS:
        return ()
    return describe_classes(reference, raster_access(settings), role="reference").files


def _ignored_note(ignored: int, counts: AccuracyCounts, table: ClassTable, reference: str) -> tuple[str, ...]:
    """Say that 255 was ignored in a reference raster that holds one other class at most."""
    held = np.flatnonzero(counts.confusion.sum(1))
    if not ignored or len(held) > 1 or Path(reference).suffix.lower() not in RASTERS:
        return ()
    missing = [entry for index, entry in enumerate(table.legend) if index not in held]
    entry = next((entry for entry in missing if entry.value), missing[0] if missing else table.legend[-1])
    found = f"255 was ignored: {ignored:,} pixels of the reference"
    return (f"{found}; where it is {entry.name}, say so: --class-value 255={entry.value}",)


def _check_overlap(
    seen: int, counts: AccuracyCounts, reference: str, found: MapToEvaluate, masked: tuple[str, ...]
) -> None:
    if not seen:
        advice = "; ".join(("check that both show the same place", *masked))
        msg = f"reference {reference} has no pixel with a class on the map: {advice}"
        raise SceneError(msg)
    if not counts.confusion.any():
        msg = (
            f"map {found.classes.path} has no data where reference {reference} has a class: there is nothing to compare"
        )
        raise SceneError(msg)


def _one_sided(counts: AccuracyCounts, table: ClassTable, reference: str) -> tuple[str, ...]:
    """Warn of a reference that holds one class only: it cannot tell what the map invents."""
    held = np.flatnonzero(counts.confusion.sum(1))
    if len(held) > 1 or len(table.legend) == 1:
        return ()
    name = table.legend[int(held[0])].name
    advice = "" if Path(reference).suffix.lower() in RASTERS else "; --background VALUE says what lies outside polygons"
    return (f"the reference holds only {name!r}, so it cannot tell where the map wrongly shows it{advice}",)


def _list(values: set[int]) -> str:
    return ", ".join(map(str, sorted(values)[:8]))
