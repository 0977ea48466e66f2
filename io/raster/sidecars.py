"""Sidecars of a raster for GIS: `.aux.xml` (GDAL's names and table of values) and `.qml` (QGIS's legend)."""

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from segflow.io.raster.maps import open_map
from segflow.io.raster.styles import Rgb, confidence_qml, palette_qml
from segflow.io.storage.files import write_text


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendEntry:
    """One class as the legend shows it.

    Attributes
    ----------
    value
        Its value in the raster.
    name
        Its name.
    rgb
        Its colour: (red, green, blue), each 0–255.
    """

    value: int
    name: str
    rgb: Rgb

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", unicodedata.normalize("NFC", self.name))


# Numbers of GDAL's enumerations in a raster attribute table: field types and usages (gdal.h: GDALRATFieldType, …Usage).
_INTEGER, _STRING = "0", "2"
_COLUMNS = (
    ("Value", _INTEGER, "5"),  # GFU_MinMax
    ("Class", _STRING, "2"),  # GFU_Name
    ("Red", _INTEGER, "6"),
    ("Green", _INTEGER, "7"),
    ("Blue", _INTEGER, "8"),
)
_THEMATIC = "thematic"


def write_class_attributes(_raster: Path, path: Path, legend: Sequence[LegendEntry]) -> None:
    """Write the `.aux.xml` of a class raster.

    Parameters
    ----------
    _raster
        The raster; GDAL finds the file by its name beside it.
    path
        The file to write.
    legend
        The classes.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    write_text(path, class_aux(legend))


def write_class_legend(_raster: Path, path: Path, legend: Sequence[LegendEntry]) -> None:
    """Write the `.qml` of a class raster; see `write_class_attributes`."""
    write_text(path, palette_qml([(entry.value, entry.name, entry.rgb) for entry in legend]))


def write_confidence_legend(raster: Path, path: Path, _legend: Sequence[LegendEntry]) -> None:
    """Write the `.qml` of a confidence raster: a ramp from 0 to 100 %.

    QGIS multiplies pixels by the raster's scale before it colours them, so the ramp does too.

    Parameters
    ----------
    raster
        The finished raster.
    path
        The file to write.
    _legend
        The classes, which the ramp does not show.

    Raises
    ------
    OutputError
        If it cannot be written.
    DamagedError
        If the raster cannot be read.
    """
    with open_map(raster) as reader:
        scale = reader.dataset.scales[0]
    write_text(path, confidence_qml(scale))


def write_uncertainty_legend(_raster: Path, path: Path, _legend: Sequence[LegendEntry]) -> None:
    """Write the `.qml` of an uncertainty raster: a ramp from 0, dark and sure, to 1, bright and doubtful.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    write_text(path, confidence_qml(1 / 100))  # the ramp counts in percent, what the raster states is a share


def aux_path(raster: str | os.PathLike[str]) -> Path:
    """Give where GDAL looks for a raster's `.aux.xml`."""
    return Path(raster).with_name(f"{Path(raster).name}.aux.xml")


def class_aux(legend: Sequence[LegendEntry]) -> str:
    """Give the `.aux.xml` of a class raster: category names by value, and a raster attribute table."""
    root = ET.Element("PAMDataset")
    band = ET.SubElement(root, "PAMRasterBand", {"band": "1"})
    names = {entry.value: entry.name for entry in legend}
    categories = ET.SubElement(band, "CategoryNames")
    for value in range(max(names, default=-1) + 1):  # names count from 0; a value without a class has an empty one
        ET.SubElement(categories, "Category").text = names.get(value, "")
    table = ET.SubElement(band, "GDALRasterAttributeTable", {"tableType": _THEMATIC})
    for index, (name, kind, usage) in enumerate(_COLUMNS):
        column = ET.SubElement(table, "FieldDefn", {"index": str(index)})
        for tag, text in (("Name", name), ("Type", kind), ("Usage", usage)):
            ET.SubElement(column, tag).text = text
    for index, entry in enumerate(legend):
        row = ET.SubElement(table, "Row", {"index": str(index)})
        for cell in (entry.value, entry.name, *entry.rgb):
            ET.SubElement(row, "F").text = str(cell)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"
