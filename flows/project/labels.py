"""The steps of a project that bring its labels: those that exist, or an empty layer to digitise in QGIS."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segflow.configs.classes import ClassSettings
from segflow.configs.loader import read_mapping
from segflow.configs.project import set_lines
from segflow.configs.training import TrainSettings
from segflow.configs.training_files import load_training
from segflow.errors import OutputError, SettingsError
from segflow.flows.access import training_access
from segflow.flows.project.step import ProjectStep, align, project_command
from segflow.flows.train.label_source import find_scenes
from segflow.flows.train.label_survey import SceneSurvey, outside_polygons, sum_pixels, survey_labels, warnings_of
from segflow.io.labels.fields import class_text, map_classes
from segflow.io.labels.polygons import IGNORE
from segflow.io.labels.rasters import LabelRaster, open_label_raster, tally_notes
from segflow.io.labels.template import FIELD, write_label_template
from segflow.io.scene.crs import count_crs
from segflow.io.scene.scenes import describe_scene
from segflow.io.vector.source import LAYER_MARK, composed, open_source
from segflow.io.work.projects import IMAGES, LABELS, PROJECT_FILE, place_file, read_project, write_project

TEMPLATE = "labels.gpkg"
_GLOBE = "EPSG:4326"  # of scenes that lie in several coordinate systems
_IGNORED = "ignore"  # instead of a class


def add_labels(
    folder: Path,
    files: Sequence[str],
    *,
    field: str | None = None,
    classes: Mapping[str, str] | None = None,
    background: str | None = None,
    allow_datum_shift: bool = False,
    copy: bool = False,
) -> ProjectStep:
    """Let a project learn from labels, once they fit its scenes; a second time changes nothing.

    Parameters
    ----------
    folder
        Of the project.
    files
        One vector file (``FILE.gpkg|layername=NAME`` for a layer of several), label rasters, or one
        folder of rasters or vector files; rasters, and files in a folder, are named like their scenes.
    field
        For a vector file: its field with the class.
    classes
        Class by entry of that field or value of the rasters, where their text is not the class's
        name; ``ignore`` for none.
    background
        Class of all land without a label; None: as in the settings, at first ignored.
    allow_datum_shift
        Accept labels that may be off by more than a pixel, where PROJ only guesses the shift between two datums.
    copy
        Copy rasters instead of linking them.

    Raises
    ------
    SegflowError
        If the folder is no project or has no scenes, or the labels do not fit. Then nothing was changed.
    """
    settings = load_project(folder)
    found: dict[str, Any] = {"class_values": _chosen_values(classes or {}, settings.classes)}
    if background is not None:
        found["background"] = _class_value(background, settings.classes)
    if allow_datum_shift:
        found["allow_datum_shift"] = True
    rasters = [Path(file) for file in files if file.lower().endswith((".tif", ".tiff"))]
    if rasters:
        if len(rasters) < len(files):
            msg = "labels are either one vector file, or rasters: add one kind"
            raise SettingsError(msg)
        _check_rasters(rasters, settings)
        found |= {"labels": LABELS}
    else:
        found |= _vector_settings(folder, files, field, {**settings.class_values, **found["class_values"]}, settings)
    for raster in rasters:
        place_file(raster, folder / LABELS / f"{raster.stem}.tif", copy=copy)
    return _adopt(folder, settings, found)


def new_labels(folder: Path) -> ProjectStep:
    """Write an empty layer of labels to digitise in QGIS, once; one that is there stays as it is.

    Raises
    ------
    SegflowError
        If the folder is no project or has no scenes, or its labels lie elsewhere already.
    """
    settings = load_project(folder)
    text = read_project(folder)
    path = folder / TEMPLATE
    named = read_mapping(folder / PROJECT_FILE).get("labels", TEMPLATE)
    if named != TEMPLATE:
        msg = f"{folder / PROJECT_FILE} learns from {named} already: remove its line `labels` to start anew"
        raise SettingsError(msg)
    if path.exists():
        lines: tuple[str, ...] = (f"{path} is there already and was left as it is",)
    else:
        access = training_access(settings)
        systems = [describe_scene(scene, access).grid.crs for scene in find_scenes(settings).values()]
        crs = systems[0] if count_crs(systems) == 1 else None
        write_label_template(path, [(entry.name, _rgb(entry.colour)) for entry in settings.classes], crs or _GLOBE)
        lines = (
            f"wrote {path}: drag it into QGIS over the scenes in {folder / IMAGES}, switch editing on,",
            f"draw polygons and choose their class: {', '.join(entry.name for entry in settings.classes)}",
            "where polygons overlap, the later one counts",
        )
    changed = set_lines(text, {"labels": TEMPLATE, "class_field": FIELD}, where=str(folder / PROJECT_FILE))
    if changed != text:
        write_project(folder, changed)
    following = f"{project_command('show', folder)}   (once some polygons are saved)"
    return ProjectStep(lines=lines, next_step=following, facts={"labels": str(path)})


def load_project(folder: Path) -> TrainSettings:
    """Give the settings of a project that has scenes.

    Raises
    ------
    SettingsError
        If the folder is no project, has no scenes yet, or a setting makes no sense.
    """
    read_project(folder)
    if not any((folder / IMAGES).glob("*")):
        msg = f"{folder} has no scenes yet: run {project_command('add images SCENE.tif …', folder)} first"
        raise SettingsError(msg)
    return load_training(folder, environment={})


def class_table(surveys: Sequence[SceneSurvey], settings: TrainSettings) -> tuple[str, ...]:
    """Give a table with polygons, pixels, area and share of each class."""
    total = sum(sum_pixels(surveys)) or 1
    rows = [("class", "polygons", "pixels", "area [ha]", "share")]
    for entry, pixels in zip(settings.classes, sum_pixels(surveys), strict=True):
        polygons = sum(survey.polygons[entry.value] for survey in surveys)
        area = sum(survey.area(entry.value) for survey in surveys)
        name = f"{entry.value} {entry.name}"
        rows.append((name, f"{polygons:,}", f"{pixels:,}", f"{area:,.1f}", f"{pixels / total:.1%}"))
    return align(rows)


def _adopt(folder: Path, settings: TrainSettings, found: Mapping[str, Any]) -> ProjectStep:
    """Look at the labels with the settings that were found, then write these down."""
    before = read_project(folder)
    changed = set_lines(before, found, where=str(folder / PROJECT_FILE))
    earlier = read_mapping(folder / PROJECT_FILE).get("labels", found["labels"])
    settings = dataclasses.replace(settings, **found)
    surveys = survey_labels(settings)
    names = {entry.value: entry.name for entry in settings.classes}
    if not any(sum_pixels(surveys)):
        why = tally_notes((s.labels for s in surveys if isinstance(s.labels, LabelRaster)), names)
        if Path(settings.data, settings.labels.partition(LAYER_MARK)[0]).is_file():
            features = open_source(str(Path(settings.data) / settings.labels)).features
            why = (*why, f"none of its {features:,} polygons lies on a scene, or all are ignored")
        where = f"labels {settings.labels} leave no labelled pixel on the scenes of {folder}"
        msg = "; ".join((f"{where}: check what they cover", *why))
        raise SettingsError(msg)
    if changed != before:
        write_project(folder, changed)
    meaning = [
        f"{text!r} is {names.get(value, 'ignored')}" for text, value in sorted(settings.class_values.items(), key=str)
    ]
    lines = (
        f"labels {settings.labels}{': ' if meaning else ''}{', '.join(meaning)}",
        *class_table(surveys, settings),
        *((f"note: the project learnt from {earlier} before",) if earlier != found["labels"] else ()),
        *(f"note: {line}" for line in warnings_of(surveys, names)),
    )
    facts = {
        "labels": settings.labels,
        "class_values": {str(key): value for key, value in settings.class_values.items()},
        "scenes": {survey.name: survey.as_dict(list(names.values())) for survey in surveys},
        "polygons_on_no_scene": outside_polygons(surveys)[0],
        "notes": list(warnings_of(surveys, names)),
    }
    return ProjectStep(lines=lines, next_step=project_command("show", folder), facts=facts)


def _vector_settings(
    folder: Path,
    files: Sequence[str],
    field: str | None,
    chosen: Mapping[str | int, int],
    settings: TrainSettings,
) -> dict[str, Any]:
    """Give the settings that a vector file, or a folder of rasters or vector files, needs."""
    if len(files) != 1:
        msg = f"labels come from one vector file, got {len(files)}: merge them with QGIS or ogrmerge"
        raise SettingsError(msg)
    path = _recorded(folder, files[0])
    if Path(files[0]).is_dir():
        return {"labels": path} if field is None else {"labels": path, "class_field": field}
    source = open_source(files[0])
    if field is None:
        msg = f"labels {files[0]} need --class-field, one of: {', '.join(source.fields)}"
        raise SettingsError(msg)
    texts = [class_text(entry) for entry in source.entries(field)]
    names = {entry.name: entry.value for entry in settings.classes}
    mapping = map_classes(texts, chosen, names, where=f"labels {files[0]}: field {field!r}")
    return {"labels": path, "class_field": field, "class_values": mapping}


def _recorded(folder: Path, file: str) -> str:
    """Give a path as the settings hold it: relative within the project, else absolute."""
    name, mark, layer = file.partition(LAYER_MARK)
    path = Path(os.path.abspath(name))  # noqa: PTH100  # keeps links, unlike resolve
    home = Path(os.path.abspath(folder))  # noqa: PTH100
    return f"{path.relative_to(home) if path.is_relative_to(home) else path}{mark}{layer}"


def _check_rasters(rasters: Sequence[Path], settings: TrainSettings) -> None:
    """Refuse label rasters without a scene of their name or on another grid."""
    scenes = find_scenes(settings)
    for raster in rasters:
        scene = scenes.get(composed(raster.stem))
        if scene is None:
            msg = f"{raster} has the name of no scene in {settings.data}/{IMAGES}: name label rasters like their scenes"
            raise OutputError(msg)
        values = [entry.value for entry in settings.classes]
        access = training_access(settings)
        grid = describe_scene(scene, access).grid
        open_label_raster(raster, grid, values, access=access)


def _chosen_values(classes: Mapping[str, str], known: Sequence[ClassSettings]) -> dict[str | int, int]:
    return {class_text(entry): _class_value(name, known) for entry, name in classes.items()}


def _class_value(text: str, classes: Sequence[ClassSettings]) -> int:
    """Give the value of a class that is named by name or value; 255 for `ignore`."""
    text = class_text(text)
    for entry in classes:
        if text in {entry.name, str(entry.value)}:
            return entry.value
    if text in {_IGNORED, str(IGNORE)}:
        return IGNORE
    msg = f"{text!r} is no class of the project: choose {', '.join(entry.name for entry in classes)} or {_IGNORED}"
    raise SettingsError(msg)


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
