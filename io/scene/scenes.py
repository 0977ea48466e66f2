"""Scenes in: what they are, and their pixels window by window with their validity.

A scene is one GeoTIFF, or many files on one grid (`segflow.io.inputs.kinds`); either may be resampled, and its
stored numbers converted to what a model wants. All are read through one class, by one rule of validity.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np

from segflow.io.scene.access import LOCAL, Access
from segflow.io.scene.bands import select_bands
from segflow.io.scene.conversion import ConvertedPixels
from segflow.io.scene.geotiffs import Pixels, PixelSource, Valid, check_bands, open_dataset, open_pixels
from segflow.io.scene.ground import gsd
from segflow.io.scene.identity import scene_identity
from segflow.io.scene.info import Band, SceneInfo
from segflow.io.scene.limits import Limits
from segflow.io.scene.masks import open_masks
from segflow.io.scene.resampling import ResampledPixels
from segflow.io.scene.stacks import open_stacks
from segflow.tiling import Window

__all__ = [
    "LOCAL",
    "Access",
    "Band",
    "Limits",
    "Scene",
    "SceneInfo",
    "describe_scene",
    "gsd",
    "open_scene",
    "scene_identity",
    "select_bands",
]


def describe_scene(path: str | os.PathLike[str], access: Access = LOCAL) -> SceneInfo:
    """Give what a GeoTIFF says about itself, without reading pixels.

    Parameters
    ----------
    path
        A GeoTIFF file, or its address if `access` allows it.
    access
        Whether files beside it are read, whether it may lie on the network, and how large it may be.

    Raises
    ------
    SceneError
        If the file cannot be opened, is no GeoTIFF, is too large, or has no usable transform or type.
    """
    with open_dataset(path, access) as (_, info):
        return info


@contextmanager
def open_scene(
    scene: str | os.PathLike[str] | SceneInfo,
    band_numbers: tuple[int, ...],
    access: Access = LOCAL,
) -> Iterator["Scene"]:
    """Open a scene for reading in this thread.

    Parameters
    ----------
    scene
        A GeoTIFF file, or its address if `access` allows it; or any scene as it was described.
    band_numbers
        The bands to read, from 1, in the order they are wanted; an alpha band among them does not mask the others.
    access
        As in `describe_scene`.

    Raises
    ------
    SceneError
        If a file cannot be opened; `SceneMismatchError` if the scene has no such band.
    """
    with ExitStack() as held:
        source: PixelSource
        if isinstance(scene, SceneInfo) and scene.stacks:
            check_bands(scene, band_numbers)
            source = held.enter_context(open_stacks(scene, band_numbers, access))
            info = scene
        else:
            path, known = (scene.path, scene) if isinstance(scene, SceneInfo) else (scene, None)
            source = held.enter_context(open_pixels(path, band_numbers, access, known=known))
            info = source.info
        if info.masks:
            source = held.enter_context(open_masks(source, info.masks, info.native or info.grid, access))
        if info.native is not None:
            source = ResampledPixels(source, info.native, info.grid, len(band_numbers), info.stored_dtype)
        if info.conversion is not None:
            source = ConvertedPixels(source, info.conversion, band_numbers, info.dtype)
        yield Scene(source, info, band_numbers)


class Scene:
    """An open scene; it stays in the thread that opened it.

    Attributes
    ----------
    info
        The scene as it was described.
    band_numbers
        The bands that `read_window` gives, in this order.
    """

    def __init__(self, source: PixelSource, info: SceneInfo, band_numbers: tuple[int, ...]) -> None:
        self.info = info
        self.band_numbers = band_numbers
        self._source = source

    def read_window(self, window: Window) -> tuple[Pixels, Valid]:
        """Give the pixels in `window`, which may reach past the end of the scene.

        Returns
        -------
        pixels
            (bands, height, width) array in the scene's dtype; 0 where not valid.
        valid
            (height, width) bool array: True inside the scene where every chosen band is valid
            (not its nodata value, not NaN or infinite, mask and alpha not 0) and no quality mask says otherwise.

        Raises
        ------
        SceneError
            If the pixels cannot be read; the message names file and window.
        """
        inside = window.clip(self.info.grid.window)
        if inside == window and window.size:
            return self._source.read(window)
        pixels = np.zeros((len(self.band_numbers), *window.shape), np.dtype(self.info.dtype))
        valid = np.zeros(window.shape, np.bool_)
        if inside.size:
            rows, cols = inside.relative_to(window).slices
            pixels[:, rows, cols], valid[rows, cols] = self._source.read(inside)
        return pixels, valid
