"""A scene read at another resolution, on its own footprint, with the same values whatever window is read.

Coarser pixels are the mean of the area they cover, finer ones are interpolated between the centres of
the nearest; each axis by itself. GDAL's warper gives a pixel other values in one window than in another, which
exact tiling cannot bear. So the geometry here is in whole numbers: `length` pixels of the files become
`count`, the ratio is reduced to `p / q`, and every weight is a whole multiple of ``1 / q`` (or ``1 / 2q``).
Sums of pixels up to 16 bits are then exact in float64, and those of larger ones are added in one order,
element by element; either way no window, strip or thread changes a bit.

Only valid pixels count: a resampled pixel is their weighted mean, and is valid itself where
they have at least half of the weight.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine

from segflow.errors import SceneMismatchError
from segflow.io.scene.geotiffs import Pixels, PixelSource, Valid
from segflow.io.scene.ground import ground_sides
from segflow.io.scene.info import SceneInfo
from segflow.tiling import Grid, Span, Window

SNAP = 0.01  # a ratio this near to 2 or 1/3 means it: a UTM pixel of 10 m has 9.996 m to 10.01 m on the ground
STRIP = 2**22  # px of the files that are read at once
_EXACT_BYTES = 4  # of the largest whole numbers whose values float64 holds


def resample_scene(info: SceneInfo, wanted: float) -> SceneInfo:
    """Give a scene as it is read at another ground sampling distance; itself where it has that.

    Parameters
    ----------
    info
        A scene in its own resolution.
    wanted
        Ground sampling distance [m], reached at the scene's centre and on each axis by itself.

    Returns
    -------
    The scene on a grid of whole pixels with exactly the same corners.

    Raises
    ------
    SceneMismatchError
        If the scene's resolution is unknown, or its pixels are 64-bit whole numbers.
    """
    sides = ground_sides(info.grid)
    if sides is None:
        msg = f"{info.path} has no CRS that tells its resolution, so it cannot be resampled: run without --resample"
        raise SceneMismatchError(msg)
    dtype = np.dtype(info.dtype)
    if np.issubdtype(dtype, np.integer) and dtype.itemsize > _EXACT_BYTES:
        msg = (
            f"{info.path} has {info.dtype} pixels, which no mean keeps exactly: "
            "convert it (gdal_translate -ot Int32 or Float32), or run without --resample"
        )
        raise SceneMismatchError(msg)
    height, width = (_count(length, wanted / side) for length, side in zip(info.grid.shape, sides, strict=True))
    if (height, width) == info.grid.shape:
        return info
    scale = Affine.scale(info.grid.width / width, info.grid.height / height)
    grid = Grid(height=height, width=width, transform=info.grid.transform @ scale, crs=info.grid.crs)
    return replace(info, grid=grid, native=info.grid)


def _count(length: int, ratio: float) -> int:
    """Give the number of pixels along an axis once they are `ratio` times as large."""
    whole = max(1, round(ratio if ratio >= 1 else 1 / ratio))
    snapped = whole if ratio >= 1 else 1 / whole
    if abs(ratio / snapped - 1) < SNAP:
        ratio = snapped
    return max(1, math.floor(length / ratio + 0.5))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResampledAxis:
    """How pixels along one axis are made of others.

    Attributes
    ----------
    length, count
        Pixels of the files, and pixels that are made of them [px].
    """

    length: int
    count: int

    @property
    def ratio(self) -> tuple[int, int]:
        """(p, q) without a common factor: a pixel that is made is p / q pixels long."""
        common = math.gcd(self.length, self.count)
        return self.length // common, self.count // common

    @property
    def total(self) -> int:
        """Sum of the weights of every pixel."""
        p, q = self.ratio
        return p if p >= q else 2 * q

    def taps(self, span: Span) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Give what the pixels in a span are made of: (n, k) numbers of pixels of the files, and their weights.

        Numbers may repeat where their weight is 0, and at the scene's edge, where the outermost pixel is continued.
        """
        p, q = self.ratio
        made = np.arange(span.start, span.stop, dtype=np.int64)[:, None]
        if p >= q:  # mean of what the pixel covers, in units of 1/q pixel
            first, last = made * p // q, (made * p + p - 1) // q
            numbers = first + np.arange(-(-p // q) + 1)
            begin, end = np.maximum(numbers * q, made * p), np.minimum((numbers + 1) * q, (made + 1) * p)
            return np.minimum(numbers, last), np.maximum(end - begin, 0)
        # between the centres of two pixels, in units of 1/2q pixel
        centre = (2 * made + 1) * p - q
        first, part = centre // (2 * q), centre % (2 * q)
        numbers = first + np.arange(2)
        return np.clip(numbers, 0, self.length - 1), np.concatenate([2 * q - part, part], axis=1)


class ResampledPixels:
    """The pixels of another source, resampled.

    Parameters
    ----------
    source
        Where the pixels come from.
    native, grid
        Its grid, and the one that is read.
    bands, dtype
        Number and type of the bands that it gives.
    """

    def __init__(self, source: PixelSource, native: Grid, grid: Grid, bands: int, dtype: str) -> None:
        self._source = source
        self._bands = bands
        self._dtype = np.dtype(dtype)
        self._rows = ResampledAxis(length=native.height, count=grid.height)
        self._cols = ResampledAxis(length=native.width, count=grid.width)

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        """Give pixels, 0 where not valid, and validity of a window that lies in the scene and is not empty.

        Raises
        ------
        SceneError
            If the pixels cannot be read; the message names file and window.
        """
        pixels = np.zeros((self._bands, *window.shape), self._dtype)
        valid = np.zeros(window.shape, np.bool_)
        cols = _Taps(*self._cols.taps(window.cols))
        high = max(1, STRIP * self._rows.count // (len(cols.source) * self._rows.length))
        for start in range(window.rows.start, window.rows.stop, high):
            span = Span(start, min(start + high, window.rows.stop))
            inside = span.shift(-window.rows.start).slice
            pixels[:, inside], valid[inside] = self._read_strip(span, cols)
        return pixels, valid

    def _read_strip(self, span: Span, cols: "_Taps") -> tuple[Pixels, Valid]:
        rows = _Taps(*self._rows.taps(span))
        found, holds = self._source.read(Window(rows.source, cols.source))
        total = self._rows.total * self._cols.total
        weight = float(total) if holds.all() else _combine(holds, rows, cols)
        valid = np.broadcast_to(np.asarray(2 * weight >= total), (len(span), len(cols.numbers)))
        divisor = np.where(valid, weight, 1.0)
        pixels = np.zeros((self._bands, *valid.shape), self._dtype)
        for band, layer in zip(found, pixels, strict=True):  # nodata pixels are 0 and add nothing
            mean = _combine(band, rows, cols) / divisor
            if np.issubdtype(self._dtype, np.integer):
                np.rint(mean, out=mean)
            np.copyto(layer, mean, where=valid, casting="unsafe")
        return pixels, valid


class _Taps:
    """What a span is made of, counted from the first pixel that it needs."""

    def __init__(self, numbers: npt.NDArray[np.int64], weights: npt.NDArray[np.int64]) -> None:
        self.source = Span(int(numbers.min()), int(numbers.max()) + 1)
        self.numbers = numbers - self.source.start
        self.weights = weights.astype(np.float64)


def _combine(band: npt.NDArray[Any], rows: _Taps, cols: _Taps) -> npt.NDArray[np.float64]:
    """Give weighted sums along rows, then along columns, element by element in one order."""
    down = np.zeros((len(rows.numbers), band.shape[1]))
    for numbers, weights in zip(rows.numbers.T, rows.weights.T, strict=True):
        down += band[numbers] * weights[:, None]
    across = np.zeros((len(rows.numbers), len(cols.numbers)))
    for numbers, weights in zip(cols.numbers.T, cols.weights.T, strict=True):
        across += down[:, numbers] * weights
    return across
