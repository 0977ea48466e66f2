"""The first steps of a project: a folder with a settings file, and the scenes in it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from segflow.configs.classes import ClassSettings
from segflow.configs.loader import read_mapping
from segflow.configs.project import parse_classes, project_text, set_lines
from segflow.errors import SceneError, SceneMismatchError, SettingsError
from segflow.flows.models.lookup import find_model
from segflow.flows.project.step import ProjectStep, project_command
from segflow.io.names.words import place_of
from segflow.io.scene.crs import count_crs
from segflow.io.scene.info import SceneInfo
from segflow.io.scene.scenes import describe_scene, gsd, select_bands
from segflow.io.work.projects import IMAGES, PROJECT_FILE, place_file, read_project, write_project

_ACCEPTED = (0.75, 1.5)  # times the scenes' own resolution: what a model takes later
_MULTIPLE = 32  # px; a side of chips that the usual networks take
_CHIP = 256  # px; unless the settings say otherwise


def init_project(folder: Path, *, model: str | None = None, classes: str | None = None) -> ProjectStep:
    """Make a folder a project: write its settings file and the folder of its images.

    Parameters
    ----------
    folder
        Need not be there; what it holds is left alone.
    model
        Model to go on from, by name or path: its classes, bands and network are taken over.
    classes
        What to tell apart: ``0:other,1:forest:#1b7837``.

    Raises
    ------
    SegflowError
        If the model or the classes make no sense, the folder cannot be written,
        or is a project already and classes or model were named.
    """
    following = project_command("add images SCENE.tif …", folder)
    if (folder / PROJECT_FILE).exists():
        if model is not None or classes is not None:
            msg = f"{folder / PROJECT_FILE} is there already: change its `classes` and `start` there"
            raise SettingsError(msg)
        read_project(folder)
        return ProjectStep(lines=(f"{folder} is a project already, nothing was changed",), next_step=following)
    chosen = parse_classes(classes) if classes is not None else ()
    started = _model_settings(model) if model is not None else {}
    known = tuple(ClassSettings(**entry) for entry in started.pop("classes", ()))
    if chosen and known and len(chosen) != len(known):
        msg = f"--classes names {len(chosen)}, but model {model} tells {len(known)} apart: give as many or leave it out"
        raise SettingsError(msg)
    write_project(folder, project_text(folder.resolve().name, classes=chosen or known, settings=started))
    names = [entry["name"] for entry in read_mapping(folder / PROJECT_FILE)["classes"]]
    hint = "" if chosen or known else ": rename them in it"
    lines = (f"wrote {folder / PROJECT_FILE} with the classes {', '.join(names)}{hint}",)
    return ProjectStep(lines=lines, next_step=following, facts={"project": str(folder), "classes": names})


def add_images(folder: Path, files: Sequence[Path], *, copy: bool = False) -> ProjectStep:
    """Add scenes to a project, by link or as copies, once all of them agree; a second time changes nothing.

    The first scenes say what bands and resolution the model gets, unless the settings do.

    Raises
    ------
    SegflowError
        If the folder is no project, a file is no scene, or scenes differ in bands, data type or resolution.
        Then none was added.
    """
    text = read_project(folder)
    settings = read_mapping(folder / PROJECT_FILE)
    targets = {folder / IMAGES / f"{file.stem}.tif": file for file in files}
    if len(targets) < len(files):
        msg = "two of the files have one name, by which scenes are told apart: rename one"
        raise SceneError(msg)
    present = [describe_scene(path) for path in sorted((folder / IMAGES).glob("*.tif")) if path not in targets]
    scenes = [*present, *(describe_scene(file) for file in files)]
    found = _learn_settings(scenes, settings)
    _check_agreement(scenes, {**settings, **found})
    changed = set_lines(text, found, where=str(folder / PROJECT_FILE))
    added = sum(place_file(file, target, copy=copy) for target, file in targets.items())
    if changed != text:
        write_project(folder, changed)
    lines = (
        f"{added} scenes were added, {len(files) - added} were there already; all {len(scenes)} agree:",
        _describe(scenes, {**settings, **found}),
    )
    facts = {"added": added, "scenes": len(scenes), "settings": found}
    following = (
        f"{project_command('add labels LABELS.shp --class-field NAME', folder)}"
        f"   (or {project_command('labels new', folder)}, to digitise in QGIS)"
    )
    return ProjectStep(lines=lines, next_step=following, facts=facts)


def _model_settings(name: str) -> dict[str, Any]:
    """Give the settings of a model to start from."""
    spec = find_model(name).spec
    start = name if find_model(name).path != name else str(Path(name).resolve())
    return {
        "start": start,
        "classes": [asdict(entry) for entry in spec.classes],
        "bands": [band.name for band in spec.bands],
        "gsd": spec.gsd,
        "gsd_range": list(spec.gsd_range),
        "network": spec.architecture,
        "arguments": dict(spec.arguments),
        "scaling": {band.name: [band.mean, band.std] for band in spec.bands},
    }


def _learn_settings(scenes: Sequence[SceneInfo], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give the settings that the scenes say and nobody has said before; and chips no larger than they are."""
    found: dict[str, Any] = {}
    if "bands" not in settings:
        names = _band_names(scenes[0])
        found["bands"] = names
        if "bands_chosen" not in settings and not _go_by(scenes[0], names):  # such as two bands of one name
            found["bands_chosen"] = [band.number for band in scenes[0].bands]
    if "gsd" not in settings:
        ground = [distance for scene in scenes if (distance := gsd(scene.grid)) is not None]
        if not ground:
            msg = (
                f"{scenes[0].path} has no CRS, so its resolution is not known: set gsd and gsd_range in {PROJECT_FILE}"
            )
            raise SceneError(msg)
        found["gsd"] = _rounded(median(ground))
        found["gsd_range"] = [_rounded(factor * found["gsd"]) for factor in _ACCEPTED]
    smallest = min(min(scene.grid.shape) for scene in scenes)
    if smallest < int(settings.get("chip", _CHIP)):
        found["chip"] = max(_MULTIPLE, smallest // _MULTIPLE * _MULTIPLE)
    return found


def _band_names(scene: SceneInfo) -> list[str]:
    """Give the names of a scene's bands: what they mean, else as they are; b1, b2, …, their places, if these fail.

    A name that only counts a stack stays a place in it, whatever it is spelt like.
    """
    names = [(band.common or ("",))[0] or _counted(band.name) for band in scene.bands]
    if all(names) and len(set(names)) == len(names):
        return names
    return [f"b{band.number}" for band in scene.bands]


def _go_by(scene: SceneInfo, names: Sequence[str]) -> bool:
    """Tell whether the bands of a scene are found by these names, each as it lies."""
    try:
        return select_bands(scene, tuple(names)) == tuple(band.number for band in scene.bands)
    except SceneMismatchError:
        return False


def _counted(name: str | None) -> str:
    place = None if name is None else place_of(name)
    return (name or "") if place is None else f"b{place}"


def _check_agreement(scenes: Sequence[SceneInfo], settings: Mapping[str, Any]) -> None:
    """Refuse scenes that differ in bands, data type or resolution."""
    bands, chosen = tuple(settings["bands"]), settings.get("bands_chosen")
    low, high = settings["gsd_range"]
    advice = "leave it out, or convert it (gdal_translate -ot, gdalwarp -tr)"
    for scene in scenes:
        try:
            select_bands(scene, bands, tuple(chosen) if chosen else None)
        except SceneMismatchError as error:
            msg = (
                f"{scene.path} has {len(scene.bands)} bands ({', '.join(_band_names(scene))}), but the project's model "
                f"gets {len(bands)} ({', '.join(bands)}): {advice}, or set bands and bands_chosen in {PROJECT_FILE}"
            )
            raise SceneMismatchError(msg) from error
        if scene.dtype != scenes[0].dtype:
            msg = f"{scene.path} is {scene.dtype}, but {scenes[0].path} is {scenes[0].dtype}: {advice}"
            raise SceneMismatchError(msg)
        ground = gsd(scene.grid)
        if ground is not None and not low <= ground <= high:
            found = f"{scene.path} has {ground:.4g} m per pixel"
            msg = f"{found}, but the project's gsd_range is {low:g}–{high:g} m: {advice}"
            raise SceneMismatchError(msg)


def _describe(scenes: Sequence[SceneInfo], settings: Mapping[str, Any]) -> str:
    """Say in one line what the scenes have in common, and in how many systems they lie."""
    systems = count_crs(scene.grid.crs for scene in scenes)
    pixels = sum(math.prod(scene.grid.shape) for scene in scenes) / 1e6
    return (
        f"{len(settings['bands'])} bands ({', '.join(settings['bands'])}), {scenes[0].dtype}, "
        f"{settings['gsd']:g} m per pixel, {pixels:,.1f} million pixels"
        f"{f', {systems} coordinate systems' if systems > 1 else ''}"
    )


def _rounded(value: float) -> float:
    """Round to three figures."""
    return float(f"{value:.3g}")
