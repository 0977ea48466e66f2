"""What a Landsat product's metadata file (``…_MTL.txt``, ``.json``, ``.xml``) says of its bands.

References
----------
Landsat Collection 2 data dictionary; Landsat 8–9 Collection 2 Level 2 Science Product Guide.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

from segflow.errors import SceneError
from segflow.io.inputs.product_files import MAX_BYTES
from segflow.io.inputs.times import utc_text
from segflow.io.inputs.xml_text import parse_xml

Groups = Mapping[str, Mapping[str, str]]
Meaning = tuple[float, float]  # scale and offset

_LEVEL2 = {"SR": (2.75e-05, -0.2), "ST": (0.00341802, 149.0)}  # of Collection 2, the same for all sensors
_BAND = re.compile(r"_(SR_|ST_)?B(\d{1,2})$", re.IGNORECASE)
_LINE = re.compile(r"^\s*(\w+)\s*=\s*(.+?)\s*$")


def read_mtl(folder: Path) -> Groups:
    """Give the groups of a product's metadata; none where the folder has no such file.

    Raises
    ------
    SceneError
        If it has one that cannot be read.
    """
    found = sorted(path for path in folder.iterdir() if re.search(r"_MTL\.(json|xml|txt)$", path.name, re.IGNORECASE))
    if not found:
        return {}
    path = found[0]
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES)
        kind = path.suffix.lower()
        groups = _json(content) if kind == ".json" else _xml(content) if kind == ".xml" else _text(content)
    except (OSError, ValueError, RecursionError, AttributeError) as error:
        msg = f"{path} cannot be read ({' '.join(str(error).split())}): copy or download the product again"
        raise SceneError(msg) from error
    if not groups:
        msg = f"{path} holds no groups of metadata: copy or download the product again"
        raise SceneError(msg)
    return groups


def band_meaning(groups: Groups, stem: str) -> Meaning | None:
    """Give scale and offset of the band in a file: of reflectance, or of temperature [K]; None where nothing tells.

    Where the metadata do not tell, those of Collection 2, Level 2, if the file's name says that it is such a band.

    Raises
    ------
    SceneError
        If the metadata hold something else than numbers there.
    """
    match = _BAND.search(stem)
    if match is None:
        return None
    kind, number = (match[1] or "").upper().rstrip("_"), match[2].lstrip("0")
    keys = {
        "SR": ("LEVEL2_SURFACE_REFLECTANCE_PARAMETERS", f"REFLECTANCE_{{}}_BAND_{number}"),
        "ST": ("LEVEL2_SURFACE_TEMPERATURE_PARAMETERS", f"TEMPERATURE_{{}}_BAND_ST_B{number}"),
        "": ("RADIOMETRIC_RESCALING", f"REFLECTANCE_{{}}_BAND_{number}"),
    }
    group, key = keys[kind]
    told = groups.get(group) or groups.get(f"LEVEL1_{group}") or {}
    scale, offset = told.get(key.format("MULT")), told.get(key.format("ADD"))
    if scale is None or offset is None:
        return _LEVEL2[kind] if kind and "_L2S" in stem.upper() else None
    try:
        meaning = float(scale), float(offset)
    except ValueError:
        meaning = (math.nan, math.nan)
    if not (math.isfinite(meaning[0]) and meaning[0] > 0 and math.isfinite(meaning[1])):
        msg = f"{stem}: the product's MTL file gives scale {scale} and offset {offset}, which are none: copy it again"
        raise SceneError(msg)
    return meaning


def acquired_at(groups: Groups) -> str | None:
    """Give when the scene was taken, ISO 8601 in UTC."""
    date, time = (_find(groups, key) for key in ("DATE_ACQUIRED", "SCENE_CENTER_TIME"))
    return None if date is None else utc_text(f"{date}T{(time or '00:00:00')[:8]}Z")


def is_level1(groups: Groups) -> bool:
    """Tell whether a product's metadata say that its bands are top-of-atmosphere reflectance."""
    return (_find(groups, "PROCESSING_LEVEL") or _find(groups, "DATA_TYPE") or "").upper().startswith("L1")


def spacecraft(groups: Groups) -> str:
    """Give the name of the satellite, ``LANDSAT_9``; empty where nothing tells."""
    return _find(groups, "SPACECRAFT_ID") or ""


def _find(groups: Groups, key: str) -> str | None:
    return next((group[key] for group in groups.values() if key in group), None)


def _json(content: bytes) -> dict[str, dict[str, str]]:
    (root,) = json.loads(content).values()
    return {name: {key: str(value) for key, value in group.items()} for name, group in root.items()}


def _xml(content: bytes) -> dict[str, dict[str, str]]:
    return {group.tag: {each.tag: (each.text or "").strip() for each in group} for group in parse_xml(content)}


def _text(content: bytes) -> dict[str, dict[str, str]]:
    groups: dict[str, dict[str, str]] = {}
    inside: list[str] = []
    for line in content.decode("utf-8", "replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        key, value = match[1], match[2].strip('"')
        if key == "GROUP":
            inside.append(value)
        elif key == "END_GROUP":
            inside = inside[:-1]
        elif inside:
            groups.setdefault(inside[-1], {})[key] = value
    return groups
