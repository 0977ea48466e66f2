"""What an open dataset says about itself, every statement checked once."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any

from affine import Affine
from rasterio.enums import MaskFlags

from segflow.errors import SceneError
from segflow.io.names.meanings import BandName, name_bands
from segflow.io.names.sensors import known_sensor, named_meaning, named_nodata
from segflow.io.names.words import Meaning, read_meaning
from segflow.io.scene.info import Band, SceneInfo
from segflow.tiling import Grid

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")
_NAME_TAGS = ("bandname", "band_name", "long_name")  # of a band that has no description
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
    colours = [colour.name.lower() for colour in dataset.colorinterp]
    names = name_bands(_descriptions(dataset, path), colours, known_sensor(_tags(dataset), path))
    alpha = alpha_band(colours, names) if use_alpha else None
    flags = dataset.mask_flag_enums[0]
    return SceneInfo(
        path=path,
        grid=_grid(dataset, path),
        bands=tuple(_band(dataset, number, names[number - 1]) for number in dataset.indexes if number != alpha),
        alpha=alpha,
        dtype=_dtype(dataset, path),
        has_mask=MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags,
        acquired=_acquired(dataset),
        gcps=bool(dataset.gcps[0]),
    )


def alpha_band(colours: Sequence[str], names: Sequence[BandName]) -> int | None:
    """Give the number of the alpha band: the only one tagged so, beside at least one other band.

    A band that its description certainly calls something else, such as near infrared, is none.
    """
    tagged = [number for number, colour in enumerate(colours, start=1) if colour == "alpha"]
    if len(tagged) != 1 or len(colours) < 2:  # noqa: PLR2004 - one alone masks nothing
        return None
    return None if names[tagged[0] - 1].common else tagged[0]


def _descriptions(dataset: Any, path: str) -> list[str]:  # noqa: ANN401
    """Give what each band is described as, else what its own tags call it; the file's own name says nothing of one."""
    found = [
        text or _tagged_name(dataset.tags(number))
        for number, text in zip(dataset.indexes, dataset.descriptions, strict=True)
    ]
    if len(found) == 1 and found[0].strip() == PurePath(path).stem and read_meaning(found[0]) == Meaning():
        return [""]
    return found


def _tagged_name(tags: Mapping[str, str]) -> str:
    lower = {key.lower(): value for key, value in tags.items()}
    return next((lower[key] for key in _NAME_TAGS if lower.get(key)), "")


def _tags(dataset: Any) -> dict[str, str]:  # noqa: ANN401
    return {**dataset.tags(ns="IMAGERY"), **dataset.tags()}


def _band(dataset: Any, number: int, name: BandName) -> Band:  # noqa: ANN401
    scale, offset = dataset.scales[number - 1], dataset.offsets[number - 1]
    if (scale, offset) == (1.0, 0.0):
        scale, offset = named_meaning(dataset.name) or (1.0, 0.0)
    return Band(
        number=number,
        name=name.name,
        nodata=nodata_of(dataset, number),
        described=name.described,
        common=name.common,
        text=name.text,
        colour=name.colour,
        scale=scale,
        offset=offset,
    )


def nodata_of(dataset: Any, number: int) -> float | None:  # noqa: ANN401
    """Give the nodata value of a band: the file's own, or what its name tells."""
    own: float | None = dataset.nodatavals[number - 1]
    return own if own is not None or dataset.dtypes[0] != "uint8" else named_nodata(dataset.name)


def _dtype(dataset: Any, path: str) -> str:  # noqa: ANN401
    found = sorted(set(dataset.dtypes))
    if len(found) > 1:
        types = ", ".join(found)
        msg = f"{path} has bands of different types ({types}), but all must have one: convert it (gdal_translate -ot)"
        raise SceneError(msg)
    if found[0] not in DTYPES:
        known = ", ".join(DTYPES)
        msg = f"{path} has pixels of type {found[0]}, but needed is one of {known}: convert it (gdal_translate -ot)"
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
    tags = _tags(dataset)
    for text in (tags[name].strip() for name in _DATE_TAGS if name in tags):
        for form in _DATE_FORMATS:
            try:
                return datetime.strptime(text[:19], form).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007
            except ValueError:
                continue
    return None
