"""The pixels of a scene of many files: stacks of parts, each for other bands.

A pixel of a stack comes from the first part that is valid there, with all its bands from that one part.
A pixel of the scene is valid where all stacks that are read are.
Files are opened when a window first needs them, and a few stay open.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np

from segflow.errors import SceneError
from segflow.io.scene.access import Access
from segflow.io.scene.gdal import gdal_env
from segflow.io.scene.geotiffs import GeoTiffPixels, Pixels, Valid, open_pixels
from segflow.io.scene.info import Part, SceneInfo
from segflow.io.scene.validity import valid_pixels
from segflow.tiling import Window

OPEN_FILES = 32  # that stay open; a window of a tile seldom meets more files than that


@contextmanager
def open_stacks(info: SceneInfo, band_numbers: tuple[int, ...], access: Access) -> Iterator["StackedPixels"]:
    """Make the pixels of a scene of many files ready for reading in this thread."""
    files = _OpenFiles(access)
    with gdal_env(access):  # below those of the files, which close in any order
        try:
            yield StackedPixels(info, band_numbers, files)
        finally:
            files.close()


class StackedPixels:
    """Some bands of a scene of many files; they stay in the thread that opened them."""

    def __init__(self, info: SceneInfo, band_numbers: tuple[int, ...], files: "_OpenFiles") -> None:
        self._band_numbers = band_numbers
        self._dtype = np.dtype(info.stored_dtype)
        self._files = files
        self._stacks = [stack for stack in info.stacks if set(stack[0].bands) & set(band_numbers)]
        given = {number for stack in self._stacks for number in stack[0].bands}
        for number in band_numbers:
            if number not in given:
                msg = f"{info.path}: band {number} was not among those that the scene was opened for"
                raise SceneError(msg)

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        """Give pixels, 0 where not valid, and validity of a window that lies in the scene and is not empty.

        Raises
        ------
        SceneError
            If a file cannot be opened or read; the message names it.
        """
        pixels = np.zeros((len(self._band_numbers), *window.shape), self._dtype)
        valid = np.ones(window.shape, np.bool_)
        for stack in self._stacks:
            valid &= self._read_stack(stack, window, pixels)
        if not valid.all():
            np.copyto(pixels, 0, where=~valid)
        return pixels, valid

    def _read_stack(self, stack: tuple[Part, ...], window: Window, pixels: Pixels) -> Valid:
        """Fill in the bands that a stack gives; return where it is valid."""
        layers = [layer for layer, number in enumerate(self._band_numbers) if number in stack[0].bands]
        wanted = [self._band_numbers[layer] for layer in layers]
        filled = np.zeros(window.shape, np.bool_)
        for part in stack:
            inside = part.place.clip(window)
            if not inside.size:
                continue
            rows, cols = inside.relative_to(window).slices
            missing = ~filled[rows, cols]
            if not missing.any():
                continue
            found, valid = self._read_part(part, wanted, inside)
            valid &= missing
            for layer, band in zip(layers, found, strict=True):
                np.copyto(pixels[layer, rows, cols], band, where=valid)
            filled[rows, cols] |= valid
        return filled

    def _read_part(self, part: Part, wanted: list[int], inside: Window) -> tuple[Pixels, Valid]:
        """Read bands of the scene from one file, which by now may not be what it was when the scene was planned."""
        places = [part.bands.index(number) for number in wanted]
        source = self._files.open(part.path, tuple(part.numbers[place] for place in places))
        window = inside.relative_to(part.place).shift(part.source.rows.start, part.source.cols.start)
        if source.info.dtype != self._dtype.name or window not in source.info.grid.window:
            msg = f"{part.path} has changed since the run was planned: start it again"
            raise SceneError(msg)
        pixels, valid = source.read(window)
        more = valid_pixels(pixels, [part.nodata[place] for place in places])
        return pixels, valid if more is None else valid & more


class _OpenFiles:
    """The open files of a scene: at most `OPEN_FILES`, those that were used last."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._held: OrderedDict[tuple[str, tuple[int, ...]], tuple[GeoTiffPixels, ExitStack]] = OrderedDict()

    def open(self, path: str, numbers: tuple[int, ...]) -> GeoTiffPixels:
        """Give bands of a file; where too many are open, the one that was not used for longest is closed."""
        key = path, numbers
        if key not in self._held:
            if len(self._held) >= OPEN_FILES:
                self._held.popitem(last=False)[1][1].close()
            opened = ExitStack()
            pixels = opened.enter_context(open_pixels(path, numbers, self._access))
            self._held[key] = pixels, opened
        self._held.move_to_end(key)
        return self._held[key][0]

    def close(self) -> None:
        """Close all files."""
        while self._held:
            self._held.popitem()[1][1].close()
