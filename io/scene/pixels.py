"""Scenes that hold the same pixels, whatever their files are called and however they are packed."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path

from segflow.io.scene.access import LOCAL, Access
from segflow.io.scene.scenes import describe_scene, open_scene
from segflow.tiling import Grid, Span, Window

_PROBE = 256  # px; side of the window in the middle that tells most scenes apart
_STRIP = 512  # rows read at once


def digest_pixels(path: str | os.PathLike[str], window: Window | None = None, access: Access = LOCAL) -> str:
    """Give the SHA-256 of a scene's pixels and of where they are valid, read in bounded memory.

    Parameters
    ----------
    path
        A GeoTIFF file.
    window
        Pixels that count; None: all.
    access
        How it may be opened.

    Raises
    ------
    SceneError
        If the scene cannot be read.
    """
    info = describe_scene(path, access)
    window = window or info.grid.window
    digest = hashlib.sha256(repr((window.shape, info.dtype, len(info.bands))).encode())
    with open_scene(path, tuple(band.number for band in info.bands), access) as scene:
        for start in range(window.rows.start, window.rows.stop, _STRIP):
            rows = Span(start, min(start + _STRIP, window.rows.stop))
            for array in scene.read_window(Window(rows, window.cols)):
                digest.update(array.tobytes())
    return digest.hexdigest()


def digest_candidates(paths: Mapping[str, Path], access: Access = LOCAL) -> dict[str, str]:
    """Give the digest of the pixels of each scene that may equal another; equal digests are equal pixels.

    A scene is read through only if another of its shape, type and number of bands has the same pixels in the middle.

    Raises
    ------
    SceneError
        If a scene cannot be read.
    """
    infos = {name: describe_scene(path, access) for name, path in paths.items()}

    def digest_middle(name: str) -> str:
        return digest_pixels(paths[name], _middle(infos[name].grid), access)

    alike = _alike(list(paths), lambda name: (infos[name].grid.shape, infos[name].dtype, len(infos[name].bands)))
    twins = [group for names in alike for group in _alike(names, digest_middle)]
    return {name: digest_pixels(paths[name], access=access) for names in twins for name in names}


def _alike(names: list[str], key: Callable[[str], Hashable]) -> list[list[str]]:
    """Give the groups of several names with one key."""
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for name in names:
        groups[key(name)].append(name)
    return [group for group in groups.values() if len(group) > 1]


def _middle(grid: Grid) -> Window:
    rows, cols = (Span(max(0, (side - _PROBE) // 2), min(side, (side + _PROBE) // 2)) for side in grid.shape)
    return Window(rows, cols)
