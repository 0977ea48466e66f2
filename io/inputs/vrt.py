"""A VRT as a scene: its bands as stacks of parts of GeoTIFFs.

The VRT says which piece lies where. The files (nodata value, mask, alpha) together with the VRT's nodata
values say which pixels are valid; where the upper file is nodata, the lower one counts.
"""

import os
from dataclasses import replace
from typing import NoReturn

import rasterio.crs
from rasterio.errors import CRSError

from segflow.errors import SceneError, SceneMismatchError
from segflow.io.inputs.mosaics import NUDGE
from segflow.io.inputs.vrt_text import VrtBand, VrtSource, VrtText, read_vrt
from segflow.io.scene.access import Access
from segflow.io.scene.conversion import meaning_text
from segflow.io.scene.describe import band_name
from segflow.io.scene.info import Band, Part, SceneInfo
from segflow.io.scene.scenes import describe_scene
from segflow.io.scene.sources import check_source
from segflow.tiling import Grid, Span, Window

_NAMELESS = {"undefined", "gray", "palette"}  # colour interpretations that name no band
_Piece = tuple[str, Window, Window]  # file, pixels in it, place in the scene


def describe_vrt(path: str | os.PathLike[str], access: Access) -> SceneInfo:
    """Describe a VRT of plain GeoTIFFs as a scene; none of them may lie on the network.

    Raises
    ------
    SceneError
        If it holds more than plain sources of local GeoTIFFs, or one of those cannot be opened.
    SceneMismatchError
        If a file has not the type, the bands or the size that the VRT says, or would have to be resampled.
    """
    local = replace(access, remote=False)
    source = check_source(os.fspath(path), local)
    text = read_vrt(source, local.limits)
    files = {piece.path: describe_scene(piece.path, local) for band in text.bands for piece in band.sources}
    if not files:
        msg = f"{source} has no sources: build it with gdalbuildvrt from GeoTIFFs"
        raise SceneError(msg)
    return _Vrt(source, text, files, use_alpha=local.alpha).describe()


class _Vrt:
    """One VRT with what its files say about themselves."""

    def __init__(self, path: str, text: VrtText, files: dict[str, SceneInfo], *, use_alpha: bool) -> None:
        self._path = path
        self._text = text
        self._files = files
        self._use_alpha = use_alpha
        self._window = Window.of_shape(text.height, text.width)

    def describe(self) -> SceneInfo:
        text = self._text
        dtypes = sorted({band.dtype for band in text.bands})
        if len(dtypes) > 1:
            self._mismatch(f"has bands of different types ({', '.join(dtypes)})", "all must have one")
        alpha = self._alpha() if self._use_alpha else None
        return SceneInfo(
            path=self._path,
            grid=Grid(height=text.height, width=text.width, transform=text.transform, crs=self._crs()),
            bands=tuple(self._band(number, band) for number, band in enumerate(text.bands, start=1) if number != alpha),
            alpha=alpha,
            dtype=dtypes[0],
            has_mask=False,
            acquired=None,
            gcps=False,
            stacks=self._stacks(),
        )

    def _alpha(self) -> int | None:
        """Give the number of the alpha band, by the rule for a file; its pixels come from the files themselves."""
        tagged = [number for number, band in enumerate(self._text.bands, start=1) if band.colour == "alpha"]
        return tagged[0] if len(tagged) == 1 and len(self._text.bands) > 1 else None

    def _band(self, number: int, band: VrtBand) -> Band:
        colour = "" if band.colour in _NAMELESS else band.colour
        name, described = band_name(band.description, colour)
        scale, offset = self._meaning(number, band)
        return Band(number=number, name=name, nodata=band.nodata, described=described, scale=scale, offset=offset)

    def _meaning(self, number: int, band: VrtBand) -> tuple[float, float]:
        """Give scale and offset of a band: those of its files, which the VRT may declare for files that do not."""
        own = {(band.scale, band.offset)} - {(1.0, 0.0)}
        found = {self._file_meaning(source) for source in band.sources}
        declared = own | (found - {(1.0, 0.0)} if own else found)
        if len(declared) > 1:
            texts = " and ".join(sorted(meaning_text(*pair) for pair in declared))
            self._mismatch(f"mixes scales and offsets in band {number} ({texts})", "all files must have one")
        return declared.pop() if declared else (1.0, 0.0)

    def _file_meaning(self, source: VrtSource) -> tuple[float, float]:
        bands = (band for band in self._files[source.path].bands if band.number == source.band)
        return next(((band.scale, band.offset) for band in bands), (1.0, 0.0))

    def _stacks(self) -> tuple[tuple[Part, ...], ...]:
        """Give parts by the bands they have; pieces of one file at one place are one part."""
        order: list[_Piece] = []
        bands: dict[_Piece, dict[int, tuple[int, float | None]]] = {}
        for number, band in enumerate(self._text.bands, start=1):
            for source in reversed(band.sources):  # the last lies on top
                piece = self._piece(source, band)
                if piece is None:
                    continue
                if piece not in bands:
                    order.append(piece)
                nodata = band.nodata if source.nodata is None else source.nodata
                bands.setdefault(piece, {}).setdefault(number, (source.band, nodata))
        stacks: dict[tuple[int, ...], list[Part]] = {}
        for piece in order:
            path, source_window, place = piece
            found = bands[piece]
            part = Part(
                path=path,
                bands=tuple(found),
                numbers=tuple(number for number, _ in found.values()),
                nodata=tuple(nodata for _, nodata in found.values()),
                source=source_window,
                place=place,
            )
            stacks.setdefault(part.bands, []).append(part)
        self._check_stacks(list(stacks))
        return tuple(tuple(stack) for stack in stacks.values())

    def _check_stacks(self, found: list[tuple[int, ...]]) -> None:
        numbers = sorted(number for bands in found for number in bands)
        if numbers != list(range(1, len(self._text.bands) + 1)):
            self._mismatch("has bands that are made of different files in part", "each needs all files, or its own")

    def _piece(self, source: VrtSource, band: VrtBand) -> _Piece | None:
        """Give which pixels of which file a source takes and where they go; None where that is outside the scene."""
        info = self._files[source.path]
        if info.dtype != band.dtype:
            self._mismatch(f"has {band.dtype} pixels, but {info.path} has {info.dtype}", "both must be the same")
        if not 1 <= source.band <= info.band_count:
            self._mismatch(f"asks for band {source.band} of {info.path}, which has {info.band_count}", "build it again")
        taken = self._box(source.source, info.grid.window)
        place = self._box(source.place, self._window)
        if taken.shape != place.shape:
            self._mismatch(
                f"would resample {info.path} ({_by(taken)} px to {_by(place)} px)", "files must have its resolution"
            )
        if taken not in info.grid.window:
            self._mismatch(
                f"asks for pixels outside {info.path}, which has {_by(info.grid.window)} px", "build it again"
            )
        inside = place.clip(self._window)
        if not inside.size:
            return None
        moved = inside.relative_to(place).shift(taken.rows.start, taken.cols.start)
        return info.path, moved, inside

    def _box(self, box: tuple[float, ...] | None, whole: Window) -> Window:
        if box is None:
            return whole
        col, row, width, height = (round(number) for number in box)
        off = max(abs(given - whole_number) for given, whole_number in zip(box, (col, row, width, height), strict=True))
        if off > NUDGE or width < 1 or height < 1:
            self._mismatch(
                f"places a file between pixels ({', '.join(f'{n:g}' for n in box)})", "align the files first"
            )
        return Window(Span(row, row + height), Span(col, col + width))

    def _crs(self) -> str | None:
        if self._text.srs is None:
            return None
        try:
            crs: str = rasterio.crs.CRS.from_user_input(self._text.srs).to_wkt()
        except CRSError as error:
            msg = f"{self._path} has a coordinate reference system that PROJ does not know ({error}): set it again"
            raise SceneError(msg) from error
        return crs

    def _mismatch(self, found: str, needed: str) -> NoReturn:
        msg = f"{self._path} {found}, but {needed}: warp or convert the files, then run gdalbuildvrt again"
        raise SceneMismatchError(msg)


def _by(window: Window) -> str:
    return f"{window.shape[0]} × {window.shape[1]}"
