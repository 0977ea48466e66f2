"""Labelled scenes for training: read into memory part by part, so that test scenes are read last."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from segflow.configs.training import TrainSettings
from segflow.errors import SceneError, TrainingError
from segflow.flows.access import training_access
from segflow.flows.train.label_source import SceneLabels, cut_windows, open_labels
from segflow.flows.train.meaning import read_alike
from segflow.flows.train.splitting import SplitPlan, plan_split
from segflow.io.labels.polygons import IGNORE
from segflow.io.scene.info import SceneInfo
from segflow.io.scene.scenes import describe_scene, gsd, open_scene, select_bands
from segflow.io.vector.source import composed
from segflow.segmentation.training.chips import Sample
from segflow.segmentation.training.leakage import buffer_between, check_distance
from segflow.segmentation.training.split import PARTS, SceneBlocks
from segflow.tiling import Span, Window

__all__ = ["SplitPlan", "plan_split", "read_samples"]

Part = Literal["training", "validation", "test"]
_LARGE = 4096 * 4096  # px; of larger scenes only the surroundings of the labels are kept in memory
_ALIGNMENT = 512  # px; a multiple of every stride: a cut scene is seen by the network as the whole one
_CONTEXT = 512  # px kept around labels where the dependency is not known


def read_samples(plan: SplitPlan, part: Part, settings: TrainSettings, *, dependency: int | None) -> list[Sample]:
    """Read the scenes of one part with their labels into memory.

    Parameters
    ----------
    plan
        Which scenes and blocks serve the part.
    part
        The part; labels that serve another one, or lie too close to it, are 255.
    settings
        Bands, labels and classes.
    dependency
        The network's dependency [px]; None: not known, or without bound.

    Returns
    -------
    list of Sample
        In the order of the plan, without scenes that have no labelled pixel for this part.

    Raises
    ------
    SceneError
        If a scene or its labels cannot be read or do not fit the settings.
    TrainingError
        If the part has no labelled pixel, or the buffer between parts is smaller than `dependency`.
    """
    buffer = buffer_between(settings.split.buffer, dependency) if plan.blocks else 0
    found = [
        _read_sample(plan, name, settings, _Area(part, plan.blocks.get(name), buffer), dependency)
        for name in plan.names(part)
    ]
    samples = [sample for sample in found if sample is not None]
    if not samples:
        msg = f"no labelled pixel serves {part}: label more scenes, or set a smaller split.buffer or another split.seed"
        raise TrainingError(msg)
    return samples


class _Area:
    """The pixels of one scene that serve a part."""

    def __init__(self, part: Part, blocks: SceneBlocks | None, buffer: int) -> None:
        self._part: Part = part
        self._blocks = blocks
        self._buffer = buffer

    def keep(self, labels: npt.NDArray[np.uint8], window: Window) -> npt.NDArray[np.uint8]:
        """Give the labels of a window, 255 where they serve another part or lie too close to one."""
        if self._blocks is None:
            return labels
        return np.where(self._blocks.mask(self._part, buffer=self._buffer, within=window), labels, np.uint8(IGNORE))

    def check(self, labels: npt.NDArray[np.uint8], window: Window, scene: str) -> None:
        """Refuse labels that the buffer does not keep apart from the other parts; only a bug could bring them here."""
        if self._blocks is not None:
            masks = {other: self._blocks.mask(other, buffer=self._buffer, within=window) for other in PARTS}
            check_distance({**masks, self._part: labels != IGNORE}, buffer=self._buffer, scene=scene)


def _read_sample(
    plan: SplitPlan, name: str, settings: TrainSettings, area: _Area, dependency: int | None
) -> Sample | None:
    """Read one scene, or of a large one the surroundings of its labels; None if it has no labelled pixel."""
    path, access = plan.scenes[name], training_access(settings)
    info = describe_scene(path, access)
    bands = select_bands(info, settings.bands, settings.bands_chosen)
    _check_gsd(info, settings)
    labels = open_labels(path, info.grid, settings)
    window = _labelled_window(info, labels, area, settings.chip, dependency)
    if labels is None or window is None:
        return None
    with open_scene(read_alike(info, bands, plan.encoding, settings), bands, access) as scene:
        pixels, valid = scene.read_window(window)
    kept = np.where(valid, area.keep(labels.read(window), window), np.uint8(IGNORE))
    if (kept == IGNORE).all():
        return None
    name = composed(path.stem)
    area.check(kept, window, name)
    return Sample(name=name, pixels=pixels, valid=valid, labels=kept)


def _check_gsd(info: SceneInfo, settings: TrainSettings) -> None:
    ground = gsd(info.grid)
    low, high = settings.gsd_range
    if ground is not None and not low <= ground <= high:
        msg = (
            f"{info.path} has a ground sampling distance of {ground:.4g} m, but gsd_range is {low:g}–{high:g} m: "
            "resample it"
        )
        raise SceneError(msg)


def _labelled_window(
    info: SceneInfo, labels: SceneLabels | None, area: _Area, chip: int, dependency: int | None
) -> Window | None:
    """Give the window to read: all of a scene; of a large one, its labels and the dependency around them."""
    whole = info.grid.window
    if whole.size <= _LARGE or labels is None:
        return whole
    boxes = [_bounds(area.keep(labels.read(window), window) != IGNORE, window) for window in cut_windows(whole)]
    found = [box for box in boxes if box is not None]
    if not found:
        return None
    context = _CONTEXT if dependency is None else dependency
    rows = _aligned(min(b.rows.start for b in found), max(b.rows.stop for b in found), context, chip, info.grid.height)
    cols = _aligned(min(b.cols.start for b in found), max(b.cols.stop for b in found), context, chip, info.grid.width)
    return Window(rows, cols)


def _bounds(mask: npt.NDArray[np.bool_], window: Window) -> Window | None:
    """Give the smallest window around True, None where there is none."""
    if not mask.any():
        return None
    spans = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    rows, cols = (Span(int(places[0]), int(places[-1]) + 1) for places in spans)
    return Window(rows, cols).shift(window.rows.start, window.cols.start)


def _aligned(start: int, stop: int, context: int, chip: int, length: int) -> Span:
    """Give a span around start … stop with context, whole blocks of 512 px, at least as long as a chip."""
    first = max(0, start - context) // _ALIGNMENT * _ALIGNMENT
    last = min(length, -(-max(stop + context, first + chip) // _ALIGNMENT) * _ALIGNMENT)
    while last - first < chip and first > 0:
        first -= _ALIGNMENT
    return Span(first, last)
