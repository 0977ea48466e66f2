"""Class rasters of any origin: what their values stand for, and whether they can be vectorised."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import rasterio
from rasterio.enums import ColorInterp

from segflow.errors import SceneError, SceneMismatchError
from segflow.io.raster.sidecars import aux_path
from segflow.io.scene.gdal import DRIVER, gdal_env, scene_errors
from segflow.io.scene.scenes import describe_scene
from segflow.tiling import NODATA, Grid

Rgb = tuple[int, int, int]

MOST = 255  # classes; the 256th code is nodata
LARGEST_SIDECAR = 2**20  # bytes

# Colours for classes without one: light to dark in turn, told apart without full colour vision (Okabe and Ito, 2008).
PALETTE: tuple[Rgb, ...] = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (213, 94, 0),
    (86, 180, 233),
    (204, 121, 167),
    (240, 228, 66),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRaster:
    """A class raster as its file describes it.

    Attributes
    ----------
    path
        Where it lies.
    grid
        Its grid.
    dtype
        NumPy name of its type, a whole number.
    nodata
        The value outside the data, or None.
    names
        Names of values, from a raster attribute table or category names.
    colours
        Colours of values, from the same table or the colour table.
    """

    path: Path
    grid: Grid
    dtype: str
    nodata: int | None
    names: Mapping[int, str]
    colours: Mapping[int, Rgb]

    @property
    def plain(self) -> bool:
        """Whether its values are classes as segflow writes them: 255 is nodata, the others are classes."""
        return self.dtype == "uint8" and self.nodata == NODATA

    def colour(self, value: int) -> Rgb:
        """Give the colour of a value."""
        return self.colours.get(value) or PALETTE[value % len(PALETTE)]


def describe_classes(path: str | os.PathLike[str]) -> ClassRaster:
    """Give what a class raster says about itself.

    Raises
    ------
    SceneError
        If it cannot be opened, is no GeoTIFF, has several bands or is no raster of whole numbers.
    """
    info = describe_scene(path)
    if len(info.bands) != 1:
        msg = f"{path} has {len(info.bands)} bands, but a class raster has one: extract it with gdal_translate -b"
        raise SceneMismatchError(msg)
    if np.dtype(info.dtype).kind not in "iu":
        msg = (
            f"{path} holds {info.dtype} values, but classes are whole numbers: "
            "classify it first, or convert it with gdal_translate -ot Byte"
        )
        raise SceneMismatchError(msg)
    names, colours = _sidecar(Path(path))
    nodata = info.bands[0].nodata
    return ClassRaster(
        path=Path(info.path),
        grid=info.grid,
        dtype=info.dtype,
        nodata=None if nodata is None or nodata != int(nodata) else int(nodata),
        names=names,
        colours={**_colour_table(path), **colours},
    )


def check_confidence(path: str | os.PathLike[str], grid: Grid) -> Path:
    """Give the path of a confidence raster that fits a class raster.

    Raises
    ------
    SceneError
        If it cannot be opened, is not uint8 or has another grid.
    """
    info = describe_scene(path)
    if info.dtype != "uint8" or len(info.bands) != 1 or info.grid.shape != grid.shape:
        msg = (
            f"{path} has {len(info.bands)} band(s) of {info.dtype} and shape {info.grid.shape}, but confidences need "
            f"one of uint8 (percent) and the shape {grid.shape} of the class raster: choose another --confidence"
        )
        raise SceneMismatchError(msg)
    if not info.grid.transform.almost_equals(grid.transform, precision=1e-6 * abs(grid.pixel_area) ** 0.5):
        msg = f"{path} lies elsewhere than the class raster: choose another --confidence"
        raise SceneMismatchError(msg)
    return Path(info.path)


def code_values(path: Path, values: np.ndarray, nodata: int | None) -> tuple[tuple[int, int], ...]:
    """Give a code from 0 to 254 for each value of a class raster, nodata apart; a small value is its own code.

    Raises
    ------
    SceneMismatchError
        If there are too many.
    """
    classes = [int(value) for value in values if value != nodata]
    if len(classes) > MOST:
        msg = (
            f"{path} has {len(classes):,} values, but at most {MOST} can be classes: "
            "is it a class raster? reclassify it first"
        )
        raise SceneMismatchError(msg)
    codes = {value: value for value in classes if 0 <= value < NODATA}
    free = (code for code in range(NODATA) if code not in codes)
    codes.update({value: next(free) for value in classes if value not in codes})
    return tuple(sorted(codes.items()))


def _colour_table(path: str | os.PathLike[str]) -> dict[int, Rgb]:
    """Give the colours of the values in the file's own colour table."""
    errors = scene_errors(os.fspath(path), "reading the colour table", "copy the file again")
    with gdal_env(), errors, rasterio.open(path, driver=DRIVER) as dataset:
        if dataset.colorinterp[0] is not ColorInterp.palette:
            return {}
        return {int(value): rgba[:3] for value, rgba in dataset.colormap(1).items()}


def _sidecar(path: Path) -> tuple[dict[int, str], dict[int, Rgb]]:
    """Give names and colours from the `.aux.xml` beside a raster; nothing else in it is heeded."""
    file = aux_path(path)
    try:
        if not file.is_file() or file.stat().st_size > LARGEST_SIDECAR:
            return {}, {}
        root = ET.fromstring(file.read_bytes())  # noqa: S314  # small; expat bounds the growth of entities
    except (OSError, ET.ParseError) as error:
        msg = f"{file} cannot be read ({error}): repair or remove it"
        raise SceneError(msg) from error
    categories = [element.text or "" for element in root.iterfind(".//CategoryNames/Category")]
    names = {value: name for value, name in enumerate(categories) if name}
    table = root.find(".//GDALRasterAttributeTable")
    return (names, {}) if table is None else _table(table, names)


def _table(table: ET.Element, names: dict[int, str]) -> tuple[dict[int, str], dict[int, Rgb]]:
    """Read a raster attribute table; its columns are told by their usage."""
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
                names[value] = cells[place["2"]]
            if {"6", "7", "8"} <= place.keys():
                red, green, blue = (int(float(cells[place[use]])) for use in "678")
                colours[value] = red, green, blue
        except (ValueError, IndexError):
            continue  # a row that says nothing about a value
    return names, colours
