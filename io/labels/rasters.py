"""Labels from a raster that lies on the grid of its scene."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window as RasterioWindow

from segflow.errors import SceneError
from segflow.io.labels.polygons import IGNORE, LabelPolygons, Labels, read_label_polygons
from segflow.io.scene.access import LOCAL, Access
from segflow.io.scene.crs import same_crs
from segflow.io.scene.gdal import scene_errors
from segflow.io.scene.geotiffs import open_dataset
from segflow.io.scene.info import SceneInfo
from segflow.io.scene.scenes import describe_scene
from segflow.io.scene.validity import valid_pixels
from segflow.tiling import Grid, Span, Window

__all__ = [
    "IGNORE",
    "LabelPolygons",
    "LabelRaster",
    "Labels",
    "RasterTally",
    "open_label_raster",
    "read_label_polygons",
    "same_grid",
    "tally_notes",
]

_ROWS = 1024  # read at a time where all values are counted
_SHOWN = 8  # values in a message
_DAMAGED = "the file is damaged or cut short, copy or download it again"
_ALIGNED = 0.01  # px; transforms that differ by less are the same grid written twice


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterTally:
    """What a label raster holds.

    Attributes
    ----------
    pixels
        Pixels by value, wherever no mask hides them; those of the nodata value too.
    nodata
        The nodata value that counts as such; None: there is none, or its pixels were said to be a class.
    """

    pixels: Mapping[int | float, int]
    nodata: float | None

    def ignored(self, value: float) -> int:
        """Give the pixels of a value."""
        return self.pixels.get(value, 0)


class LabelRaster:
    """A raster of class values on the grid of its scene, read window by window.

    Attributes
    ----------
    path
        The file.
    mapping
        Class value by value of the raster, where they differ.
    notes
        What the user should know, a line each.
    """

    def __init__(self, info: SceneInfo, values: Sequence[int], mapping: Mapping[int, int], access: Access) -> None:
        self.path = info.path
        self.mapping = mapping
        self.notes: tuple[str, ...] = ()
        self._info = info
        self._values = set(values)
        self._access = access
        declared = info.bands[0].nodata
        self._nodata = None if declared in mapping else declared  # who says what it means knows that it is a class

    def read(self, window: Window) -> Labels:
        """Give the labels of the pixels in a window; 255 where the raster is nodata.

        Returns
        -------
        (height, width) uint8 array

        Raises
        ------
        SceneError
            If they cannot be read, or hold a value that is no class.
        """
        pixels, shown = self.read_stored(window)
        known = valid_pixels(pixels[None], (self._nodata,))
        valid = shown if known is None else shown & known
        labels = np.where(valid, _wide(pixels), IGNORE)
        for value, meant in self.mapping.items():
            labels[valid & (pixels == value)] = meant
        if not set(np.unique(labels).tolist()) <= {*self._values, IGNORE}:
            raise SceneError(self._describe_unknown())
        return labels.astype(np.uint8)

    def tally(self) -> RasterTally:
        """Count the pixels of every value of the raster.

        Raises
        ------
        SceneError
            If they cannot be read.
        """
        counts: Counter[int | float] = Counter()
        height, width = self._info.grid.shape
        for top in range(0, height, _ROWS):
            pixels, shown = self.read_stored(Window(Span(top, min(top + _ROWS, height)), Span(0, width)))
            values, found = np.unique(pixels[shown], return_counts=True)
            counts.update(dict(zip(values.tolist(), found.tolist(), strict=True)))
        return RasterTally(pixels=dict(counts), nodata=self._nodata)

    def read_stored(self, window: Window) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Give the values in a window as they are stored, and where no mask hides them.

        Returns
        -------
        (height, width) array in the raster's type, (height, width) bool array

        Raises
        ------
        SceneError
            If they cannot be read.
        """
        rows, cols = window.rows, window.cols
        box = RasterioWindow(cols.start, rows.start, len(cols), len(rows))
        number = self._info.bands[0].number
        with (
            open_dataset(self._info.path, self._access, known=self._info) as (dataset, info),
            scene_errors(info.path, f"reading rows {rows.start}–{rows.stop}", _DAMAGED),
        ):
            pixels = dataset.read(number, window=box)
            shown = np.ones(pixels.shape, np.bool_)
            if info.alpha is not None:
                shown &= dataset.read(info.alpha, window=box) != 0
            if info.has_mask:
                shown &= dataset.read_masks(number, window=box) != 0
        return pixels, shown

    def _describe_unknown(self) -> str:
        """Say which values are no classes, how many pixels hold them, and what to do."""
        tally = self.tally()
        known = {*self._values, *self.mapping, IGNORE, tally.nodata}
        strange = [value for value in sorted(tally.pixels) if value not in known]
        listed = [f"{value:g} ({tally.pixels[value]:,} px)" for value in strange]
        listed[_SHOWN:] = [f"{len(listed) - _SHOWN} more"] if len(listed) > _SHOWN else []
        example = f"{strange[0]:g}" if strange else "VALUE"
        return (
            f"labels {self._info.path} hold {', '.join(listed)}, but the classes are "
            f"{', '.join(map(str, sorted(self._values)))}: map them with --map {example}=CLASS, "
            f"or --map {example}=ignore (class_values in the settings; 255 ignores)"
        )


def tally_notes(rasters: Iterable[LabelRaster], names: Mapping[int, str]) -> tuple[str, ...]:
    """Say which values of label rasters were ignored that may have been meant as a class, a line each.

    A mask of 0 and 255, as most tools write one, holds one class only where 255 is ignored; and one that declares as
    nodata what is the value of a class, loses that class.

    Parameters
    ----------
    rasters
        All label rasters of a training.
    names
        Name of each class by value.

    Raises
    ------
    SceneError
        If they cannot be read.
    """
    tallies = [(raster, raster.tally()) for raster in rasters]
    left = sum(tally.ignored(IGNORE) for raster, tally in tallies if IGNORE not in raster.mapping)
    met = {
        raster.mapping.get(int(value), int(value))
        for raster, tally in tallies
        for value in tally.pixels
        if value != tally.nodata
    }
    classes = met & names.keys()
    missing = [value for value in names if value not in classes]
    notes = []
    if left and len(classes) <= 1 and missing:
        first = next((value for value in missing if value), missing[0])
        name = names[first]
        beside = f"beside it there is only {_named(classes, names)}" if classes else "there is no other value"
        notes.append(
            f"labels: 255 was ignored: {left:,} pixels, and {beside}; where it is a class, say so: "
            f"--map 255={name} (class_values: {{255: {first}}})"
        )
    hidden: Counter[int] = Counter()
    for _, tally in tallies:
        if tally.nodata is not None and tally.nodata in names and tally.ignored(tally.nodata):
            hidden[int(tally.nodata)] += tally.ignored(tally.nodata)
    notes += [
        f"labels: {value} was ignored: {count:,} pixels, because rasters declare it as nodata; where it is "
        f"{names[value]}, say so: --map {value}={names[value]} (class_values: {{{value}: {value}}})"
        for value, count in sorted(hidden.items())
    ]
    return tuple(notes)


def _named(values: set[int], names: Mapping[int, str]) -> str:
    return ", ".join(f"{value} ({names[value]})" for value in sorted(values))


def open_label_raster(
    path: str | os.PathLike[str],
    grid: Grid,
    values: Sequence[int],
    mapping: Mapping[int, int] | None = None,
    access: Access = LOCAL,
) -> LabelRaster:
    """Give the labels in a raster on the grid of its scene, still unread.

    Parameters
    ----------
    path
        A GeoTIFF with one band of class values.
    grid
        The scene's grid.
    values
        Class values that may occur.
    mapping
        Class value by value of the raster, where they differ; 255 ignores.
    access
        How it may be opened.

    Raises
    ------
    SceneError
        If it cannot be opened, has several bands, or lies on another grid.
    """
    info = describe_scene(path, access)
    if len(info.bands) != 1:
        msg = f"labels {path} have {len(info.bands)} bands, but need one of class values: choose the right file"
        raise SceneError(msg)
    if not same_grid(info.grid, grid):
        msg = f"labels {path} lie on another grid than their scene ({_difference(info.grid, grid)}): warp them to it"
        raise SceneError(msg)
    return LabelRaster(info, values, mapping or {}, access)


def same_grid(one: Grid, other: Grid) -> bool:
    """Tell whether two rasters have the same pixels; a missing CRS agrees with any."""
    return one.shape == other.shape and _same_crs(one, other) and _offset(one, other) < _ALIGNED


def _same_crs(one: Grid, other: Grid) -> bool:
    return None in {one.crs, other.crs} or same_crs(one.crs, other.crs)


def _offset(one: Grid, other: Grid) -> float:
    """Give the largest distance between corners, along an axis [px of the first]."""
    expected = ((0, 0), (one.width, 0), (one.width, one.height), (0, one.height))
    corners = [tuple(~one.transform @ corner) for corner in other.corners]
    return float(np.abs(np.subtract(corners, expected)).max())


def _difference(one: Grid, other: Grid) -> str:
    """Say in what a grid differs from a scene's."""
    if one.shape != other.shape:
        return f"{one.width} × {one.height} px instead of {other.width} × {other.height}"
    if not _same_crs(one, other):
        return "another CRS"
    return f"up to {_offset(other, one):.3g} px off"


def _wide(
    values: np.ndarray[tuple[int, int], np.dtype[np.generic]],
) -> np.ndarray[tuple[int, int], np.dtype[np.generic]]:
    """Give values in a type that 255 fits into."""
    return values.astype(np.int16) if values.dtype == np.int8 else values
