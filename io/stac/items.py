"""The STAC item of a finished map: what was made, where it lies, from what and by which model."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyproj
from pyproj.exceptions import ProjError

from segflow.io.raster.sidecars import LegendEntry
from segflow.io.stac.classification import class_objects
from segflow.io.stac.footprints import footprint
from segflow.io.storage.files import sha256_file, write_text
from segflow.tiling import NODATA, Grid

STAC_VERSION = "1.1.0"
EXTENSIONS = tuple(
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in ("classification/v2.0.0", "file/v2.1.0", "processing/v1.2.0", "projection/v2.0.0", "raster/v2.0.0")
)
# An item must have a time; one of a scene whose time is unknown says "any".
ANY_TIME = {"start_datetime": "0001-01-01T00:00:00Z", "end_datetime": "9999-12-31T23:59:59Z"}

_SHA256 = "1220"  # multihash: the function's number and the digest's length


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterContent:
    """What the pixels of a raster mean.

    Attributes
    ----------
    bands
        Names of its bands.
    scale
        What a pixel is multiplied by to give its meaning, or None.
    classes
        The classes that its values stand for; empty if they are quantities.
    """

    bands: tuple[str, ...]
    scale: float | None = None
    classes: tuple[LegendEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemAsset:
    """One product that the item lists.

    Attributes
    ----------
    key
        Its key among the assets.
    name
        Name of its file, in the item's folder.
    media_type, roles, title
        What it is, as STAC says it.
    sha256
        Digest of its content, 64 hex digits.
    size
        Its size [bytes].
    content
        What its pixels mean, if it is a raster.
    """

    key: str
    name: str
    media_type: str
    roles: tuple[str, ...]
    title: str
    sha256: str
    size: int
    content: RasterContent | None = None

    @classmethod
    def of(
        cls,
        path: str | os.PathLike[str],
        *,
        key: str,
        media_type: str,
        roles: tuple[str, ...],
        title: str,
        content: RasterContent | None = None,
    ) -> "ItemAsset":
        """Describe a file.

        Raises
        ------
        OutputError
            If it cannot be read.
        """
        return cls(
            key=key,
            name=Path(path).name,
            media_type=media_type,
            roles=roles,
            title=title,
            sha256=sha256_file(path),
            size=Path(path).stat().st_size,
            content=content,
        )


def build_item(
    *,
    name: str,
    grid: Grid,
    assets: Sequence[ItemAsset],
    scene_hrefs: Sequence[str],
    model_href: str | None = None,
    acquired: str | None = None,
    gsd: float | None = None,
    software: Mapping[str, str] | None = None,
    lineage: str | None = None,
    properties: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Give the STAC item of a map.

    Parameters
    ----------
    name
        Its id.
    grid
        Grid of its rasters.
    assets
        Its products.
    scene_hrefs, model_href
        Where the files of the scene, and the STAC item of the model, lie.
    acquired
        When the scene was taken, ISO 8601 in UTC; None if that is not known.
    gsd
        Ground sampling distance [m].
    software
        Versions by name.
    lineage
        How the map came to be, in a sentence.
    properties
        What else the item says.
    """
    place = footprint(grid)
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": list(EXTENSIONS),
        "id": name,
        "geometry": place.geometry if place else None,
        "properties": {
            **(properties or {}),
            **_time(acquired),
            **_projection(grid),
            **({} if gsd is None else {"gsd": gsd}),
            **({} if lineage is None else {"processing:lineage": lineage}),
            "processing:software": dict(software or {}),
        },
        "links": _links(scene_hrefs, model_href),
        "assets": {asset.key: _asset(asset) for asset in assets},
    }
    return {**item, "bbox": list(place.bbox)} if place else item


def write_item(path: str | os.PathLike[str], item: Mapping[str, Any]) -> None:
    """Write an item as JSON that is the same for the same item.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    write_text(path, json.dumps(item, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def crs_code(wkt: str) -> str | None:
    """Give ``AUTHORITY:CODE`` of a CRS where that is certain, else None."""
    try:
        found = pyproj.CRS.from_wkt(wkt).to_authority(min_confidence=100)
    except ProjError:
        return None
    return ":".join(found) if found else None


def _time(acquired: str | None) -> dict[str, Any]:
    """Give when a scene was taken, ISO 8601 in UTC; an interval as its start and end."""
    start, mark, end = (acquired or "").partition("/")
    if mark:
        return {"datetime": None, "start_datetime": start, "end_datetime": end}
    return {"datetime": acquired} if acquired else {"datetime": None, **ANY_TIME}


def _projection(grid: Grid) -> dict[str, Any]:
    code = crs_code(grid.crs) if grid.crs else None
    wkt = {} if code or not grid.crs else {"proj:wkt2": _wkt2(grid.crs)}
    return {
        "proj:code": code,
        **wkt,
        "proj:shape": list(grid.shape),
        "proj:transform": list(grid.transform)[:6],
        "proj:bbox": list(grid.bounds),
    }


def _wkt2(wkt: str) -> str:
    """Give a CRS in WKT 2, or as it is where PROJ cannot say it."""
    try:
        return str(pyproj.CRS.from_wkt(wkt).to_wkt("WKT2_2019"))
    except ProjError:
        return wkt


def _links(scenes: Sequence[str], model: str | None) -> list[dict[str, str]]:
    links = [{"rel": "derived_from", "href": scene, **_media(scene), "title": "Scene"} for scene in scenes]
    if model is not None:
        links.append({"rel": "mlm:model", "href": model, "type": "application/geo+json", "title": "Model"})
    return links


def _media(scene: str) -> dict[str, str]:
    """Give the media type of what a scene was given as; a folder and a VRT have none."""
    end = scene.partition("?")[0].lower().rpartition(".")[2]
    types = {"tif": "image/tiff; application=geotiff", "json": "application/geo+json"}
    return {"type": types[kind]} if (kind := end.replace("tiff", "tif")) in types else {}


def _asset(asset: ItemAsset) -> dict[str, Any]:
    return {
        "href": f"./{quote(asset.name)}",
        "type": asset.media_type,
        "title": asset.title,
        "roles": list(asset.roles),
        "file:checksum": _SHA256 + asset.sha256,
        "file:size": asset.size,
        **({} if asset.content is None else _content(asset.content)),
    }


def _content(content: RasterContent) -> dict[str, Any]:
    """Say what the pixels of a raster mean."""
    scale = {} if content.scale is None else {"raster:scale": content.scale}
    bands = [{**_band(name), **scale} for name in content.bands]
    classes = {"classification:classes": class_objects(content.classes)} if content.classes else {}
    return {"bands": bands, **classes}


def _band(name: str) -> dict[str, Any]:
    return {"name": name, "data_type": "uint8", "nodata": NODATA, "raster:sampling": "area"}
