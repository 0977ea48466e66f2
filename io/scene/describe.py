"""What an open dataset says about itself, every statement checked once."""

import math
import unicodedata
from datetime import datetime
from typing import Any

from affine import Affine
from rasterio.enums import ColorInterp, MaskFlags

from segflow.errors import SceneError
from segflow.io.scene.band_words import plain_words, read_meaning, says_nothing, understand_bands
from segflow.io.scene.info import Band, SceneInfo
from segflow.io.scene.sensors import named_meaning, named_nodata, product_sensor, tagged_sensor
from segflow.tiling import Grid

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")
_NAMELESS = {ColorInterp.undefined, ColorInterp.gray, ColorInterp.palette}
_DATE_TAGS = ("ACQUISITIONDATETIME", "TIFFTAG_DATETIME")
_DATE_FORMATS = ("%Y:%m:%d %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")


def describe_dataset(dataset: Any, path: str, *, use_alpha: bool = True) -> SceneInfo:  # noqa: ANN401 - rasterio carries no types
    """Give what an open rasterio dataset says about itself.

    Parameters
    ----------
    dataset, path
        The dataset, and what errors call it.
    use_alpha
        Whether a band tagged as alpha is one; else it is a band of measurements.

    Raises
    ------
    SceneError
        If it has no bands, bands of a kind that cannot be read together, or no usable transform.
    """
    if dataset.count < 1:
        msg = f"{path} has no bands: give a GeoTIFF with at least one"
        raise SceneError(msg)
    alpha = _alpha_band(dataset) if use_alpha else None
    flags = dataset.mask_flag_enums[0]
    tags = {**dataset.tags(ns="IMAGERY"), **dataset.tags()}
    sensor = tagged_sensor(tags) or product_sensor(*path.replace("\\", "/").split("/")[-3:])
    meanings = understand_bands([text or "" for text in dataset.descriptions], sensor)
    return SceneInfo(
        path=path,
        grid=_grid(dataset, path),
        bands=tuple(_band(dataset, number, meanings[number - 1]) for number in dataset.indexes if number != alpha),
        alpha=alpha,
        dtype=_dtype(dataset, path),
        has_mask=MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags,
        acquired=_acquired(dataset),
        gcps=bool(dataset.gcps[0]),
    )


def _alpha_band(dataset: Any) -> int | None:  # noqa: ANN401
    """Give the number of the alpha band: the only one tagged so, beside at least one other band."""
    tagged = [n for n, colour in zip(dataset.indexes, dataset.colorinterp, strict=True) if colour is ColorInterp.alpha]
    return tagged[0] if len(tagged) == 1 and dataset.count > 1 else None


def _band(dataset: Any, number: int, common: tuple[str, ...]) -> Band:  # noqa: ANN401
    colour = dataset.colorinterp[number - 1]
    colour_name = "" if colour in _NAMELESS else str(colour.name).lower()
    name, described = band_name(dataset.descriptions[number - 1] or "", colour_name, number)
    scale, offset = dataset.scales[number - 1], dataset.offsets[number - 1]
    if (scale, offset) == (1.0, 0.0):
        scale, offset = named_meaning(dataset.name) or (1.0, 0.0)
    return Band(
        number=number,
        name=name,
        nodata=nodata_of(dataset, number),
        described=described,
        common=common,
        colour=colour_name,
        scale=scale,
        offset=offset,
    )


def nodata_of(dataset: Any, number: int) -> float | None:  # noqa: ANN401
    """Give the nodata value of a band: the file's own, or what its name tells."""
    own: float | None = dataset.nodatavals[number - 1]
    return own if own is not None or dataset.dtypes[0] != "uint8" else named_nodata(dataset.name)


def band_name(description: str, colour: str, number: int) -> tuple[str | None, bool]:
    """Give the name of a band, and whether somebody wrote it on purpose.

    Parameters
    ----------
    description, colour
        What the band is described as, and its colour interpretation where that says something; empty for none.
    number
        Its place in the file: ``Band 3`` as the third one says no more than that.
    """
    words = unicodedata.normalize("NFC", description).strip().lower()
    if not plain_words(words) or (says_nothing(words) and read_meaning(words).place in {None, number}):
        words = ""
    return words or colour or None, bool(words)


def _dtype(dataset: Any, path: str) -> str:  # noqa: ANN401
    found = sorted(set(dataset.dtypes))
    if len(found) > 1:
        msg = f"{path} has bands of different types ({', '.join(found)}), but all must have one: convert them"
        raise SceneError(msg)
    if found[0] not in DTYPES:
        msg = f"{path} has pixels of type {found[0]}, but needed is one of {', '.join(DTYPES)}: convert the scene"
        raise SceneError(msg)
    return str(found[0])


def _grid(dataset: Any, path: str) -> Grid:  # noqa: ANN401
    transform = dataset.transform
    if transform == Affine.identity() and (dataset.gcps[0] or dataset.rpcs):
        kind = "ground control points" if dataset.gcps[0] else "rational polynomial coefficients"
        msg = f"{path} is placed by {kind} only, but a transform is needed: warp it first (gdalwarp)"
        raise SceneError(msg)
    if not all(map(math.isfinite, transform)) or transform.determinant == 0:
        msg = f"{path} has a transform that cannot be inverted ({tuple(transform)[:6]}): set it with gdal_edit"
        raise SceneError(msg)
    crs = dataset.crs.to_wkt() if dataset.crs else None
    return Grid(height=dataset.height, width=dataset.width, transform=transform, crs=crs or None)


def _acquired(dataset: Any) -> str | None:  # noqa: ANN401
    """Give the date a file carries as ISO 8601; TIFF dates have no zone and are taken for UTC."""
    tags = {**dataset.tags(ns="IMAGERY"), **dataset.tags()}
    for text in (tags[name].strip() for name in _DATE_TAGS if name in tags):
        for form in _DATE_FORMATS:
            try:
                return datetime.strptime(text[:19], form).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007
            except ValueError:
                continue
    return None
