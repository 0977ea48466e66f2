"""Quality masks: rasters beside a scene whose values make its pixels nodata.

A scene's pixel takes the value of the mask's pixel that its centre lies in; nothing is interpolated, so masks of
coarser or finer pixels fit, and a pixel is masked whatever window it is read in.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from segflow.errors import SceneError, SceneMismatchError
from segflow.io.scene.access import Access
from segflow.io.scene.geotiffs import GeoTiffPixels, Pixels, PixelSource, Valid, open_pixels
from segflow.io.scene.info import QualityMask
from segflow.tiling import Grid, Span, Window

KEPT = 0  # code of a pixel that no cause masks; causes count from 1, the last one is UNKNOWN
UNKNOWN = "quality unknown"  # cause of pixels where the mask itself has no data
FINEST = 16  # a mask may have so many pixels across one of the scene; finer ones would be read in vain

Codes = npt.NDArray[np.uint8]  # (height, width): KEPT, or 1 + the index of the cause


@contextmanager
def open_masks(
    source: PixelSource, masks: Sequence[QualityMask], grid: Grid, access: Access
) -> Iterator["MaskedPixels"]:
    """Open masks for reading in this thread, over the pixels of a scene on its own grid.

    Raises
    ------
    SceneError
        If a mask cannot be opened or does not lie over the scene.
    """
    with ExitStack() as held:
        readers = [held.enter_context(open_mask(mask, grid, access)) for mask in masks]
        yield MaskedPixels(source, readers)


@contextmanager
def open_mask(mask: QualityMask, grid: Grid, access: Access) -> Iterator["MaskReader"]:
    """Open one mask for reading in this thread, on the grid of a scene; errors as in `open_masks`."""
    rows, cols = _axis(mask, grid, 0), _axis(mask, grid, 1)
    with open_pixels(mask.path, (1,), Access(limits=access.limits, remote=access.remote)) as pixels:
        if pixels.info.grid != mask.grid or pixels.info.dtype != mask.dtype:
            msg = f"{mask.path} has changed since the run was planned: start it again"
            raise SceneError(msg)
        yield MaskReader(mask, pixels, rows, cols)


class MaskedPixels:
    """The pixels of another source, less those that a mask calls nodata."""

    def __init__(self, source: PixelSource, readers: Sequence["MaskReader"]) -> None:
        self._source = source
        self._readers = readers

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        """Give pixels, 0 where not valid, and validity of a window that lies in the scene and is not empty."""
        pixels, valid = self._source.read(window)
        for reader in self._readers:
            if not valid.any():
                break
            valid &= reader.read(window) == KEPT
        if not valid.all():
            np.copyto(pixels, 0, where=~valid)
        return pixels, valid


class MaskReader:
    """An open mask, read on the grid of a scene."""

    def __init__(self, mask: QualityMask, pixels: GeoTiffPixels, rows: "_Axis", cols: "_Axis") -> None:
        self.mask = mask
        self._pixels = pixels
        self._rows, self._cols = rows, cols
        self._table = code_table(mask)
        self._lowest = int(np.iinfo(mask.dtype).min)

    def read(self, window: Window) -> Codes:
        """Give the code of every pixel of a window of the scene."""
        rows, cols = self._rows.of(window.rows), self._cols.of(window.cols)
        inside = Window(_around(rows), _around(cols))
        values, known = self._pixels.read(inside)
        codes = np.take(self._table, values[0].astype(np.int32) - self._lowest)
        codes[~known] = self._table[-1]
        found: Codes = codes[np.ix_(rows - inside.rows.start, cols - inside.cols.start)]
        return found


@lru_cache(maxsize=8)
def code_table(mask: QualityMask) -> Codes:
    """Give the code of every value that the mask's type holds, and last that of pixels where it has no data."""
    limits = np.iinfo(mask.dtype)
    values = np.arange(int(limits.min), int(limits.max) + 1)
    table = np.zeros(len(values), np.uint8)
    for code, cause in reversed(list(enumerate(mask.causes, start=1))):
        for first, last in cause.ranges:
            table[(values >= first) & (values <= last)] = code
        if cause.bit is not None:
            table[(values >> cause.bit) & 1 == 1] = code
    unknown = len(mask.causes) + 1
    if mask.nodata is not None and limits.min <= mask.nodata <= limits.max:
        place = mask.nodata - int(limits.min)
        table[place] = unknown = int(table[place]) or unknown
    return np.append(table, np.uint8(unknown))


def cause_names(mask: QualityMask) -> tuple[str, ...]:
    """Give the cause of every code from 1."""
    return (*(f"{mask.name}: {cause.name}" for cause in mask.causes), f"{mask.name}: {UNKNOWN}")


class _Axis:
    """Which pixel of a mask the centres of a scene's pixels lie in, along one axis: floor(step × (n + ½) + shift)."""

    def __init__(self, step: float, shift: float) -> None:
        self._step, self._shift = step, shift

    def of(self, span: Span) -> npt.NDArray[np.int64]:
        centres = np.arange(span.start, span.stop, dtype=np.float64) + 0.5
        return np.floor(centres * self._step + self._shift).astype(np.int64)


def check_cover(mask: QualityMask, grid: Grid) -> None:
    """Check that a mask lies over all of a scene.

    Raises
    ------
    SceneMismatchError
        If it is rotated against it, or some pixel of the scene has no pixel of the mask.
    """
    _axis(mask, grid, 0)
    _axis(mask, grid, 1)


def _axis(mask: QualityMask, grid: Grid, axis: int) -> _Axis:
    step = ~mask.grid.transform @ grid.transform  # the scene's pixels, counted in the mask's
    turned = max(abs(step.b) * grid.height, abs(step.d) * grid.width)
    if turned > 0.01:  # noqa: PLR2004  # px of the mask, at the far corner
        msg = f"mask {mask.path} is rotated against the scene: warp it to the scene's grid (gdalwarp)"
        raise SceneMismatchError(msg)
    if max(abs(step.a), abs(step.e)) > FINEST:
        msg = f"mask {mask.path} is over {FINEST} times as fine as the scene: bring it to the scene's pixels (gdalwarp)"
        raise SceneMismatchError(msg)
    length, size = grid.shape[axis], mask.grid.shape[axis]
    found = _Axis(*((step.e, step.f), (step.a, step.c))[axis])
    first, last = found.of(Span(0, 1))[0], found.of(Span(length - 1, length))[0]
    if min(first, last) < 0 or max(first, last) >= size:
        what = "rows" if axis == 0 else "columns"
        msg = (
            f"mask {mask.path} does not cover the scene (of its {size} {what} the scene needs {min(first, last)} to "
            f"{max(first, last)}): give a mask of the whole scene"
        )
        raise SceneMismatchError(msg)
    return found


def _around(numbers: npt.NDArray[np.int64]) -> Span:
    return Span(int(numbers.min()), int(numbers.max()) + 1)
