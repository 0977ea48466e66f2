"""Scenes in: what they are, and their pixels window by window with their validity.

A scene is one GeoTIFF, or many files on one grid (`segflow.io.scene_inputs`); either may be resampled.
All are read through one class, by one rule of validity.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np

from segflow.io.bands import select_bands
from segflow.io.geotiffs import Pixels, PixelSource, Valid, check_bands, open_dataset, open_pixels
from segflow.io.ground import gsd
from segflow.io.identity import scene_identity
from segflow.io.limits import SceneLimits
from segflow.io.resampling import ResampledPixels
from segflow.io.scene_info import Band, SceneInfo
from segflow.io.stacks import open_stacks
from segflow.tiling import Window

__all__ = [
    "Band",
    "Scene",
    "SceneInfo",
    "SceneLimits",
    "describe_scene",
    "gsd",
    "open_scene",
    "scene_identity",
    "select_bands",
]

_DEFAULT_LIMITS = SceneLimits()


def describe_scene(
    path: str | os.PathLike[str],
    *,
    limits: SceneLimits = _DEFAULT_LIMITS,
    sidecars: bool = False,
    remote: bool = False,
) -> SceneInfo:
    """Give what a GeoTIFF says about itself, without reading pixels.

    Parameters
    ----------
    path
        A GeoTIFF file; with `remote` also its address.
    limits
        Bounds that the file must keep.
    sidecars
        Also heed files beside it (`.ovr`, `.msk`, `.aux.xml`, world files).
    remote
        Allow addresses on the network.

    Raises
    ------
    SceneError
        If the file cannot be opened, is no GeoTIFF, is too large, or has no usable transform or type.
    """
    with open_dataset(path, limits=limits, sidecars=sidecars, remote=remote) as (_, info):
        return info


@contextmanager
def open_scene(
    scene: str | os.PathLike[str] | SceneInfo,
    band_numbers: tuple[int, ...],
    *,
    limits: SceneLimits = _DEFAULT_LIMITS,
    sidecars: bool = False,
    remote: bool = False,
) -> Iterator["Scene"]:
    """Open a scene for reading in this thread; other parameters as in `describe_scene`.

    Parameters
    ----------
    scene
        A GeoTIFF file, with `remote` also its address; or any scene as it was described.
    band_numbers
        The bands to read, from 1, in the order they are wanted; the alpha band among them counts as data.

    Raises
    ------
    SceneError
        If a file cannot be opened; `SceneMismatchError` if the scene has no such band.
    """
    with ExitStack() as held:
        source: PixelSource
        if isinstance(scene, SceneInfo) and scene.stacks:
            check_bands(scene, band_numbers)
            source = held.enter_context(
                open_stacks(scene, band_numbers, limits=limits, sidecars=sidecars, remote=remote)
            )
            info = scene
        else:
            path, known = (scene.path, scene) if isinstance(scene, SceneInfo) else (scene, None)
            source = held.enter_context(
                open_pixels(path, band_numbers, limits=limits, sidecars=sidecars, remote=remote, known=known)
            )
            info = source.info
        if info.native is not None:
            source = ResampledPixels(source, info.native, info.grid, len(band_numbers), info.dtype)
        yield Scene(source, info, band_numbers)


class Scene:
    """An open scene; it stays in the thread that opened it.

    Attributes
    ----------
    info
        What is known of the scene.
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
            (height, width) bool array: True where every chosen band holds data
            (not its nodata value, not NaN or infinite, mask and alpha not 0) inside the scene.

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
