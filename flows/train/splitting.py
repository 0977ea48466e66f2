"""The division of labelled scenes or blocks into training, validation and test."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import shapely
from affine import Affine

from segflow.configs.training import TrainSettings
from segflow.errors import SceneError
from segflow.flows.access import training_access
from segflow.flows.train.label_source import find_labels, find_scenes, label_notes, open_labels
from segflow.flows.train.meaning import find_encoding
from segflow.io.labels.polygons import IGNORE
from segflow.io.scene.access import Access
from segflow.io.scene.conversion import Encoding
from segflow.io.scene.pixels import digest_candidates
from segflow.io.scene.scenes import describe_scene
from segflow.io.stac.footprints import footprint
from segflow.segmentation.training.leakage import check_leakage, find_overlaps, find_twins
from segflow.segmentation.training.split import (
    PARTS,
    Part,
    SceneBlocks,
    block_window,
    count_blocks,
    deal_parts,
    deal_scenes,
)
from segflow.tiling import Grid

_SHOWN = 8  # names in a note


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPlan:
    """Which scenes and blocks serve which part.

    Attributes
    ----------
    scenes
        Path of each labelled scene by its name.
    parts
        The parts that each scene serves: one, or several where it is split by blocks.
    blocks
        The blocks of each scene; empty where scenes are split whole.
    notes
        What the user should know, a line each.
    together
        Pairs of scenes that must serve one part: they show the same ground or hold the same pixels.
    encoding
        What the pixels of all scenes are to be; None: as they are stored.
    """

    scenes: Mapping[str, Path]
    parts: Mapping[str, frozenset[Part]]
    blocks: Mapping[str, SceneBlocks] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    together: tuple[tuple[str, str], ...] = ()
    encoding: Encoding | None = None

    def names(self, part: Part) -> tuple[str, ...]:
        """Give the names of the scenes that serve a part."""
        return tuple(name for name, parts in self.parts.items() if part in parts)

    def describe(self) -> str:
        """Say in one line how large the parts are."""
        if self.blocks:
            counts = Counter(part for entry in self.blocks.values() for part in entry.parts.values())
            return "blocks: " + ", ".join(f"{counts[part]} {part}" for part in PARTS)
        return "scenes: " + ", ".join(f"{len(self.names(part))} {part}" for part in PARTS)


def plan_split(settings: TrainSettings) -> SplitPlan:
    """Divide the labelled scenes into training, validation and test, and refuse leakage between them.

    Scenes that the settings name for validation and test serve these; else whole scenes are dealt out,
    those that overlap on the ground together, or the blocks of each scene that hold labels.

    Parameters
    ----------
    settings
        What scenes and labels there are, and how to split them.

    Raises
    ------
    SceneError
        If no scene is found, one that is named is missing or has no labels, or labels cannot be read.
    TrainingError
        If there are too few scenes or blocks, or scenes of different parts show the same ground or pixels.
    """
    scenes, notes = _labelled_scenes(settings)
    access = training_access(settings)
    overlaps = find_overlaps(_outlines(scenes, access))
    twins = find_twins(digest_candidates(scenes, access))
    pairs = (*overlaps, *twins)
    blocks: dict[str, SceneBlocks] = {}
    if settings.test:
        parts = _named_parts(scenes, settings)
    elif settings.split.by == "scene":
        split = settings.split
        parts = deal_scenes(scenes, pairs, validation=split.validation, test=split.test, seed=split.seed)
    else:
        blocks = _deal_blocks(scenes, settings)
    served = (
        {name: frozenset(entry.parts.values()) for name, entry in blocks.items()}
        if blocks
        else {name: frozenset({part}) for name, part in parts.items()}
    )
    check_leakage(served, overlaps=overlaps, twins=twins)
    return SplitPlan(
        scenes=scenes,
        parts=served,
        blocks=blocks,
        notes=notes,
        together=pairs,
        encoding=find_encoding(scenes, settings),
    )


def _labelled_scenes(settings: TrainSettings) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Give the scenes that have labels, and notes on the labels and on those that have none."""
    found = find_scenes(settings)
    named = {*settings.validation, *settings.test}
    missing = sorted(named - found.keys())
    if missing:
        place = Path(settings.data) / settings.scenes
        msg = f"{place} lacks scenes named for validation or test: {', '.join(missing)}"
        raise SceneError(msg)
    labels = {name: find_labels(path, settings) for name, path in found.items()}
    bare = [name for name, entry in labels.items() if entry is None]
    place = Path(settings.data) / settings.labels
    if len(bare) == len(found):
        first = found[bare[0]]
        grid = describe_scene(first, training_access(settings)).grid
        open_labels(first, grid, settings)  # says best why there are none, if it can
        msg = f"labels {place} hold none for the {len(found)} scenes: check their places and names"
        raise SceneError(msg)
    held_out = sorted(named & set(bare))
    if held_out:
        msg = f"labels {place} hold none for scenes named for validation or test: {', '.join(held_out)}"
        raise SceneError(msg)
    notes = label_notes((entry for entry in labels.values() if entry is not None), settings)
    if bare:
        notes = (*notes, f"{len(bare)} of {len(found)} scenes have no labels and are left out: {_listed(bare)}")
    return {name: path for name, path in found.items() if name not in bare}, notes


def _named_parts(scenes: Mapping[str, Path], settings: TrainSettings) -> dict[str, Part]:
    """Give the parts as the settings name them, in their order."""
    held_out = {*settings.validation, *settings.test}
    parts: dict[str, Part] = {name: "training" for name in scenes if name not in held_out}
    parts |= dict.fromkeys(settings.validation, "validation")
    return parts | dict.fromkeys(settings.test, "test")


def _deal_blocks(scenes: Mapping[str, Path], settings: TrainSettings) -> dict[str, SceneBlocks]:
    """Assign the blocks that hold labels to the parts."""
    split = settings.split
    access = training_access(settings)
    grids = {name: describe_scene(path, access).grid for name, path in scenes.items()}
    keys = {
        f"{name}/{row}/{column}": (name, row, column)
        for name, path in scenes.items()
        for row, column in _labelled_blocks(path, grids[name], settings)
    }
    dealt = deal_parts(keys, validation=split.validation, test=split.test, seed=split.seed)
    return {
        name: SceneBlocks(
            height=grid.height,
            width=grid.width,
            side=split.block,
            parts={keys[key][1:]: part for key, part in sorted(dealt.items()) if keys[key][0] == name},
        )
        for name, grid in grids.items()
    }


def _labelled_blocks(path: Path, grid: Grid, settings: TrainSettings) -> list[tuple[int, int]]:
    """Give (row, column) of the blocks of a scene with at least one labelled pixel."""
    labels = open_labels(path, grid, settings)
    rows, columns = count_blocks(grid.shape, settings.split.block)
    return [
        (row, column)
        for row in range(rows)
        for column in range(columns)
        if labels is not None
        and (labels.read(block_window(grid.shape, settings.split.block, (row, column))) != IGNORE).any()
    ]


def _outlines(scenes: Mapping[str, Path], access: Access) -> dict[str, shapely.Geometry]:
    """Give the footprint of each scene in degrees; scenes without a CRS have none.

    The outline runs through the centres of the outermost pixels, so that neighbours that only touch share nothing.
    """
    found: dict[str, shapely.Geometry] = {}
    for name, path in scenes.items():
        place = footprint(_through_centres(describe_scene(path, access).grid))
        if place is not None:
            found[name] = shapely.geometry.shape(place.geometry)
    return found


def _through_centres(grid: Grid) -> Grid:
    return Grid(
        height=max(1, grid.height - 1),
        width=max(1, grid.width - 1),
        transform=grid.transform @ Affine.translation(0.5, 0.5),
        crs=grid.crs,
    )


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
