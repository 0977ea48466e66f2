"""Class rasters of any origin: what their values stand for, and whether they can be vectorised."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import ColorInterp

from segflow.errors import SceneMismatchError
from segflow.io.inputs.vrt import describe_vrt
from segflow.io.raster.attributes import read_attributes
from segflow.io.raster.styles import Rgb
from segflow.io.scene.access import LOCAL, Access
from segflow.io.scene.crs import same_crs
from segflow.io.scene.gdal import gdal_env, ignore_missing_georeference, scene_errors
from segflow.io.scene.headers import driver_of
from segflow.io.scene.info import SceneInfo
from segflow.io.scene.scenes import describe_scene
from segflow.tiling import NODATA, Grid

MOST = 255  # classes; the 256th code is nodata

# For classes without a colour: told apart without full colour vision too (Okabe and Ito, 2008).
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
    info
        What it says of itself: its grid, and how its valid pixels are told.
    nodata
        The nodata value, or None.
    names
        Names of values, from a raster attribute table or category names.
    colours
        Colours of values, from the same table or the colour table.
    """

    path: Path
    info: SceneInfo
    nodata: int | None
    names: Mapping[int, str]
    colours: Mapping[int, Rgb]

    @property
    def grid(self) -> Grid:
        """Its grid."""
        return self.info.grid

    @property
    def plain(self) -> bool:
        """Whether its values are classes as segflow writes them: 255 is nodata, the others are classes."""
        info = self.info
        masked = info.has_mask or info.alpha is not None or bool(info.stacks)
        return info.dtype == "uint8" and self.nodata == NODATA and not masked

    def colour(self, value: int) -> Rgb:
        """Give the colour of a value."""
        return self.colours.get(value) or PALETTE[value % len(PALETTE)]


def describe_classes(path: str | os.PathLike[str], access: Access = LOCAL, *, role: str = "class raster") -> SceneInfo:
    """Describe a raster that must hold one band of class values.

    Parameters
    ----------
    path
        A GeoTIFF or JPEG 2000, or a VRT of such files.
    access
        How it may be opened.
    role
        What an error calls it.

    Raises
    ------
    SceneError
        If it cannot be opened; `SceneMismatchError` if it has several bands or values that are no whole numbers.
    """
    is_vrt = os.fspath(path).lower().endswith(".vrt")
    info = describe_vrt(path, access) if is_vrt else describe_scene(path, access)
    if len(info.bands) != 1:
        msg = (
            f"{role} {path} has {len(info.bands)} bands, but needs one of class values: "
            "choose the right file, or extract the band with gdal_translate -b"
        )
        raise SceneMismatchError(msg)
    if np.dtype(info.dtype).kind not in "iu":
        msg = (
            f"{role} {path} holds {info.dtype} values, but classes are whole numbers: "
            "classify it first, or convert it with gdalwarp -ot Byte -dstnodata 255"
        )
        raise SceneMismatchError(msg)
    return info


def read_classes(path: str | os.PathLike[str], access: Access = LOCAL) -> ClassRaster:
    """Give what a class raster and its `.aux.xml` say of its classes; errors as in `describe_classes`."""
    info = describe_classes(path, access)
    names, colours = read_attributes(Path(path))
    nodata = info.bands[0].nodata
    return ClassRaster(
        path=Path(info.path),
        info=info,
        nodata=int(nodata) if nodata is not None and math.isfinite(nodata) and nodata == int(nodata) else None,
        names=names,
        colours={**read_colours(info), **colours},
    )


def read_colours(info: SceneInfo) -> dict[int, Rgb]:
    """Give the colours of the values in the file's own colour table, or that of a VRT's first file; may be empty."""
    first = info.stacks[0][0] if info.stacks else None
    path, number = (first.path, first.numbers[0]) if first else (info.path, info.bands[0].number)
    ignore_missing_georeference()
    errors = scene_errors(path, "reading the colour table", "the file is damaged or cut short, copy it again")
    with gdal_env(), errors, rasterio.open(path, driver=driver_of(path), sharing=False) as dataset:
        if dataset.colorinterp[number - 1] is not ColorInterp.palette:
            return {}
        return {int(value): rgba[:3] for value, rgba in dataset.colormap(number).items()}


def check_confidence(path: str | os.PathLike[str], grid: Grid, access: Access = LOCAL) -> Path:
    """Give the path of a confidence raster that fits a class raster.

    Raises
    ------
    SceneError
        If it cannot be opened, is not uint8 or has another grid.
    """
    info = describe_scene(path, access)
    if info.dtype != "uint8" or len(info.bands) != 1 or info.grid.shape != grid.shape:
        msg = (
            f"{path} has {len(info.bands)} band(s) of {info.dtype} and shape {info.grid.shape}, but confidences need "
            f"one of uint8 (percent) and the shape {grid.shape} of the class raster: choose another --confidence"
        )
        raise SceneMismatchError(msg)
    placed = info.grid.transform.almost_equals(grid.transform, precision=1e-6 * abs(grid.pixel_area) ** 0.5)
    if not placed or (info.grid.crs and grid.crs and not same_crs(info.grid.crs, grid.crs)):
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
