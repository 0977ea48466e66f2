"""Labelled scenes as one torchgeo dataset whose chips are cut, never resampled.

torchgeo's own raster datasets bring all scenes into one CRS and resolution. Here every scene
keeps its grid: the dataset's plane counts pixels, and the scenes lie in it side by side like the
sheets of an atlas, with a gap between them. So x is a column and y a row (downwards), the
resolution is 1 px, there is no CRS, and torchgeo's samplers draw windows of whole pixels.
"""

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
import torch
from torchgeo.datasets import GeoDataset
from torchgeo.datasets.utils import GeoSlice

from segflow.errors import TrainingError
from segflow.segmentation.training.chips import Sample
from segflow.tiling import NODATA, Span, Window

_GAP = 1  # px between scenes, so that no window can lie in two
_ALWAYS = pd.Interval(pd.Timestamp("1970-01-01"), pd.Timestamp("2100-01-01"), closed="both")  # scenes have no dates


class Atlas(GeoDataset):
    """Scenes in memory, side by side.

    Parameters
    ----------
    samples
        The scenes.

    Attributes
    ----------
    samples
        The scenes, from left to right.
    lefts
        (scenes + 1,) int64 array: the first column of each scene; the last entry ends the atlas.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = tuple(samples)
        widths = [sample.labels.shape[1] + _GAP for sample in samples]
        self.lefts: npt.NDArray[np.int64] = np.cumsum([0, *widths])
        boxes = [
            shapely.box(left, 0, left + sample.labels.shape[1], sample.labels.shape[0])
            for left, sample in zip(self.lefts, samples, strict=False)
        ]
        always = pd.IntervalIndex([_ALWAYS] * len(boxes), closed="both", name="datetime")
        self.index = gpd.GeoDataFrame({"name": [sample.name for sample in samples]}, geometry=boxes, index=always)
        self._res = (1.0, 1.0)

    def __getitem__(self, query: GeoSlice) -> dict[str, Any]:
        """Cut a chip.

        Parameters
        ----------
        query
            Slices of x and y inside one scene, as a sampler gives them.

        Returns
        -------
        dict
            ``image``: (bands, h, w) float32 pixels; ``mask``: (h, w) uint8 labels, 255 where ignored or
            not valid; ``valid``: (1, h, w) bool; ``place``: scene and window, in words.

        Raises
        ------
        IndexError
            If the window does not lie in one scene.
        """
        sample, window = self.find(query)
        valid = sample.valid[window.slices]
        labels = np.where(valid, sample.labels[window.slices], np.uint8(NODATA))
        return {
            "image": torch.from_numpy(sample.pixels[:, *window.slices].astype(np.float32)),
            "mask": torch.from_numpy(labels),
            "valid": torch.from_numpy(valid.copy())[None],
            "place": f"{sample.name} rows {window.rows.start}–{window.rows.stop}"
            f" columns {window.cols.start}–{window.cols.stop}",
        }

    def find(self, query: GeoSlice) -> tuple[Sample, Window]:
        """Give the scene that a query lies in, and its window there."""
        x, y, _ = self._disambiguate_slice(query)
        index = int(np.searchsorted(self.lefts, x.start, side="right")) - 1
        left = int(self.lefts[index])
        window = Window(Span(int(y.start), int(y.stop)), Span(int(x.start) - left, int(x.stop) - left))
        if index >= len(self.samples) or window not in Window.of_shape(*self.samples[index].labels.shape):
            msg = f"x {x.start}–{x.stop}, y {y.start}–{y.stop} lies in no scene of the atlas {self.bounds}"
            raise IndexError(msg)
        return self.samples[index], window

    def query(self, index: int, top: int, left: int, size: int) -> GeoSlice:
        """Give the query of a square window of scene `index` [px]."""
        x = int(self.lefts[index]) + left
        return slice(x, x + size), slice(top, top + size), slice(_ALWAYS.left, _ALWAYS.right)


def check_samples(samples: Sequence[Sample], validation: Sequence[Sample], chip: int) -> None:
    """Check that there are scenes to train on and scenes to validate on.

    Raises
    ------
    TrainingError
        If there are no scenes, one is smaller than a chip, or no pixel of a part has a label.
    """
    if not samples or not validation:
        msg = f"training needs scenes to learn from and to validate on, got {len(samples)} and {len(validation)}"
        raise TrainingError(msg)
    for sample in samples:
        if min(sample.labels.shape) < chip:
            shape = " × ".join(map(str, sample.labels.shape))
            msg = f"scene {sample.name} has {shape} px, but a chip has {chip}: lower `chip`"
            raise TrainingError(msg)
    for part, scenes in (("training", samples), ("validation", validation)):
        if not any(np.any(sample.valid & (sample.labels != NODATA)) for sample in scenes):
            names = ", ".join(sample.name for sample in scenes[:3])
            msg = (
                f"no pixel of the {len(scenes)} {part} scenes ({names}{', …' if len(scenes) > 3 else ''}) has a label: "  # noqa: PLR2004
                f"check `labels`, `class_field` and `background`, and that labels and scenes overlap"
            )
            raise TrainingError(msg)


def count_labels(samples: Sequence[Sample], classes: int) -> npt.NDArray[np.int64]:
    """Count the labelled valid pixels of each class: (classes,) array.

    Raises
    ------
    TrainingError
        If a label is no class.
    """
    counts = np.zeros(NODATA + 1, np.int64)
    for sample in samples:
        found = np.bincount(sample.labels[sample.valid], minlength=NODATA + 1)
        strange = np.flatnonzero(found[classes:NODATA]) + classes
        if strange.size:
            msg = f"scene {sample.name} has the label {strange[0]}, but classes are 0–{classes - 1} and {NODATA}"
            raise TrainingError(msg)
        counts += found
    return counts[:classes]
