"""Labels from a raster that lies on the grid of its scene."""

import os
from collections.abc import Mapping, Sequence

import geopandas
import numpy as np

from segflow.errors import SceneError
from segflow.io.labels.polygons import IGNORE, LabelPolygons, Labels, read_label_polygons
from segflow.io.scene.access import LOCAL, Access
from segflow.io.scene.info import SceneInfo
from segflow.io.scene.scenes import describe_scene, open_scene
from segflow.tiling import Grid, Window

__all__ = [
    "IGNORE",
    "LabelPolygons",
    "LabelRaster",
    "Labels",
    "open_label_raster",
    "read_label_polygons",
    "same_grid",
]

_ALIGNED = 0.01  # px; transforms that differ by less are the same grid written twice


class LabelRaster:
    """A raster of class values on the grid of its scene, read window by window.

    Attributes
    ----------
    notes
        What the user should know, a line each.
    """

    def __init__(self, info: SceneInfo, values: Sequence[int], mapping: Mapping[int, int], access: Access) -> None:
        self.notes: tuple[str, ...] = ()
        self._info = info
        self._values = set(values)
        self._mapping = mapping
        self._access = access

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
        with open_scene(self._info.path, (self._info.bands[0].number,), self._access) as raster:
            pixels, valid = raster.read_window(window)
        labels = np.where(valid, _wide(pixels[0]), IGNORE)
        for value, meant in self._mapping.items():
            labels[valid & (pixels[0] == value)] = meant
        counts = dict(zip(*(array.tolist() for array in np.unique(labels, return_counts=True)), strict=True))
        unknown = [f"{value:g} ({counts[value]:,} px)" for value in counts if value not in {*self._values, IGNORE}]
        if unknown:
            classes = ", ".join(map(str, sorted(self._values)))
            msg = (
                f"labels {self._info.path} hold {', '.join(unknown)}, but the classes are {classes}: "
                "map them with class_values (255 ignores)"
            )
            raise SceneError(msg)
        return labels.astype(np.uint8)


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
    return None in {one.crs, other.crs} or bool(geopandas.GeoSeries(crs=one.crs).crs == other.crs)


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
