"""The STAC item of a finished map: what was made, where it lies, from what and by which model."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pyproj
from pyproj.exceptions import ProjError

from segflow.io.raster.sidecars import LegendEntry
from segflow.io.stac.footprints import footprint
from segflow.io.storage.files import sha256_file, write_text
from segflow.tiling import NODATA, Grid

AssetKind = Literal["classes", "confidence", "probabilities", "vectors", "report", "sidecar"]

STAC_VERSION = "1.1.0"
EXTENSIONS = tuple(
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in ("classification/v2.0.0", "file/v2.1.0", "processing/v1.2.0", "projection/v2.0.0", "raster/v2.0.0")
)
# An item must have a time; one of a scene whose time is unknown says "any".
ANY_TIME = {"start_datetime": "0001-01-01T00:00:00Z", "end_datetime": "9999-12-31T23:59:59Z"}

_COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_SHA256 = "1220"  # multihash: the function's number and the digest's length
_KINDS: dict[AssetKind, tuple[str, list[str], str]] = {
    "classes": (_COG, ["data"], "Class of every pixel"),
    "confidence": (_COG, ["data"], "Probability of that class [%]"),
    "probabilities": (_COG, ["data"], "Probability of every class"),
    "vectors": ("application/geopackage+sqlite3", ["data"], "Classes as vectors"),
    "report": ("text/html", ["overview"], "Report to look at"),
    "sidecar": ("application/xml", ["metadata"], "Legend for GIS"),
}
_SCALES = {"confidence": 1 / 100, "probabilities": 1 / 200}  # of a step, to a probability


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemAsset:
    """One product that the item lists.

    Attributes
    ----------
    key
        Its key among the assets.
    name
        Name of its file, in the item's folder.
    kind
        What it holds.
    sha256
        Digest of its content, 64 hex digits.
    size
        Its size [bytes].
    """

    key: str
    name: str
    kind: AssetKind
    sha256: str
    size: int

    @classmethod
    def of(cls, path: str | os.PathLike[str], kind: AssetKind, key: str | None = None) -> "ItemAsset":
        """Describe a file, by default under its kind as key.

        Raises
        ------
        OutputError
            If it cannot be read.
        """
        digest = sha256_file(path)
        return cls(key=key or kind, name=Path(path).name, kind=kind, sha256=digest, size=Path(path).stat().st_size)


def build_item(
    *,
    name: str,
    grid: Grid,
    assets: Sequence[ItemAsset],
    legend: Sequence[LegendEntry],
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
    legend
        Its classes.
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
        "assets": {asset.key: _asset(asset, legend) for asset in assets},
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


def _asset(asset: ItemAsset, legend: Sequence[LegendEntry]) -> dict[str, Any]:
    media, roles, title = _KINDS[asset.kind]
    return {
        "href": f"./{quote(asset.name)}",
        "type": media,
        "title": title,
        "roles": roles,
        "file:checksum": _SHA256 + asset.sha256,
        "file:size": asset.size,
        **_content(asset.kind, legend),
    }


def _content(kind: AssetKind, legend: Sequence[LegendEntry]) -> dict[str, Any]:
    """Say what the pixels of a raster mean."""
    if kind == "classes":
        return {"bands": [_band("class")], "classification:classes": class_objects(legend)}
    if kind == "confidence":
        return {"bands": [{**_band("confidence"), "raster:scale": _SCALES[kind]}]}
    if kind == "probabilities":
        return {"bands": [{**_band(entry.name), "raster:scale": _SCALES[kind]} for entry in legend]}
    return {}


def _band(name: str) -> dict[str, Any]:
    return {"name": name, "data_type": "uint8", "nodata": NODATA, "raster:sampling": "area"}


def class_objects(legend: Sequence[LegendEntry], *, nodata: bool = True) -> list[dict[str, Any]]:
    """Give the classes as the classification extension writes them, its names being plain words.

    Parameters
    ----------
    legend
        The classes.
    nodata
        Whether the value of pixels outside the data is one of them.
    """
    classes: list[dict[str, Any]] = []
    for entry in legend:
        word = re.sub(r"[^0-9A-Za-z_-]+", "-", entry.name).strip("-")
        if not word or word in {known["name"] for known in classes}:
            word = f"{word or 'class'}-{entry.value}"
        colour = bytes(entry.rgb).hex().upper()
        classes.append({"value": entry.value, "name": word, "title": entry.name, "color_hint": colour})
    if not nodata:
        return classes
    return [*classes, {"value": NODATA, "name": "nodata", "title": "No data", "nodata": True}]
