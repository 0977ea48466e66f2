"""Labels on a scene's grid: from a raster that lies on it, or burnt from polygons of any CRS."""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import geopandas
import numpy as np
import numpy.typing as npt
from pyogrio import read_info
from pyogrio.errors import DataSourceError
from rasterio.features import rasterize

from segflow.errors import SceneError
from segflow.io.scenes import describe_scene, open_scene
from segflow.tiling import Grid

Labels = npt.NDArray[np.uint8]  # (height, width), class values

IGNORE = 255
_ALIGNED = 0.01  # px; transforms that differ by less are the same grid written twice


def read_label_raster(path: str | os.PathLike[str], grid: Grid, values: Sequence[int]) -> Labels:
    """Give the labels in a raster on the grid of its scene.

    Parameters
    ----------
    path
        A GeoTIFF with one band of class values.
    grid
        The scene's grid.
    values
        Class values that may occur.

    Returns
    -------
    (height, width) uint8 array
        255 where the raster holds no data.

    Raises
    ------
    SceneError
        If it cannot be read, lies on another grid, or holds another value.
    """
    info = describe_scene(path)
    if len(info.bands) != 1:
        msg = f"labels {path} have {len(info.bands)} bands, but need one of class values: choose the right file"
        raise SceneError(msg)
    if not same_grid(info.grid, grid):
        msg = f"labels {path} lie on another grid than their scene: warp them to its size, transform and CRS"
        raise SceneError(msg)
    with open_scene(path, (info.bands[0].number,)) as raster:
        pixels, valid = raster.read_window(grid.window)
    found = set(np.unique(pixels[0][valid]).tolist()) - {IGNORE}
    if not found <= set(values):
        unknown = ", ".join(f"{value:g}" for value in sorted(found - set(values)))
        msg = f"labels {path} hold {unknown}, but the classes are {', '.join(map(str, values))}: map them first"
        raise SceneError(msg)
    return np.where(valid, pixels[0], IGNORE).astype(np.uint8)


def burn_labels(
    path: str | os.PathLike[str],
    grid: Grid,
    *,
    field: str,
    values: Mapping[str, int],
    background: int = 0,
) -> Labels:
    """Give the labels that polygons make on the grid of a scene.

    A pixel belongs to the polygon that its centre lies in, of several to the last in the file.

    Parameters
    ----------
    path
        A vector file with a CRS; polygons far from the scene are left out.
    grid
        The scene's grid, with a CRS.
    field
        The field that says a polygon's class.
    values
        Class value of each entry of that field.
    background
        Value where no polygon lies; 255 ignores those pixels.

    Raises
    ------
    SceneError
        If the file cannot be read, lacks field or CRS, holds other classes, or misses the scene.
    """
    if grid.crs is None:
        msg = f"labels {path} cannot be placed, because the scene has no CRS: use label rasters or set its CRS"
        raise SceneError(msg)
    frame = _read_frame(path, grid, field)
    classes = frame[field].astype(str)
    unknown = sorted(set(classes) - set(values))
    if unknown:
        msg = f"labels {path}: field {field!r} holds {', '.join(unknown)}, known are {', '.join(values)}: map them too"
        raise SceneError(msg)
    shapes = [(shape, values[name]) for shape, name in zip(frame.geometry, classes, strict=True)]
    return np.asarray(
        rasterize(shapes, out_shape=grid.shape, fill=background, transform=grid.transform, dtype="uint8"), np.uint8
    )


def same_grid(one: Grid, other: Grid) -> bool:
    """Tell whether two rasters have the same pixels; a missing CRS agrees with any."""
    if one.shape != other.shape:
        return False
    if None not in {one.crs, other.crs} and geopandas.GeoSeries(crs=one.crs).crs != other.crs:
        return False
    corners = (~other.transform * corner for corner in one.corners)
    expected = ((0, 0), (other.width, 0), (other.width, other.height), (0, other.height))
    return all(
        abs(x - column) < _ALIGNED and abs(y - row) < _ALIGNED
        for (x, y), (column, row) in zip(corners, expected, strict=True)
    )


def _read_frame(path: str | os.PathLike[str], grid: Grid, field: str) -> geopandas.GeoDataFrame:
    """Read the polygons that meet the scene, in its CRS."""
    if not Path(path).is_file():
        msg = f"labels {path} do not exist: check the path"
        raise SceneError(msg)
    left, bottom, right, top = grid.bounds
    box = geopandas.GeoSeries.from_wkt(
        [f"POLYGON(({left} {bottom},{right} {bottom},{right} {top},{left} {top},{left} {bottom}))"], crs=grid.crs
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of drivers about fields that are not read
            frame = geopandas.read_file(path, mask=box.segmentize(max(right - left, top - bottom) / 32))
    except (DataSourceError, OSError, ValueError, RuntimeError) as error:
        msg = f"labels {path} cannot be read ({' '.join(str(error).split())}): give a vector file such as .shp or .gpkg"
        raise SceneError(msg) from error
    if field not in frame.columns:
        msg = f"labels {path} have no field {field!r}, only {', '.join(map(str, frame.columns))}: set class_field"
        raise SceneError(msg)
    if frame.crs is None:
        msg = f"labels {path} have no CRS: add one (a .prj file beside a shapefile)"
        raise SceneError(msg)
    if frame.empty and _miss(box, path):
        msg = f"labels {path} miss the scene, which spans {grid.bounds}: check both coordinate systems"
        raise SceneError(msg)
    return frame.to_crs(grid.crs)


def _miss(box: geopandas.GeoSeries, path: str | os.PathLike[str]) -> bool:
    """Tell whether the scene lies outside all labels; between them it may well hold none."""
    info = read_info(path, force_total_bounds=True)
    left, bottom, right, top = info["total_bounds"]
    x0, y0, x1, y1 = box.to_crs(info["crs"]).total_bounds
    return bool(x1 < left or right < x0 or y1 < bottom or top < y0)
