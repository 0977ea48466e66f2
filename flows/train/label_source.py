"""The labels of a scene, wherever the settings say they are: in a folder of rasters or vector files, or in one file."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from segflow.configs.training import TrainSettings
from segflow.errors import SceneError, TrainingError
from segflow.flows.access import label_access, training_access
from segflow.io.labels.polygons import IGNORE, LabelPolygons, count_outside, read_label_polygons
from segflow.io.labels.rasters import LabelRaster, open_label_raster, tally_notes
from segflow.io.scene.scenes import describe_scene
from segflow.io.vector.source import LabelsElsewhereError, composed, open_source
from segflow.tiling import Grid, Span, Window

SceneLabels = LabelPolygons | LabelRaster

_RASTERS = (".tif", ".tiff", ".TIF", ".TIFF")
_VECTORS = (".gpkg", ".shp", ".geojson", ".json", ".fgb")
_SIDE = 1024  # px; of the windows that labels are counted in


def find_scenes(settings: TrainSettings) -> dict[str, Path]:
    """Give the scenes that the settings name, by name, sorted.

    Raises
    ------
    SceneError
        If there are none, or two of one name.
    """
    folder = Path(settings.data)
    paths = sorted(folder.glob(settings.scenes))
    if not paths:
        msg = f"{folder / settings.scenes} matches no scene: set `data` to the folder of the training data"
        raise SceneError(msg)
    found: dict[str, Path] = {}
    for path in paths:
        name = composed(path.stem)
        if name in found:
            msg = f"{found[name]} and {path} have one name: rename one, scenes are told apart by their names"
            raise SceneError(msg)
        found[name] = path
    return found


def open_labels(scene: Path, grid: Grid, settings: TrainSettings) -> SceneLabels | None:
    """Open the labels of a scene, without rasterising or reading them; None if it has none.

    Raises
    ------
    SceneError
        If they cannot be read or do not fit; `LabelsElsewhereError` if the scene lies outside all polygons.
    TrainingError
        If they are polygons and no field is named that says their class.
    """
    path = _find_labels(scene, settings)
    if path is None:
        return None
    values = [entry.value for entry in settings.classes]
    if path.endswith(_RASTERS):
        mapping = _raster_mapping(settings.class_values, path)
        return open_label_raster(path, grid, values, mapping, label_access(settings))
    if settings.class_field is None:
        fields = ", ".join(open_source(path).fields)
        msg = f"labels {path} are polygons, so `class_field` must say which class each one is, one of: {fields}"
        raise TrainingError(msg)
    labels = read_label_polygons(
        path,
        grid,
        field=settings.class_field,
        values=settings.class_values,
        names={entry.name: entry.value for entry in settings.classes},
        background=settings.background,
        allow_shift=settings.allow_datum_shift,
    )
    return labels if len(labels.values) or settings.background != IGNORE else None


def find_labels(scene: Path, settings: TrainSettings) -> SceneLabels | None:
    """Give the labels of a scene as `open_labels` does, None too where all polygons lie elsewhere."""
    try:
        return open_labels(scene, describe_scene(scene, training_access(settings)).grid, settings)
    except LabelsElsewhereError:
        return None


def label_notes(found: Iterable[SceneLabels], settings: TrainSettings) -> tuple[str, ...]:
    """Give notes on the labels: entries of the class field, what was repaired or left out, warnings; a line each."""
    found = list(found)
    polygons = [labels for labels in found if isinstance(labels, LabelPolygons)]
    names = {entry.value: entry.name for entry in settings.classes} | {IGNORE: "ignored"}
    mapping = {text: value for labels in polygons for text, value in labels.mapping.items()}
    outside, total = count_outside(polygons)
    repaired, dropped = sum(entry.repaired for entry in polygons), sum(entry.dropped for entry in polygons)
    notes = [f"labels: {text!r} is {value} ({names[value]})" for text, value in sorted(mapping.items())]
    if repaired or dropped:
        notes.append(f"labels: {repaired:,} invalid polygons were repaired, {dropped:,} that enclose nothing left out")
    if outside:
        notes.append(f"labels: {outside:,} of {total:,} polygons lie on no scene")
    bare = sum(not len(labels.values) for labels in polygons)
    if bare:
        name = names.get(settings.background, str(settings.background))
        notes.append(f"labels: {bare} scenes hold no polygon, so all of their land is {name} (background)")
    rasters = [labels for labels in found if isinstance(labels, LabelRaster)]
    notes += tally_notes(rasters, {entry.value: entry.name for entry in settings.classes})
    told = dict.fromkeys(note for labels in polygons for note in labels.notes)
    return (*notes, *(note if note.startswith("labels ") else f"labels: {note}" for note in told))


def cut_windows(window: Window, side: int = _SIDE) -> Iterator[Window]:
    """Give windows of at most `side` × `side` px that partition a window."""
    for top in range(window.rows.start, window.rows.stop, side):
        rows = Span(top, min(top + side, window.rows.stop))
        for left in range(window.cols.start, window.cols.stop, side):
            yield Window(rows, Span(left, min(left + side, window.cols.stop)))


def _find_labels(scene: Path, settings: TrainSettings) -> str | None:
    """Give the file with the labels of a scene, None if a folder has none for it.

    Raises
    ------
    SceneError
        If neither folder nor file is there.
    """
    source = Path(settings.data) / settings.labels
    if not source.is_dir():
        return str(source)
    names = [scene.name, *(scene.stem + suffix for suffix in (*_RASTERS, *_VECTORS))]
    found = [source / name for name in names if (source / name).is_file()]
    if not found and not scene.stem.isascii():  # the labels may spell the name with composed letters, or without
        files = {composed(file.name): file for file in sorted(source.iterdir()) if file.is_file()}
        found = [files[composed(name)] for name in names if composed(name) in files]
    return str(found[0]) if found else None


def _raster_mapping(values: Mapping[str | int, int], path: str) -> dict[int, int]:
    """Give what the values of a label raster mean."""
    try:
        return {int(key): value for key, value in values.items()}
    except ValueError as error:
        msg = f"labels {path} are a raster, so class_values must map numbers, got {', '.join(map(str, values))}"
        raise TrainingError(msg) from error
