"""Scenes whose bands lie in files of their own: a folder of GeoTIFFs, or assets of a STAC item.

Bands are chosen by name before any file is opened, so that files that no model asks for
(other resolutions, quality flags, other types) need not agree with those that it does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from segflow.errors import SceneMismatchError
from segflow.io.inputs.mosaics import check_dtypes_agree, disagreement, place_on
from segflow.io.names.meanings import common_words
from segflow.io.scene.access import Access
from segflow.io.scene.bands import BandList, select_bands
from segflow.io.scene.conversion import meaning_text
from segflow.io.scene.info import Band, Part, SceneInfo
from segflow.io.scene.scenes import describe_scene


@dataclass(frozen=True, slots=True, kw_only=True)
class BandFile:
    """Where a band may be read.

    Attributes
    ----------
    path
        The GeoTIFF, or its address.
    number
        Number of the band in it.
    names
        What the band is called, the best name first, in lower case.
    nodata
        Its nodata value as the product or the item declares it, besides the file's own; or None.
    scale, offset
        As in `Band`; None where neither the product nor the item declares them, so that the file's own count.
    """

    path: str
    number: int
    names: tuple[str, ...]
    nodata: float | None = None
    scale: float | None = None
    offset: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BandChoice:
    """Which bands a model wants.

    Attributes
    ----------
    wanted
        Their names, in the model's order.
    chosen
        What the user chose instead, by name or by number in the list of bands; None: nothing.
    display
        Whether the model was trained on display values from 0 to 255, so that a product's own picture suits it best.
    """

    wanted: tuple[str, ...]
    chosen: tuple[int | str, ...] | None = None
    display: bool = False


def describe_band_files(path: str, files: Sequence[BandFile], choice: BandChoice, access: Access) -> SceneInfo:
    """Describe files that hold bands as one scene; those that are not wanted are not opened.

    Raises
    ------
    SceneError
        If a wanted file cannot be opened.
    SceneMismatchError
        If a band is not there, or two of the wanted files differ in grid or type; both are named.
    """
    bands = tuple(
        Band(
            number=number,
            name=file.names[0],
            nodata=None,
            described=True,
            aliases=file.names[1:],
            common=common_words(file.names),
        )
        for number, file in enumerate(files, start=1)
    )
    numbers = select_bands(BandList(path=path, bands=bands), choice.wanted, choice.chosen)
    infos = {
        files[number - 1].path: describe_scene(files[number - 1].path, access) for number in dict.fromkeys(numbers)
    }
    first = next(iter(infos.values()))
    for info in infos.values():
        _check_same_grid(first, info)
    by_file: dict[str, list[int]] = {}
    for number in dict.fromkeys(numbers):
        by_file.setdefault(files[number - 1].path, []).append(number)
    stacks = tuple((_part(files, tuple(given), infos),) for given in by_file.values())
    described = tuple(_declared(band, files[band.number - 1], infos) for band in bands)
    return replace(first, path=path, bands=described, alpha=None, has_mask=False, stacks=stacks)


def _declared(band: Band, file: BandFile, infos: dict[str, SceneInfo]) -> Band:
    """Give a band with its nodata value, scale and offset: as declared for it, else as its file says."""
    if file.path not in infos:
        return band
    own = next((each for each in infos[file.path].bands if each.number == file.number), band)
    stated = (own.scale if file.scale is None else file.scale, own.offset if file.offset is None else file.offset)
    if (own.scale, own.offset) not in {(1.0, 0.0), stated}:
        msg = (
            f"{file.path} declares {meaning_text(own.scale, own.offset)}, but its product or item "
            f"{meaning_text(*stated)}: which is right? correct one of them (gdal_edit -scale -offset)"
        )
        raise SceneMismatchError(msg)
    return replace(
        band,
        nodata=own.nodata if file.nodata is None else file.nodata,
        scale=stated[0],
        offset=stated[1],
    )


def _part(files: Sequence[BandFile], numbers: tuple[int, ...], infos: dict[str, SceneInfo]) -> Part:
    """Give the bands of the scene that lie in one file as a part."""
    chosen = [files[number - 1] for number in numbers]
    info = infos[chosen[0].path]
    for file in chosen:
        if not 1 <= file.number <= info.band_count:
            found = f"{file.path} has no band {file.number} to be {file.names[0]}"
            msg = f"{found}, it has {info.band_count}: check the scene"
            raise SceneMismatchError(msg)
    window = info.grid.window
    return Part(
        path=info.path,
        bands=numbers,
        numbers=tuple(file.number for file in chosen),
        nodata=tuple(file.nodata for file in chosen),
        source=window,
        place=window,
    )


def _check_same_grid(first: SceneInfo, other: SceneInfo) -> None:
    """Check that the bands of a scene lie pixel on pixel."""
    check_dtypes_agree(first, other)
    if first.grid.shape != other.grid.shape:
        shapes = [f"{info.grid.height} × {info.grid.width} px" for info in (first, other)]
        raise disagreement(first, other, "shapes", *shapes)
    if place_on(first, other) != first.grid.window:
        raise disagreement(first, other, "places", str(first.grid.bounds), str(other.grid.bounds))
