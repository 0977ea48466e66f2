"""One GeoTIFF or JPEG 2000 file: opened after its source and header were checked, read with its own validity."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.windows
from rasterio.enums import Interleaving

from segflow.errors import SceneMismatchError
from segflow.io.scene.access import Access
from segflow.io.scene.describe import describe_dataset, nodata_of
from segflow.io.scene.gdal import gdal_env, gdal_name, ignore_missing_georeference, scene_errors
from segflow.io.scene.headers import check_header, driver_of
from segflow.io.scene.info import SceneInfo
from segflow.io.scene.limits import Limits
from segflow.io.scene.sources import check_source, is_remote
from segflow.io.scene.validity import valid_pixels
from segflow.tiling import Window

_DAMAGED = "the file is damaged or cut short, copy or download it again"
_NO_ANSWER = (
    "its server failed, stalled or gives no byte ranges, or the file is damaged; try again later, or download it"
)

Pixels = npt.NDArray[Any]  # (bands, height, width) in the scene's dtype
Valid = npt.NDArray[np.bool_]  # (height, width), True where every chosen band is valid


class PixelSource(Protocol):
    """What pixels come from: a file, a stack of files, a resampled scene."""

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        """Give pixels, 0 where not valid, and validity of a window that lies in the scene and is not empty."""


@contextmanager
def open_dataset(
    path: str | os.PathLike[str], access: Access, *, known: SceneInfo | None = None
) -> Iterator[tuple[Any, SceneInfo]]:
    """Open a dataset after its source and its header were checked, and describe it unless it is `known`.

    Raises
    ------
    SceneError
        If the file cannot be opened, is no GeoTIFF, is too large, or has no usable transform or type.
    """
    source = check_source(os.fspath(path), access)
    advice = (
        _NO_ANSWER
        if is_remote(source)
        else "the file is damaged or no GeoTIFF or JPEG 2000, copy it again or convert it (gdal_translate -of COG)"
    )
    with scene_errors(source, "opening", advice):
        if not is_remote(source):
            check_header(source, access.limits)
        ignore_missing_georeference()
    with gdal_env(access):
        with scene_errors(source, "opening", advice):
            dataset = rasterio.open(gdal_name(source), driver=driver_of(source), sharing=False)
        try:
            with scene_errors(source, "reading the header", advice):
                _check_limits(dataset, source, access.limits)
                info = known or describe_dataset(dataset, source, use_alpha=access.alpha)
            yield dataset, info
        finally:
            dataset.close()


@contextmanager
def open_pixels(
    path: str | os.PathLike[str], band_numbers: tuple[int, ...], access: Access, *, known: SceneInfo | None = None
) -> Iterator["GeoTiffPixels"]:
    """Open the pixels of a GeoTIFF in this thread; `known` is what it said when it was described.

    Raises
    ------
    SceneError
        If the file cannot be opened; `SceneMismatchError` if it has no such band.
    """
    with open_dataset(path, access, known=known) as (dataset, info):
        check_bands(info, band_numbers)
        yield GeoTiffPixels(dataset, info, band_numbers, access.nodata)


def check_bands(info: SceneInfo, band_numbers: tuple[int, ...]) -> None:
    """Check that a scene has bands of these numbers.

    Raises
    ------
    SceneMismatchError
        If it has not.
    """
    for number in band_numbers:
        if not 1 <= number <= info.band_count:
            msg = f"{info.path} has no band {number}, it has {info.band_count}: choose bands with --bands"
            raise SceneMismatchError(msg)


class GeoTiffPixels:
    """Some bands of an open GeoTIFF; they stay in the thread that opened it.

    Attributes
    ----------
    info
        What the file says about itself.
    """

    def __init__(
        self,
        dataset: Any,  # noqa: ANN401
        info: SceneInfo,
        band_numbers: tuple[int, ...],
        nodata: float | None = None,
    ) -> None:
        self.info = info
        self._band_numbers = band_numbers
        self._dataset = dataset
        self._nodata = tuple(nodata_of(dataset, number) for number in band_numbers)
        self._more_nodata = None if nodata is None else (nodata,) * len(band_numbers)
        self._alpha = info.alpha if info.alpha not in band_numbers else None

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        """Give pixels and validity of a window that lies in the file and is not empty.

        Raises
        ------
        SceneError
            If the pixels cannot be read; the message names file and window.
        """
        pixels, masks = self._read_layers(window)
        valid = valid_pixels(pixels, self._nodata)
        if self._more_nodata is not None:
            more = valid_pixels(pixels, self._more_nodata)
            if more is not None:
                valid = more if valid is None else np.logical_and(valid, more, out=valid)
        for mask in masks:
            valid = mask != 0 if valid is None else np.logical_and(valid, mask != 0, out=valid)
        if valid is None:
            return pixels, np.ones(window.shape, np.bool_)
        if not valid.all():
            np.copyto(pixels, 0, where=~valid)
        return pixels, valid

    def _read_layers(self, window: Window) -> tuple[Pixels, list[npt.NDArray[Any]]]:
        """Read the chosen bands, with alpha in the same pass, and the mask if there is one."""
        rows, cols = window.rows, window.cols
        box = rasterio.windows.Window(cols.start, rows.start, len(cols), len(rows))
        where = f"reading rows {rows.start}–{rows.stop}, columns {cols.start}–{cols.stop}"
        advice = _NO_ANSWER if is_remote(self.info.path) else _DAMAGED
        with scene_errors(self.info.path, where, advice):
            if self._alpha is None:
                pixels, masks = self._dataset.read(list(self._band_numbers), window=box), []
            else:
                layers = self._dataset.read([*self._band_numbers, self._alpha], window=box)
                pixels, masks = layers[:-1], [layers[-1]]
            if self.info.has_mask:
                masks.append(self._dataset.read_masks(1, window=box))
        return pixels, masks


def _check_limits(dataset: Any, source: str, limits: Limits) -> None:  # noqa: ANN401
    """Check what GDAL found, which for a remote scene is the first that is known."""
    rows, cols = dataset.block_shapes[0] if dataset.count else (0, 0)
    samples = dataset.count if dataset.interleaving is Interleaving.pixel else 1
    item = np.dtype(dataset.dtypes[0]).itemsize if dataset.count and "complex_int" not in dataset.dtypes[0] else 4
    limits.check(
        source,
        bands=dataset.count,
        pixels=dataset.height * dataset.width,
        block_bytes=rows * cols * item * samples,
    )
