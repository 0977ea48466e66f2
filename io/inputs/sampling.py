"""A cheap look at a scene's pixels before it is mapped: all of a small one, some small windows of a large one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from segflow.errors import SceneError
from segflow.io.scene.access import Access
from segflow.io.scene.conversion import convert_pixels
from segflow.io.scene.info import SceneInfo
from segflow.io.scene.scenes import open_scene
from segflow.tiling import Grid, Span, Window

WHOLE = 2048 * 2048  # px; scenes up to this size are looked at whole
CELLS = 6  # windows along each axis of larger ones
SIDE = 128  # px of a window
CORNER = 16  # px; a collar fills the corners of a scene, or some of them


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SceneSample:
    """Some pixels of a scene.

    Attributes
    ----------
    pixels
        (bands, n) valid pixels, as the model gets them.
    collar
        Largest share of the scene's pixels that are equal, valid, and joined to a corner of the scene: of pixels that
        somebody may have forgotten to call nodata.
    collar_values
        What these pixels hold in the files, band by band; empty without a collar.
    """

    pixels: npt.NDArray[Any]
    collar: float
    collar_values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The part of a scene that is looked at, on the grid that it is read on.

    Attributes
    ----------
    around
        A window around it.
    inside
        Tells which pixels of a window belong to it: (height, width) bool array.
    """

    around: Window
    inside: Callable[[Window], npt.NDArray[np.bool_]]


def sample_scene(scene: SceneInfo, bands: tuple[int, ...], access: Access, where: Where | None = None) -> SceneSample:
    """Look at a scene at its own resolution; windows that cannot be read are left out, whoever maps them will tell.

    Of a part of a scene only its own windows are read, on the grid that it is read on, and no collar is looked for.

    Raises
    ------
    SceneError
        If the scene cannot be opened.
    """
    stored = replace(scene, dtype=scene.stored_dtype, conversion=None)
    if where is None:
        stored = replace(stored, grid=scene.native or scene.grid, native=None)
    parts: list[npt.NDArray[Any]] = []
    seen = 0
    collars: dict[tuple[float, ...], int] = {}
    with open_scene(stored, bands, access) as opened:
        corners = [] if where else _corner_values(opened.read_window, stored.grid)
        for window in _windows(where.around if where else stored.grid.window):
            inside = None if where is None else where.inside(window)
            if inside is not None and not inside.any():
                continue
            try:
                pixels, valid = opened.read_window(window)
            except SceneError:
                continue
            valid = valid if inside is None else valid & inside
            seen += window.size
            parts.append(pixels[:, valid])
            for values in corners:
                equal = valid & (pixels == np.asarray(values, pixels.dtype)[:, None, None]).all(axis=0)
                if window == stored.grid.window:
                    equal = _joined_to_corners(equal)
                collars[values] = collars.get(values, 0) + int(equal.sum())
    values, count = max(collars.items(), key=lambda item: item[1], default=((), 0))
    found = np.concatenate(parts, axis=1) if parts else np.zeros((len(bands), 0), np.dtype(stored.dtype))
    if scene.conversion is not None:
        found = convert_pixels(found, scene.conversion, bands, scene.dtype)
    return SceneSample(pixels=found, collar=count / seen if seen else 0.0, collar_values=values if count else ())


def alpha_levels(scene: SceneInfo, access: Access) -> tuple[int, float]:
    """Give how many levels a scene's alpha band has, and the share of pixels that are neither clear nor opaque.

    Raises
    ------
    SceneError
        If the scene cannot be opened.
    """
    if scene.alpha is None or not scene.reads(scene.alpha):
        return 0, 0.0
    plain = replace(scene.plain, grid=scene.native or scene.grid, native=None)
    levels: set[float] = set()
    between = seen = 0
    with open_scene(plain, (scene.alpha,), access) as opened:
        for window in _windows(plain.grid.window):
            try:
                (alpha,), _ = opened.read_window(window)
            except SceneError:
                continue
            levels |= set(np.unique(alpha).tolist())
            between += int(((alpha != 0) & (alpha != alpha.max())).sum())
            seen += window.size
    return len(levels), between / seen if seen else 0.0


def _windows(whole: Window) -> Iterator[Window]:
    """Give the windows that are looked at: the whole, or one in the middle of each of 36 equal parts."""
    if whole.size <= WHOLE:
        yield whole
        return
    rows, cols = (
        [Span(middle - SIDE // 2, middle + SIDE // 2).shift(span.start).clip(span) for middle in _middles(len(span))]
        for span in (whole.rows, whole.cols)
    )
    for row in rows:
        for col in cols:
            yield Window(row, col)


def _middles(length: int) -> list[int]:
    count = min(CELLS, max(1, length // SIDE))
    return [(2 * number + 1) * length // (2 * count) for number in range(count)]


def _corner_values(read: Any, grid: Grid) -> list[tuple[float, ...]]:  # noqa: ANN401  # a method of a scene
    """Give the pixels of corners that are of one value each, in all bands."""
    height, width = grid.shape
    found: dict[tuple[float, ...], None] = {}
    for row in (0, max(0, height - CORNER)):
        for col in (0, max(0, width - CORNER)):
            try:
                pixels, valid = read(Window(Span(row, row + CORNER), Span(col, col + CORNER)).clip(grid.window))
            except SceneError:
                continue
            corner = pixels[:, -1 if row else 0, -1 if col else 0]
            if valid[-1 if row else 0, -1 if col else 0]:
                found[tuple(value.item() for value in corner)] = None
    return list(found)


def _joined_to_corners(equal: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Keep what is joined to a corner, by edges of pixels."""
    labels, _ = ndimage.label(equal)
    kept = {int(labels[row, col]) for row in (0, -1) for col in (0, -1)} - {0}
    joined: npt.NDArray[np.bool_] = np.isin(labels, list(kept))
    return joined
