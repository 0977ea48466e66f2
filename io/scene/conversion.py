"""A scene's stored numbers, given as a model wants them: from one scale and offset to another.

A pixel means ``scale × pixel + offset``, in the scene and in the model. So the model's pixel is
``gain × stored + bias`` with ``gain = scale / model's scale`` and ``bias = (offset - model's offset) / model's scale``.
It is computed in float64; whole numbers are rounded to the nearest, and kept within what their type holds.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from segflow.errors import SceneMismatchError
from segflow.io.scene.geotiffs import Pixels, PixelSource, Valid
from segflow.io.scene.info import BandConversion, Conversion, SceneInfo
from segflow.tiling import Window

_TABLE_BITS = 16  # whole numbers up to this size are converted by a table


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How pixels are stored and what they mean, band by band.

    Attributes
    ----------
    dtype
        NumPy name of their type.
    scales, offsets
        A pixel means scale × pixel + offset; a scale of None where that is not known.
    """

    dtype: str
    scales: tuple[float | None, ...]
    offsets: tuple[float, ...]

    @property
    def known(self) -> bool:
        """Whether the meaning of all bands is known."""
        return None not in self.scales

    def describe(self) -> str:
        """Say in words what a pixel is."""
        pairs = sorted({meaning_text(*pair) for pair in zip(self.scales, self.offsets, strict=True)})
        return f"{self.dtype}, {' or '.join(pairs)}"


def meaning_text(scale: float | None, offset: float) -> str:
    """Say what a pixel means: ``0.0001 × pixel - 0.1``."""
    if scale is None:
        return "meaning not declared"
    return f"{scale:.6g} × pixel" + (f" {'+' if offset > 0 else '-'} {abs(offset):.6g}" if offset else "")


def declared_encoding(info: SceneInfo, bands: tuple[int, ...]) -> Encoding:
    """Give what a scene declares of some of its bands; a scale of 1 and an offset of 0 declare nothing."""
    found = {band.number: band for band in info.bands}
    chosen = [found.get(number) for number in bands]  # None: an alpha band that was chosen
    plain = [band is None or (band.scale == 1 and band.offset == 0) for band in chosen]
    return Encoding(
        dtype=info.dtype,
        scales=tuple(
            None if simple or band is None else band.scale for simple, band in zip(plain, chosen, strict=True)
        ),
        offsets=tuple(
            0.0 if simple or band is None else band.offset for simple, band in zip(plain, chosen, strict=True)
        ),
    )


def convert_scene(info: SceneInfo, bands: tuple[int, ...], stored: Encoding, wanted: Encoding) -> SceneInfo:
    """Give a scene that is read in another encoding; itself where the two are equal.

    Parameters
    ----------
    info
        The scene as its files store it.
    bands
        Numbers of the bands that are read, in the order of the encodings.
    stored, wanted
        What the scene's pixels are, and what they are to become; both known.
    """
    if stored == wanted:
        return info
    rules: dict[int, BandConversion] = {}
    pairs = zip(stored.scales, stored.offsets, wanted.scales, wanted.offsets, strict=True)
    for number, (scale, offset, new_scale, new_offset) in zip(bands, pairs, strict=True):
        if scale is None or new_scale is None:
            msg = f"{info.path}: band {number} cannot be converted, because its meaning is not known"
            raise SceneMismatchError(msg)
        rule = BandConversion(number=number, gain=scale / new_scale, bias=(offset - new_offset) / new_scale)
        if rules.setdefault(number, rule) != rule:
            msg = f"{info.path}: band {number} was chosen twice, for bands of different scale: choose another for one"
            raise SceneMismatchError(msg)
    conversion = Conversion(stored=info.dtype, bands=tuple(rules.values()))
    return replace(info, dtype=wanted.dtype, conversion=conversion)


def convert_pixels(
    stored: npt.NDArray[Any], conversion: Conversion, band_numbers: tuple[int, ...], dtype: str
) -> npt.NDArray[Any]:
    """Convert a (bands, …) array of stored numbers, one band for each of `band_numbers`."""
    converters = _converters(conversion, band_numbers, dtype)
    return np.stack([convert(band) for convert, band in zip(converters, stored, strict=True)])


class ConvertedPixels:
    """The pixels of another source, in another encoding.

    Parameters
    ----------
    source
        Where the stored numbers come from.
    conversion
        What becomes of them.
    band_numbers
        The bands that the source gives; those without a rule are kept as they are.
    dtype
        Type of the pixels given.
    """

    def __init__(self, source: PixelSource, conversion: Conversion, band_numbers: tuple[int, ...], dtype: str) -> None:
        self._source = source
        self._dtype = np.dtype(dtype)
        self._bands = _converters(conversion, band_numbers, dtype)

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        """Give pixels, 0 where not valid, and validity of a window that lies in the scene and is not empty.

        Raises
        ------
        SceneError
            If the pixels cannot be read.
        """
        stored, valid = self._source.read(window)
        pixels = np.empty(stored.shape, self._dtype)
        for layer, band, convert in zip(pixels, stored, self._bands, strict=True):
            layer[...] = convert(band)
        if not valid.all():
            np.copyto(pixels, 0, where=~valid)
        return pixels, valid


def _converters(conversion: Conversion, band_numbers: tuple[int, ...], dtype: str) -> list["_Converter"]:
    rules = {rule.number: rule for rule in conversion.bands}
    types = np.dtype(conversion.stored), np.dtype(dtype)
    return [_Converter(rules.get(number), *types) for number in band_numbers]


class _Converter:
    """Converts one band; small whole numbers by a table, which gives the same bits and is faster."""

    def __init__(self, rule: BandConversion | None, stored: np.dtype[Any], wanted: np.dtype[Any]) -> None:
        self._gain, self._bias = (1.0, 0.0) if rule is None else (rule.gain, rule.bias)
        self._wanted = wanted
        self._table: npt.NDArray[Any] | None = None
        self._lowest = 0
        if np.issubdtype(stored, np.integer) and stored.itemsize * 8 <= _TABLE_BITS:
            limits = np.iinfo(stored)
            self._lowest = int(limits.min)
            self._table = self._compute(np.arange(limits.min, limits.max + 1, dtype=np.int64))

    def __call__(self, band: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self._table is None:
            return self._compute(band)
        converted: npt.NDArray[Any] = np.take(self._table, band.astype(np.int32) - self._lowest)
        return converted

    def _compute(self, band: npt.NDArray[Any]) -> npt.NDArray[Any]:
        values = band.astype(np.float64) * self._gain + self._bias
        if np.issubdtype(self._wanted, np.integer):
            limits = np.iinfo(self._wanted)
            np.clip(np.rint(values, out=values), limits.min, limits.max, out=values)
        with np.errstate(invalid="ignore", over="ignore"):  # a float that is not finite is not valid, and becomes 0
            return values.astype(self._wanted)
