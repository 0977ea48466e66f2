"""A VRT as a scene: its bands as stacks of parts of GeoTIFFs.

The VRT says which piece lies where. The files (nodata value, mask, alpha) together with the VRT's nodata
values say which pixels are valid; where the upper file is nodata, the lower one counts.
"""

import os
from dataclasses import replace
from pathlib import PurePath
from typing import NoReturn

import rasterio.crs
from rasterio.errors import CRSError

from segflow.errors import SceneError, SceneMismatchError
from segflow.io.inputs.band_names import name_band_files
from segflow.io.inputs.mosaics import NUDGE
from segflow.io.inputs.vrt_text import VrtBand, VrtSource, VrtText, read_vrt
from segflow.io.names.meanings import BandName, common_words, name_bands
from segflow.io.names.sensors import Names, Sensor, known_sensor
from segflow.io.scene.access import Access
from segflow.io.scene.conversion import meaning_text
from segflow.io.scene.describe import alpha_band
from segflow.io.scene.info import Band, Part, SceneInfo
from segflow.io.scene.scenes import describe_scene
from segflow.io.scene.sources import check_source
from segflow.tiling import Grid, Span, Window

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
        self._colours = [band.colour for band in text.bands]
        self._names = self._band_names()
        self._window = Window.of_shape(text.height, text.width)

    def describe(self) -> SceneInfo:
        text = self._text
        dtypes = sorted({band.dtype for band in text.bands})
        if len(dtypes) > 1:
            self._mismatch(f"has bands of different types ({', '.join(dtypes)})", "all must have one")
        alpha = alpha_band(self._colours, self._names) if self._use_alpha else None
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

    def _band_names(self) -> list[BandName]:
        """Give what the bands are called: as the VRT says, else as its files do.

        gdalbuildvrt carries no description over, and with -separate the names of the files are all that is told.
        """
        names = name_bands([band.description for band in self._text.bands], self._colours, self._sensor())
        paths = [[source.path for source in band.sources] for band in self._text.bands]
        single = all(info.band_count == 1 for info in self._files.values())
        by_file = name_band_files([each[0] if single and each else "" for each in paths])
        return [
            name if name.text else self._file_name(number, name, first)
            for number, (name, first) in enumerate(zip(names, by_file, strict=True), start=1)
        ]

    def _file_name(self, number: int, name: BandName, first: Names) -> BandName:
        """Give what the files call a band that the VRT does not describe; `first` is what its first file is called."""
        sources = self._text.bands[number - 1].sources
        pairs = [(source.band, self._files[source.path].bands) for source in sources]
        own = [band for wanted, bands in pairs for band in bands if band.number == wanted and band.text]
        meant = {band.common for band in own if band.common}
        if len(meant) > 1:
            texts = " and ".join(sorted({band.text for band in own}))
            self._mismatch(f"mixes bands called {texts} in band {number}", "a band must be the same in all files")
        if own:
            told = next((band for band in own if band.common), own[0])
            return replace(name, name=told.name, described=True, common=told.common or (), text=told.text)
        if first and all(names == first for names in name_band_files([source.path for source in sources])):
            text = PurePath(sources[0].path).stem
            return replace(name, name=first[0], described=True, common=common_words(first), text=text)
        return name

    def _sensor(self) -> Sensor | None:
        """Give the sensor that the VRT's name tells, or else the names of all its files."""
        told = known_sensor({}, self._path)
        if told is not None:
            return told
        found = [known_sensor({}, path) for path in self._files]
        return found[0] if all(sensor == found[0] for sensor in found) else None

    def _band(self, number: int, band: VrtBand) -> Band:
        name = self._names[number - 1]
        scale, offset = self._meaning(number, band)
        return Band(
            number=number,
            name=name.name,
            nodata=band.nodata,
            described=name.described,
            common=name.common,
            text=name.text,
            colour=name.colour,
            scale=scale,
            offset=offset,
        )

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
