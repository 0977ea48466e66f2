"""Sentinel-2 products as they are delivered: ``.SAFE`` folders and their zip archives, Level-1C and Level-2A.

Bands declare their scale and offset (``BOA_ADD_OFFSET`` and the like), 0 is nodata, and the scene classification of
Level-2A is there for ``--mask scl``. A model of display values gets the true-colour image (TCI).

References
----------
Sentinel-2 Products Specification Document, issue 15, "Product metadata", "True Colour Image".
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree.ElementTree import Element

from segflow.errors import SceneError, SceneMismatchError
from segflow.io.inputs.band_files import BandChoice, BandFile, describe_band_files
from segflow.io.inputs.product_files import ProductFiles
from segflow.io.inputs.times import utc_text
from segflow.io.inputs.xml_text import find_elements, find_text, parse_xml
from segflow.io.names.sensors import MSI, TCI_MEANING
from segflow.io.scene.access import Access
from segflow.io.scene.info import SceneInfo

ENDING = ".SAFE"
_METADATA = re.compile(r"^MTD_MSI(L1C|L2A)\.xml$")
_IMAGE = re.compile(r"IMG_DATA/(?:R\d\dm/)?[^/]*_(B\d\d|B8A|TCI|SCL)(?:_(\d\d)m)?\.jp2$", re.IGNORECASE)
_BAND_IDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
_OWN = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "TCI": 10, "B01": 60, "B09": 60, "B10": 60}  # others: 20 m
_QUANTIFICATION = {  # the second: sen2cor before baseline 02.07
    "L2A": ("BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE"), "L1C": ("QUANTIFICATION_VALUE",),
}  # fmt: skip
_RGB = ("red", "green", "blue")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Product:
    """What a product's metadata say: level, time, and scale and offset by band."""

    files: ProductFiles
    level: str
    acquired: str | None
    meanings: Mapping[str, tuple[float, float]]


def find_safe(path: Path) -> Path | None:
    """Give the folder or archive of the product that a path means: itself, its metadata, or the only one in it."""
    if path.suffix.lower() == ".xml" and _METADATA.match(path.name):
        return path.parent
    if path.suffix.lower() == ".zip":
        return path
    if not path.is_dir():
        return None
    if path.suffix.upper() == ENDING or any(_METADATA.match(each.name) for each in path.glob("MTD_MSI*.xml")):
        return path
    inside = [each for each in path.iterdir() if each.suffix.upper() == ENDING and each.is_dir()]
    return inside[0] if len(inside) == 1 else None


def describe_safe(path: Path, choice: BandChoice, access: Access) -> SceneInfo:
    """Describe a Sentinel-2 product as one scene that has the product's name.

    The bands are those of the finest resolution at which all that are wanted are there.

    Raises
    ------
    SceneError
        If the product is incomplete or cannot be read.
    SceneMismatchError
        If a wanted band is not there, or not at one resolution with the others.
    """
    files = ProductFiles.in_archive(path, ENDING) if path.is_file() else ProductFiles.in_folder(path)
    product = _read_product(files)
    images = _images(files)
    local = replace(access, remote=False)
    found = describe_band_files(str(files.path), _choose(product, images, choice), choice, local)
    scl = next((place for (name, _), place in sorted(images.items(), key=str) if name == "SCL"), None)
    return replace(
        found,
        title=re.sub(rf"{re.escape(ENDING)}$", "", files.name.rpartition("/")[2], flags=re.IGNORECASE),
        acquired=product.acquired or found.acquired,
        quality=() if scl is None else (("scl", files.place(scl)),),
    )


def _read_product(files: ProductFiles) -> _Product:
    name = next((name for name in files.names if _METADATA.match(name)), None)
    if name is None:
        msg = f"{files.path} lacks MTD_MSIL2A.xml or MTD_MSIL1C.xml: is it a whole Sentinel-2 product? copy it again"
        raise SceneError(msg)
    level = _METADATA.match(name)[1]  # type: ignore[index]  # it has just matched
    try:
        root = parse_xml(files.read(name))
        meanings = _meanings(root, level)
    except ValueError as error:
        msg = f"{files.place(name)} cannot be read ({error}): copy or download the product again"
        raise SceneError(msg) from error
    time = find_text(root, "PRODUCT_START_TIME")
    return _Product(files=files, level=level, acquired=utc_text(time), meanings=meanings)


def _meanings(root: Element, level: str) -> dict[str, tuple[float, float]]:
    """Give scale and offset of every band: reflectance = (number + offset) / quantification value."""
    texts = (find_text(root, name) for name in _QUANTIFICATION[level])
    value = float(next((text for text in texts if text is not None), "nan"))
    if not 0 < value < math.inf:
        msg = "it has no quantification value"
        raise ValueError(msg)
    scale = 1 / value
    offsets = {
        int(element.attrib["band_id"]): float(element.text or "0")
        for element in find_elements(root, "BOA_ADD_OFFSET" if level == "L2A" else "RADIO_ADD_OFFSET")
        if element.attrib.get("band_id", "").isdecimal()
    }
    if not all(map(math.isfinite, offsets.values())):
        msg = "it has an offset that is no number"
        raise ValueError(msg)
    return {band: (scale, offsets.get(number, 0.0) * scale) for number, band in enumerate(_BAND_IDS)}


def _images(files: ProductFiles) -> dict[tuple[str, int], str]:
    """Give the images by name and resolution [m]."""
    found: dict[tuple[str, int], str] = {}
    granules: set[str] = set()
    for name in files.names:
        match = _IMAGE.search(name)
        if match and not name.rpartition("/")[2].startswith("."):  # such as ._T20LQR_…, which some systems add
            granules.add(name.partition("/IMG_DATA/")[0])
            image = match[1].upper()
            found[image, int(match[2] or _OWN.get(image, 20))] = name
    if not found:
        msg = f"{files.path} lacks its images (GRANULE/…/IMG_DATA/….jp2): the product is incomplete, copy it again"
        raise SceneError(msg)
    if len(granules) > 1:
        msg = (
            f"{files.path} has {len(granules)} granules ({', '.join(sorted(granules)[:3])}, …), as products before "
            "December 2016 had: give the bands of one of them as a folder, or mosaic them first (gdalbuildvrt)"
        )
        raise SceneError(msg)
    return found


def _choose(product: _Product, images: Mapping[tuple[str, int], str], choice: BandChoice) -> list[BandFile]:
    files = product.files
    tci = images.get(("TCI", 10))
    shows = choice.display and choice.chosen is None and set(choice.wanted) <= set(_RGB)
    if shows and tci is not None:
        scale, offset = TCI_MEANING if product.level == "L2A" else (None, None)
        place = files.place(tci)
        return [
            BandFile(path=place, number=number, names=(name,), nodata=0, scale=scale, offset=offset)
            for number, name in enumerate(_RGB, start=1)
        ]
    if choice.display and product.level == "L1C":
        msg = (
            f"{files.path} lacks its true-colour image (…_TCI.jp2), and top-of-atmosphere reflectance is not what the "
            "model's display values mean: copy the whole product, give Level-2A, or stretch with --rescale LOW:HIGH"
        )
        raise SceneMismatchError(msg)
    by_resolution = {
        resolution: [
            _band_file(product, name, place) for (name, size), place in images.items()
            if size == resolution and name in product.meanings
        ]
        for resolution in (10, 20, 60)
    }  # fmt: skip
    asked = {str(each).lower() for each in (choice.chosen or choice.wanted)}
    for found in by_resolution.values():
        if found and all(each.isdigit() or any(each in band.names for band in found) for each in asked):
            return found
    return _refuse(files, by_resolution, asked)


def _band_file(product: _Product, name: str, place: str) -> BandFile:
    scale, offset = product.meanings[name]
    number = name[1:].lstrip("0")
    names = (*MSI.bands[number], name.lower(), f"b{number.lower()}")
    return BandFile(
        path=product.files.place(place),
        number=1,
        names=tuple(dict.fromkeys(names)),
        nodata=0,
        scale=scale,
        offset=offset,
    )


def _refuse(files: ProductFiles, bands: Mapping[int, list[BandFile]], asked: set[str]) -> list[BandFile]:
    there = "; ".join(
        f"at {resolution} m {', '.join(band.names[0] for band in found)}"
        for resolution, found in bands.items()
        if found
    )
    msg = (
        f"{files.path} does not have {', '.join(sorted(asked))} at one resolution ({there}): choose a model of bands "
        "that are, or resample them to one grid first (gdalwarp) and give the files"
    )
    raise SceneMismatchError(msg)
