"""A STAC item as a scene: its bands lie in assets, named by eo:bands (STAC 1.0) or bands (STAC 1.1).

References
----------
STAC specification 1.1.0, "Bands"; Electro-Optical extension 1.1.0, "Common Band Names".
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import urlopen

from segflow.errors import SceneError
from segflow.io.inputs.band_files import BandChoice, BandFile, describe_band_files
from segflow.io.inputs.band_names import asset_band_names, sensors_by_assets
from segflow.io.inputs.times import utc_text
from segflow.io.names.sensors import Sensor, named_sensor, tagged_sensor
from segflow.io.scene.access import Access
from segflow.io.scene.info import SceneInfo
from segflow.io.scene.sources import check_source, is_remote

MAX_BYTES = 16 * 2**20  # of an item; genuine ones have some 100 kB
PATIENCE = 30  # s for a server's answer
_DATA = {"data", "reflectance"}  # roles of assets whose pixels are measurements


def describe_item(path: str, choice: BandChoice, access: Access) -> SceneInfo:
    """Describe a STAC item with band assets as one scene that has the item's name.

    Parameters
    ----------
    path
        The item: a file, or an address if `access` allows it. Its assets may lie on the network on the same condition.
    choice
        The bands that are wanted.
    access
        How item and assets may be opened.

    Raises
    ------
    SceneError
        If the item or a wanted asset cannot be read, or it has no GeoTIFFs with named bands.
    SceneMismatchError
        If a wanted band is not there or is there twice, or the assets of wanted bands do not fit each other.
    """
    place = check_source(path, replace(access, sidecars=False))
    item = read_item(place)
    files = list(_band_files(item, place))
    if not files:
        msg = f"{path} has no GeoTIFF assets whose bands are named (eo:bands or bands): give the GeoTIFFs themselves"
        raise SceneError(msg)
    scene = describe_band_files(place, files, choice, access)
    title = str(item.get("id", "")).replace("/", "_").replace("\\", "_").strip(". ")
    return replace(
        scene,
        title=title or None,
        acquired=_acquired(item) or scene.acquired,
        quality=_quality(item, place),
    )


def read_item(place: str) -> dict[str, Any]:
    """Give the JSON of a STAC item.

    Raises
    ------
    SceneError
        If it cannot be read within bounds of size and time, or is no STAC item.
    """
    try:
        item = json.loads(_read_bytes(place))
    except (ValueError, RecursionError) as error:
        msg = f"{place} is not valid JSON ({error}): give a GeoTIFF or a STAC item"
        raise SceneError(msg) from error
    if not isinstance(item, dict) or item.get("type") != "Feature" or not isinstance(item.get("assets"), dict):
        msg = f"{place} is no STAC item (a Feature with assets): give a GeoTIFF or a STAC item"
        raise SceneError(msg)
    return item


def _read_bytes(place: str) -> bytes:
    try:
        if not is_remote(place):
            with Path(place).open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        elif place.startswith(("http://", "https://")):
            with urlopen(place, timeout=PATIENCE) as answer:  # noqa: S310 - http or https
                content = answer.read(MAX_BYTES + 1)
        else:
            msg = f"{place} cannot be read as a STAC item: give its https:// address or download it"
            raise SceneError(msg)
    except (OSError, ValueError, HTTPException) as error:
        if isinstance(error, SceneError):
            raise
        msg = f"{place} cannot be read ({' '.join(str(error).split())}): check the path or address and the network"
        raise SceneError(msg) from error
    if len(content) > MAX_BYTES:
        msg = f"{place} is larger than {MAX_BYTES:,} bytes, which no STAC item is: check the path"
        raise SceneError(msg)
    return content


def _band_files(item: Mapping[str, Any], place: str) -> Iterator[BandFile]:
    found = list(_data_bands(item))
    sensor = _sensor(item)
    given = [_given_names(band, key) for _, _, band, key in found]
    sensors = (sensor,) if sensor is not None else sensors_by_assets([name for names in given for name in names])
    for (asset, number, own, _), texts in zip(found, given, strict=True):
        names = asset_band_names(texts, sensors)
        if names:
            path = _resolve(str(asset.get("href", "")), place)
            nodata, scale, offset = _declared(item, asset, own, number)
            yield BandFile(path=path, number=number, names=names, nodata=nodata, scale=scale, offset=offset)


def _data_bands(item: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], int, Mapping[str, Any], str | None]]:
    """Give the bands of an item: asset, number in it, what is said of it, and the asset's key if it is alone."""
    data = {key: asset for key, asset in item["assets"].items() if isinstance(asset, dict) and _is_data(asset)}
    tiffs = {key: asset for key, asset in data.items() if not _is_jp2(asset)}
    for key, asset in (tiffs or data).items():  # items that have both hold the same bands twice
        bands = asset.get("bands") or asset.get("eo:bands") or []
        if not isinstance(bands, list):
            continue
        if not bands and _DATA & set(asset.get("roles") or ()):
            bands = [{}]
        for number, band in enumerate(bands, start=1):
            yield asset, number, band if isinstance(band, dict) else {}, key if len(bands) == 1 else None


def _is_data(asset: Mapping[str, Any]) -> bool:
    """Tell whether an asset is a raster of measurements, and no picture of them."""
    roles = asset.get("roles") or []
    return _is_raster(asset) and (not roles or bool(_DATA & set(map(str, roles))))


def _is_raster(asset: Mapping[str, Any]) -> bool:
    """Tell whether an asset is a GeoTIFF or a JPEG 2000 file."""
    media, href = str(asset.get("type", "")).lower(), urlsplit(str(asset.get("href", ""))).path.lower()
    return ("tiff" in media or "jp2" in media) if media else href.endswith((".tif", ".tiff", ".jp2"))


def _is_jp2(asset: Mapping[str, Any]) -> bool:
    media, href = str(asset.get("type", "")).lower(), urlsplit(str(asset.get("href", ""))).path.lower()
    return "jp2" in media or href.endswith(".jp2")


def _given_names(band: Mapping[str, Any], key: str | None) -> list[str]:
    """Give what an item calls a band: its common name first, then its own, then its asset's."""
    given = [band.get("eo:common_name"), band.get("common_name"), band.get("name"), key]
    return [str(name) for name in given if name]


def _declared(
    item: Mapping[str, Any], asset: Mapping[str, Any], band: Mapping[str, Any], number: int
) -> tuple[float | None, float | None, float | None]:
    """Give nodata value, scale and offset that an item declares of a band: in it, in raster:bands, or for the asset."""
    raster = asset.get("raster:bands")
    other = raster[number - 1] if isinstance(raster, list) and len(raster) >= number else {}
    places = [band, other if isinstance(other, dict) else {}, asset]

    def find(name: str) -> float | None:
        told = (place.get(key) for place in places for key in (name, f"raster:{name}"))
        return next((number for value in told if (number := _number(value)) is not None), None)

    scale, offset = find("scale"), find("offset")
    properties = item.get("properties")
    if isinstance(properties, dict) and properties.get("earthsearch:boa_offset_applied") is True:
        offset = None if scale is None else 0.0  # the numbers have lost it already
    if scale is None and offset is None:
        return find("nodata"), None, None
    return find("nodata"), 1.0 if scale is None else scale, 0.0 if offset is None else offset


def _number(value: object) -> float | None:
    """Give a number that JSON may hold as one or, where it has none, as the text nan, inf or -inf."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _quality(item: Mapping[str, Any], place: str) -> tuple[tuple[str, str], ...]:
    """Give the quality rasters among an item's assets by kind."""
    kinds = {"scl": "scl", "qa_pixel": "qa_pixel", "qa": "qa_pixel", "fmask": "fmask"}
    assets = ((kinds.get(str(key).lower()), asset) for key, asset in item["assets"].items())
    return tuple(
        (kind, _resolve(str(asset.get("href", "")), place))
        for kind, asset in assets
        if kind is not None and isinstance(asset, dict) and _is_raster(asset)
    )


def _sensor(item: Mapping[str, Any]) -> Sensor | None:
    """Give the sensor that an item's properties, collection or name tell."""
    properties = item.get("properties")
    told = tagged_sensor(properties if isinstance(properties, dict) else {})
    return told or named_sensor(str(item.get("collection") or ""), str(item.get("id") or ""))


def _resolve(href: str, place: str) -> str:
    """Give where an asset lies, seen from its item; a file asset of a remote item stays on that server."""
    if is_remote(href):
        return href
    if is_remote(place):
        return urljoin(place, href)
    return str(Path(place).parent / unquote(href)) if href else place


def _acquired(item: Mapping[str, Any]) -> str | None:
    """Give an item's time as ISO 8601 in UTC to the second: its datetime, else the interval from its start to its end.

    A time without a zone is taken for UTC, as STAC wants it.
    """
    properties = item.get("properties")
    if not isinstance(properties, dict):
        return None
    time, start, end = (utc_text(properties.get(name)) for name in ("datetime", "start_datetime", "end_datetime"))
    if time is not None or start is None or end is None or start == end:
        return time or start or end
    return f"{start}/{end}"
