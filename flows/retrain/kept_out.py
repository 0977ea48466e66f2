"""Scenes that stay kept out: test scenes of one model are never training scenes of a later one, and vice versa.

Two models can be compared only on scenes that neither was trained on. So a scene keeps the part that it served first,
whatever scenes come after it; it is identified by its pixels, not by its name.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from segflow.configs.training import TrainSettings
from segflow.errors import SettingsError, TrainingError
from segflow.flows.access import training_access
from segflow.flows.train.label_source import cut_windows, open_labels
from segflow.flows.train.splitting import SplitPlan, plan_split
from segflow.io.scene.pixels import digest_pixels
from segflow.io.scene.scenes import describe_scene
from segflow.segmentation.training.split import PARTS, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledContent:
    """What a labelled scene holds.

    Attributes
    ----------
    pixels, labels
        SHA-256 of its pixels, and of its labels as they are burnt onto its grid.
    """

    pixels: str
    labels: str


def digest_content(scenes: Mapping[str, Path], settings: TrainSettings) -> dict[str, LabelledContent]:
    """Give what each scene holds, read in bounded memory.

    Raises
    ------
    SceneError
        If a scene or its labels cannot be read.
    """
    access = training_access(settings)
    return {
        name: LabelledContent(pixels=digest_pixels(path, access=access), labels=_digest_labels(path, settings))
        for name, path in scenes.items()
    }


def plan_kept_out(
    settings: TrainSettings, known: Mapping[str, Part], *, least: int
) -> tuple[TrainSettings, SplitPlan, dict[str, LabelledContent]]:
    """Divide the labelled scenes so that each known one serves the part that it served before.

    Where the settings name the parts, they are what the settings say.

    Parameters
    ----------
    settings
        What scenes and labels there are.
    known
        Part of the scenes that earlier models have seen, by the digest of their pixels.
    least
        Test scenes that are needed.

    Returns
    -------
    TrainSettings, SplitPlan, dict
        The settings, now naming the scenes of validation and test; the plan; and what each scene holds.

    Raises
    ------
    SettingsError
        If scenes are to be split by blocks, of which none is kept out as a whole.
    TrainingError
        If there are too few test scenes, or no split keeps known scenes where they were.
    """
    if not settings.test and settings.split.by == "block":
        msg = (
            "split by block leaves no whole scene out to compare models on: "
            "set `split: {by: scene}`, or name scenes with `validation` and `test`"
        )
        raise SettingsError(msg)
    plan = plan_split(settings)
    content = digest_content(plan.scenes, settings)
    if not settings.test:
        settings = _name_parts(settings, plan, {name: known.get(entry.pixels) for name, entry in content.items()})
        plan = plan_split(settings)
    tested = plan.names("test")
    if len(tested) < least:
        msg = (
            f"{len(tested)} scenes are kept out ({', '.join(tested)}), but {least} are needed to compare models: "
            "label more scenes, raise split.test, or set a smaller --least-scenes"
        )
        raise TrainingError(msg)
    return settings, plan, content


def digest_training(settings: TrainSettings, content: Mapping[str, LabelledContent], left_out: Iterable[str]) -> str:
    """Give the key of a training: equal for equal scenes, labels and settings, but those `left_out`."""
    free = set(left_out)
    told = {field.name: repr(getattr(settings, field.name)) for field in fields(settings) if field.name not in free}
    held = {name: (entry.pixels, entry.labels) for name, entry in content.items()}
    return hashlib.sha256(repr((sorted(told.items()), sorted(held.items()))).encode()).hexdigest()


def _name_parts(settings: TrainSettings, plan: SplitPlan, known: Mapping[str, Part | None]) -> TrainSettings:
    """Give the settings with the parts by name: the known ones, for their neighbours too, else what was dealt."""
    parts: dict[str, Part] = {}
    for names in _groups(plan):
        before = [part for name in names if (part := known[name]) is not None]
        for name in names:
            (dealt,) = plan.parts[name]
            parts[name] = known[name] or (before[0] if before else dealt)
    by_part = {part: tuple(name for name, other in parts.items() if other == part) for part in PARTS}
    empty = [part for part, names in by_part.items() if not names]
    if empty:
        msg = (
            f"no scene is left for {', '.join(empty)}, because scenes keep the part that they served before: "
            "label more scenes, or begin with another --shelf"
        )
        raise TrainingError(msg)
    return replace(settings, validation=by_part["validation"], test=by_part["test"])


def _groups(plan: SplitPlan) -> list[list[str]]:
    """Give the scenes, those that show the same ground or hold the same pixels together."""
    leader = {name: name for name in plan.scenes}
    for one, other in plan.together:
        first, second = leader[one], leader[other]
        leader = {name: first if found == second else found for name, found in leader.items()}
    groups: dict[str, list[str]] = defaultdict(list)
    for name, found in leader.items():
        groups[found].append(name)
    return list(groups.values())


def _digest_labels(path: Path, settings: TrainSettings) -> str:
    grid = describe_scene(path, training_access(settings)).grid
    labels = open_labels(path, grid, settings)
    digest = hashlib.sha256(repr(grid.shape).encode())
    for window in cut_windows(grid.window):
        if labels is not None:
            digest.update(labels.read(window).tobytes())
    return digest.hexdigest()


def known_parts(entries: Sequence[Mapping[str, Any]]) -> dict[str, Part]:
    """Give the part of each scene that a ledger knows, by the digest of its pixels: the first that it served."""
    found: dict[str, Part] = {}
    for entry in entries:
        for scene in entry.get("scenes", {}).values():
            found.setdefault(scene["pixels"], scene["part"])
    return found
