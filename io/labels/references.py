"""Class rasters of any tool, as map or as reference: whole numbers, window by window, on one grid."""

import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyproj
import rasterio
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterioWindow

from segflow.errors import SceneError
from segflow.io.labels.rasters import LabelRaster, open_label_raster, same_grid
from segflow.io.raster.classes import describe_classes
from segflow.io.scene.access import LOCAL, Access
from segflow.io.scene.gdal import gdal_env, ignore_missing_georeference, scene_errors
from segflow.io.scene.ground import crs_name
from segflow.io.scene.headers import driver_of
from segflow.io.scene.scenes import Scene, SceneInfo, open_scene
from segflow.io.scene.validity import valid_pixels
from segflow.io.vector.datums import check_datum_shift
from segflow.tiling import Grid, Window

Values = npt.NDArray[np.int64]  # (height, width); -1 for nodata

UNKNOWN = -1
_DAMAGED = "the file is damaged or cut short, copy or download it again"


class ValueReader(Protocol):
    """Reads values of a class raster."""

    def read(self, window: Window) -> Values:
        """Give the values in a window of the map's grid: (height, width) array, -1 for nodata."""


class ClassPixels:
    """A class raster on its own grid."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def read(self, window: Window) -> Values:
        """Give the values in a window; see `ValueReader`."""
        pixels, valid = self._scene.read_window(window)
        return np.where(valid, pixels[0].astype(np.int64), UNKNOWN)


class StoredPixels:
    """A class raster whose nodata value is a class."""

    def __init__(self, raster: LabelRaster) -> None:
        self._raster = raster

    def read(self, window: Window) -> Values:
        """Give the values in a window; see `ValueReader`."""
        pixels, shown = self._raster.read_stored(window)
        return np.where(shown, pixels.astype(np.int64), UNKNOWN)


class WarpedPixels:
    """A class raster brought onto another grid: every pixel takes the value of the nearest one."""

    def __init__(self, dataset: Any, info: SceneInfo, access: Access) -> None:  # noqa: ANN401  # rasterio has no types
        self._dataset, self._info, self._access = dataset, info, access
        self._bands = [info.bands[0].number, info.alpha or dataset.count]

    def read(self, window: Window) -> Values:
        """Give the values in a window; see `ValueReader`."""
        rows, cols = window.rows, window.cols
        box = RasterioWindow(cols.start, rows.start, len(cols), len(rows))
        with gdal_env(self._access), scene_errors(self._info.path, "reading", _DAMAGED):
            pixels, alpha = self._dataset.read(self._bands, window=box)
        valid, known = alpha != 0, valid_pixels(pixels[None], (self._info.bands[0].nodata,))
        if known is not None:
            valid &= known
        return np.where(valid, pixels.astype(np.int64), UNKNOWN)


@contextmanager
def open_classes(info: SceneInfo, access: Access = LOCAL) -> Iterator[ClassPixels]:
    """Open a class raster on its own grid."""
    with open_scene(info, (info.bands[0].number,), access) as scene:
        yield ClassPixels(scene)


@contextmanager
def open_reference(
    path: str | os.PathLike[str],
    grid: Grid,
    access: Access = LOCAL,
    *,
    resample: bool,
    classes: Collection[int] = (),
) -> Iterator[ValueReader]:
    """Open a reference raster for reading on the grid of the map.

    Values among `classes` are classes, even if the raster declares one of them as nodata.

    Raises
    ------
    SceneError
        If it cannot be opened, holds no class values, or lies on another grid and may not be resampled.
    """
    info = describe_classes(path, access, role="reference")
    hidden = info.bands[0].nodata in classes
    if hidden and same_grid(info.grid, grid):
        yield StoredPixels(open_label_raster(path, grid, (), dict.fromkeys(classes, 0), access))
        return
    if hidden:
        msg = (
            f"reference {path} declares {info.bands[0].nodata:g} as nodata, which --class-value says is a class: "
            "take that away with gdal_edit -unsetnodata, or bring it onto the grid of the map"
        )
        raise SceneError(msg)
    if same_grid(info.grid, grid):
        with open_classes(info, access) as raster:
            yield raster
        return
    if not resample:
        msg = (
            f"reference {path} lies on another grid ({describe_grid(info.grid)}) than the map ({describe_grid(grid)}): "
            "warp it, or add --resample-reference nearest"
        )
        raise SceneError(msg)
    if info.grid.crs is None or grid.crs is None:
        msg = f"reference {path} cannot be resampled, because it or the map has no CRS: set both"
        raise SceneError(msg)
    if info.stacks:
        msg = f"reference {path} is a VRT, and those are not resampled: make a GeoTIFF of it with gdal_translate"
        raise SceneError(msg)
    with ExitStack() as stack, scene_errors(info.path, "opening", _DAMAGED):
        ignore_missing_georeference()
        with gdal_env(access):
            dataset = stack.enter_context(rasterio.open(info.path, driver=driver_of(info.path), sharing=False))
            warped = stack.enter_context(_warp(dataset, grid, has_alpha=info.alpha is not None))
        yield WarpedPixels(warped, info, access)


def reference_doubts(
    path: str | os.PathLike[str], grid: Grid, access: Access = LOCAL, *, allow_shift: bool
) -> tuple[str, ...]:
    """Say how far a reference raster may be off once it is brought onto the grid of the map, where that matters.

    Raises
    ------
    SceneError
        If it cannot be opened, or PROJ only guesses and more than a pixel may be lost, unless that is allowed.
    """
    info = describe_classes(path, access, role="reference")
    if info.grid.crs is None or grid.crs is None or same_grid(info.grid, grid):
        return ()
    return check_datum_shift(
        pyproj.CRS.from_user_input(info.grid.crs), grid, what=f"reference {path}", allowed=allow_shift
    )


def describe_grid(grid: Grid) -> str:
    """Describe a grid: its size, corner, pixels and CRS."""
    a, b, c, d, e, f = tuple(grid.transform)[:6]
    turned = f", turned by {b:g}, {d:g}" if b or d else ""
    place = f"{grid.width} × {grid.height} px from x {c:.10g}, y {f:.10g}, pixel {a:g} × {e:g}{turned}"
    return f"{place}, {'no CRS' if grid.crs is None else crs_name(grid.crs)}"


def _warp(dataset: Any, grid: Grid, *, has_alpha: bool) -> WarpedVRT:  # noqa: ANN401
    return WarpedVRT(
        dataset,
        crs=CRS.from_wkt(grid.crs),
        transform=grid.transform,
        width=grid.width,
        height=grid.height,
        resampling=Resampling.nearest,
        add_alpha=not has_alpha,
    )
