"""Names and colours of classes as GDAL keeps them beside a raster: categories and attribute table of `.aux.xml`."""

import unicodedata
from pathlib import Path
from xml.etree import ElementTree as ET

from segflow.errors import SceneError
from segflow.io.raster.sidecars import aux_path
from segflow.io.raster.styles import Rgb

LARGEST_SIDECAR = 2**20  # bytes


def read_attributes(raster: Path) -> tuple[dict[int, str], dict[int, Rgb]]:
    """Give the names and the colours of values that the `.aux.xml` beside a raster holds; all else in it is ignored.

    Raises
    ------
    SceneError
        If it cannot be read as XML.
    """
    file = aux_path(raster)
    try:
        if not file.is_file() or file.stat().st_size > LARGEST_SIDECAR:
            return {}, {}
        root = ET.fromstring(file.read_bytes())  # noqa: S314  # small; expat bounds the growth of entities
    except (OSError, ET.ParseError) as error:
        msg = f"{file} cannot be read ({error}): repair or remove it"
        raise SceneError(msg) from error
    categories = [
        unicodedata.normalize("NFC", element.text or "") for element in root.iterfind(".//CategoryNames/Category")
    ]
    names = {value: name for value, name in enumerate(categories) if name}
    table = root.find(".//GDALRasterAttributeTable")
    return (names, {}) if table is None else _table(table, names)


def _table(table: ET.Element, names: dict[int, str]) -> tuple[dict[int, str], dict[int, Rgb]]:
    """Read a raster attribute table, whose columns say by their usage what they hold."""
    usage = [element.findtext("Usage", "") for element in table.iterfind("FieldDefn")]
    place = {use: index for index, use in enumerate(usage)}
    value_at = place.get("5", place.get("3"))  # GFU_MinMax, GFU_Min
    colours: dict[int, Rgb] = {}
    if value_at is None:
        return names, colours
    for row in table.iterfind("Row"):
        cells = [cell.text or "" for cell in row.iterfind("F")]
        try:
            value = int(float(cells[value_at]))
            if "2" in place and cells[place["2"]]:  # GFU_Name
                names[value] = unicodedata.normalize("NFC", cells[place["2"]])
            if {"6", "7", "8"} <= place.keys():
                red, green, blue = (int(float(cells[place[use]])) for use in "678")
                colours[value] = red, green, blue
        except (ValueError, IndexError):
            continue  # a row without a value
    return names, colours
