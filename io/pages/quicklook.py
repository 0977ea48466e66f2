"""Small pictures of large rasters: a scene as it looks, and its class map.

A scene with overviews is read from them. One without is read once, window by window, and every
n-th pixel kept, so that memory stays bounded whatever its blocks are; beyond `MAX_PIXELS` that
takes too long for a picture, and there is none.
"""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.io import MemoryFile

from segflow.io.labels.areas import Area
from segflow.io.raster.maps import open_map
from segflow.io.raster.sidecars import LegendEntry
from segflow.io.scene.access import LOCAL, Access
from segflow.io.scene.gdal import gdal_env, gdal_name, ignore_missing_georeference, scene_errors
from segflow.io.scene.headers import driver_of
from segflow.io.scene.info import SceneInfo
from segflow.io.scene.scenes import open_scene
from segflow.io.scene.validity import valid_pixels
from segflow.tiling import Grid, Span, Window

Picture = npt.NDArray[np.uint8]

SIDE = 1000  # px; the longer side of a picture
MAX_PIXELS = 4 * 10**8  # of a scene without overviews: 20,000² RGB takes a few seconds
STRETCH = (2.0, 98.0)  # percentiles of the valid pixels that become black and white
_WINDOW = (512, 16384)  # px; (height, width) of the windows that a scene without overviews is read in
_SMALL = (256, 256)  # px; of those of which only some are read
_RGB = ("red", "green", "blue")


def step_of(grid: Grid, side: int = SIDE) -> int:
    """Give how many pixels of a raster become one of its picture along each axis [px]."""
    return max(1, -(-max(grid.shape) // side))


def picture_bands(info: SceneInfo) -> tuple[int, ...]:
    """Choose the bands to show: red, green and blue by name, else the first three, else the first."""
    bands = [band for band in info.bands if info.reads(band.number)]
    numbers = {
        name: band.number
        for band in reversed(bands)
        for name in (band.name, *(band.common or ()), *band.aliases)
        if name
    }
    if all(name in numbers for name in _RGB):
        return tuple(numbers[name] for name in _RGB)
    count = len(_RGB) if len(bands) >= len(_RGB) else 1
    return tuple(band.number for band in bands[:count])


def class_picture(raster: Path, legend: Sequence[LegendEntry], side: int = SIDE) -> Picture:
    """Give the class map from its overviews: (height, width, 4) uint8 RGBA array, transparent without data.

    Raises
    ------
    DamagedError
        If the raster cannot be read.
    """
    palette = np.zeros((256, 4), np.uint8)
    for entry in legend:
        palette[entry.value] = (*entry.rgb, 255)
    with open_map(raster) as reader:
        height, width = reader.dataset.shape
        step = max(1, -(-max(height, width) // side))
        labels = reader.dataset.read(1, out_shape=(-(-height // step), -(-width // step)))
    picture: Picture = palette[labels]
    return picture


def scene_picture(
    info: SceneInfo, access: Access = LOCAL, side: int = SIDE, area: Area | None = None
) -> Picture | None:
    """Give the scene as it looks: (height, width, 3) uint8 RGB array, white without data and away from an area.

    Returns
    -------
    The picture; None for a scene without overviews that is too large or remote.

    Raises
    ------
    SceneError
        If the scene cannot be read.
    """
    one_file = not info.stacks and info.native is None and area is None
    found = _from_overviews(info, access, side) if one_file else None
    if found is None:
        if access.remote or info.grid.window.size > MAX_PIXELS:
            return None
        found = _every_nth(info, access, side, area)
    return stretch(*found)


def png_uri(picture: Picture) -> str:
    """Give a (height, width, bands) picture as a ``data:`` address of a PNG."""
    return "data:image/png;base64," + _encode(picture, "PNG", {"ZLEVEL": "6"})


def jpeg_uri(picture: Picture) -> str:
    """Give a (height, width, 3) picture as a ``data:`` address of a JPEG, a fifth of a PNG's size."""
    return "data:image/jpeg;base64," + _encode(picture, "JPEG", {"QUALITY": "85"})


def _from_overviews(
    info: SceneInfo, access: Access, side: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]] | None:
    """Read a scene decimated, where an overview makes that cheap."""
    step = step_of(info.grid, side)
    ignore_missing_georeference()
    with (
        gdal_env(access),
        scene_errors(info.path, "reading overviews", "the file is damaged, copy or download it again"),
        rasterio.open(gdal_name(info.path), driver=driver_of(info.path)) as dataset,
    ):
        if not any(factor <= step for factor in dataset.overviews(1)):
            return None
        bands = picture_bands(info)
        shape = tuple(-(-length // step) for length in info.grid.shape)
        pixels = dataset.read(bands, out_shape=(len(bands), *shape))
        valid = valid_pixels(pixels, [dataset.nodatavals[number - 1] for number in bands])
        if info.alpha or info.has_mask:
            mask = dataset.read_masks(1, out_shape=shape) != 0
            valid = mask if valid is None else valid & mask
    return pixels.astype(np.float32), np.ones(shape, np.bool_) if valid is None else valid


def _every_nth(
    info: SceneInfo, access: Access, side: int, area: Area | None = None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Read a scene once, and keep every n-th pixel of every n-th row."""
    step = step_of(info.grid, side)
    shape = tuple(-(-length // step) for length in info.grid.shape)
    bands = picture_bands(info)
    pixels, valid = np.zeros((len(bands), *shape), np.float32), np.zeros(shape, np.bool_)
    with open_scene(info, bands, access) as scene:
        for window in _windows(info.grid, _WINDOW if area is None else _SMALL):
            if area is not None and not area.touches(window):
                continue
            rows, cols = _kept(window.rows, step), _kept(window.cols, step)
            if not len(rows) or not len(cols):
                continue
            block, holds = scene.read_window(window)
            inner = (
                slice(rows.start * step - window.rows.start, None, step),
                slice(cols.start * step - window.cols.start, None, step),
            )
            pixels[:, rows.slice, cols.slice] = block[:, *inner]
            valid[rows.slice, cols.slice] = holds[inner]
    return pixels, valid


def _windows(grid: Grid, shape: tuple[int, int]) -> Iterator[Window]:
    """Give windows of bounded size that are low and wide: cheap for blocks that are tiles and for whole rows."""
    height, width = shape
    for row in range(0, grid.height, height):
        for col in range(0, grid.width, width):
            yield Window(Span(row, row + height), Span(col, col + width)).clip(grid.window)


def _kept(span: Span, step: int) -> Span:
    """Give the pixels of the picture that are taken from a span of the scene."""
    return Span(-(-span.start // step), -(-span.stop // step))


def stretch(pixels: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_]) -> Picture:
    """Give pixels as a picture, every band between its darkest and brightest percentiles."""
    picture = np.full((*valid.shape, len(_RGB)), 255, np.uint8)
    if not valid.any():
        return picture
    for index in range(len(_RGB)):
        band = pixels[index if len(pixels) == len(_RGB) else 0]
        low, high = np.percentile(band[valid], STRETCH)
        scaled = (band - low) / max(high - low, np.finfo(np.float32).tiny) * 255
        picture[..., index] = np.where(valid, np.clip(scaled, 0, 255), 255).astype(np.uint8)
    return picture


def _encode(picture: Picture, driver: str, options: dict[str, str]) -> str:
    height, width, bands = picture.shape
    profile = {"driver": driver, "height": height, "width": width, "count": bands, "dtype": "uint8", **options}
    ignore_missing_georeference()
    with rasterio.Env(GDAL_PAM_ENABLED="NO"), MemoryFile() as memory:
        with memory.open(**profile) as dataset:
            dataset.write(np.moveaxis(picture, -1, 0))
        return base64.b64encode(memory.read()).decode("ascii")
