"""The state of a project: its scenes, their labels, and how they will be split."""

from collections.abc import Sequence
from pathlib import Path

from segflow.configs.loader import read_mapping
from segflow.configs.training import TrainSettings
from segflow.errors import SceneError, SegflowError
from segflow.flows.project.labels import class_table, load_project
from segflow.flows.project.step import ProjectStep, align, project_command
from segflow.flows.train.label_survey import SceneSurvey, outside_polygons, sum_pixels, survey_labels, warnings_of
from segflow.flows.train.splitting import SplitPlan, plan_split
from segflow.io.work.projects import IMAGES, PROJECT_FILE, read_project


def show_project(folder: Path) -> ProjectStep:
    """Say what a project holds: scenes, labels, shares of the classes, the split; changes nothing.

    Raises
    ------
    SegflowError
        If the folder is no project, or its settings, scenes or labels make no sense.
    """
    read_project(folder)
    if not any((folder / IMAGES).glob("*")):
        return ProjectStep(
            lines=(f"{folder} has no scenes yet",), next_step=project_command("add images SCENE.tif …", folder)
        )
    settings = load_project(folder)
    if "labels" not in read_mapping(folder / PROJECT_FILE):
        count = len(list((folder / IMAGES).glob("*.tif")))
        following = project_command("add labels LABELS.shp --class-field NAME", folder)
        return ProjectStep(lines=(f"{folder} has {count} scenes and no labels yet",), next_step=following)
    try:
        surveys = survey_labels(settings)
    except SceneError as error:  # an empty layer, say, that waits to be digitised
        lines = (f"{folder} has scenes, but its labels are of no use yet: {' '.join(str(error).split())}",)
        return ProjectStep(
            lines=lines, next_step=project_command("show", folder), facts={"problem": " ".join(str(error).split())}
        )
    return _show_labelled(folder, settings, surveys)


def _show_labelled(folder: Path, settings: TrainSettings, surveys: Sequence[SceneSurvey]) -> ProjectStep:
    names = {entry.value: entry.name for entry in settings.classes}
    try:
        plan, problem = plan_split(settings), None
    except SegflowError as error:
        plan, problem = None, " ".join(str(error).split())
    lines = (
        *_scene_table(surveys, settings, plan),
        "",
        *class_table(surveys, settings),
        "",
        f"split by {plan.describe()}" if plan is not None else f"cannot be split: {problem}",
        *(f"note: {line}" for line in warnings_of(surveys, names)),
    )
    facts = {
        "scenes": {
            survey.name: {
                **survey.as_dict(list(names.values())),
                "parts": sorted(plan.parts.get(survey.name, ())) if plan is not None else [],
            }
            for survey in surveys
        },
        "pixels": dict(zip(names.values(), sum_pixels(surveys), strict=True)),
        "polygons_on_no_scene": outside_polygons(surveys)[0],
        "notes": list(warnings_of(surveys, names)),
        "problem": problem,
    }
    following = (
        f"segflow train {folder}" if plan is not None else f"edit {folder / PROJECT_FILE}, or add scenes or labels"
    )
    return ProjectStep(lines=lines, next_step=following, facts=facts)


def _scene_table(surveys: Sequence[SceneSurvey], settings: TrainSettings, plan: SplitPlan | None) -> tuple[str, ...]:
    """Give a row per scene: size, resolution, how much is labelled, the share of each class of that, its part."""
    rows = [("scene", "width × height", "m/px", "labelled", *(entry.name for entry in settings.classes), "serves")]
    for survey in surveys:
        height, width = survey.shape
        shares = [f"{pixels / survey.labelled:.0%}" if survey.labelled else "–" for pixels in survey.pixels]
        parts = sorted(plan.parts.get(survey.name, ())) if plan is not None else []
        ground = "?" if survey.gsd is None else f"{survey.gsd:.3g}"
        labelled = f"{survey.labelled / survey.valid:.0%}" if survey.valid else "–"
        rows.append((survey.name, f"{width} × {height}", ground, labelled, *shares, ", ".join(parts) or "nothing"))
    return align(rows)
