"""Which pixels are valid and which are nodata.

A pixel is valid if it is valid in *every* chosen band. A band that is merely 0 is valid,
unless 0 is its nodata value: dark water and shadow are not nodata.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_DIGITS = 1e-5  # relative; -3.40282e+38 and -3.40282346638529e+38 both mean float32's lowest number


def valid_pixels(pixels: npt.NDArray[Any], nodata: Sequence[float | None]) -> npt.NDArray[np.bool_] | None:
    """Tell which pixels are valid in every band.

    Parameters
    ----------
    pixels
        (bands, height, width) array.
    nodata
        The nodata value of each band, or None.

    Returns
    -------
    valid
        (height, width) bool array, True where all bands are valid;
        None if no pixel can be nodata: whole numbers without a nodata value.
    """
    valid: npt.NDArray[np.bool_] | None = None
    for band, value in zip(pixels, nodata, strict=True):
        found = _valid_in(band, value)
        if found is not None:
            valid = found if valid is None else np.logical_and(valid, found, out=valid)
    return valid


def nodata_in(dtype: np.dtype[Any], nodata: float | None) -> np.generic | None:
    """Give a nodata value as a pixel of `dtype` would hold it, or None if no pixel can hold it.

    A float value is rounded to `dtype`, as the writer of the file did it. One that lies beyond the type's largest
    number by no more than its own decimal digits leave open is that number. NaN gives None:
    it equals nothing, and NaN pixels are never valid anyway.
    """
    if nodata is None or nodata != nodata:  # noqa: PLR0124 - NaN
        return None
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        fits = nodata == np.trunc(nodata) and info.min <= nodata <= info.max
        return _scalar(dtype, int(nodata)) if fits else None
    largest = float(np.finfo(dtype).max)
    if abs(nodata) > largest * (1 + _DIGITS):
        return None  # infinite pixels are never valid either
    return _scalar(dtype, min(max(nodata, -largest), largest))


def _scalar(dtype: np.dtype[Any], value: float) -> np.generic:
    scalar: np.generic = dtype.type(value)
    return scalar


def _valid_in(band: npt.NDArray[Any], nodata: float | None) -> npt.NDArray[np.bool_] | None:
    value = nodata_in(band.dtype, nodata)
    differs = None if value is None else _differs(band, value)
    if not np.issubdtype(band.dtype, np.floating):
        return differs
    finite: npt.NDArray[np.bool_] = np.isfinite(band)
    return finite if differs is None else np.logical_and(finite, differs, out=finite)


def _differs(band: npt.NDArray[Any], value: np.generic) -> npt.NDArray[np.bool_]:
    """Tell which pixels are not a nodata value; next to a float type's ends all that is as extreme is nodata."""
    if np.issubdtype(band.dtype, np.floating):
        extreme = float(np.finfo(band.dtype).max) * (1 - _DIGITS)
        if abs(float(value)) >= extreme:
            found: npt.NDArray[np.bool_] = band < extreme if float(value) > 0 else band > -extreme
            return found
    return np.asarray(band != value)
