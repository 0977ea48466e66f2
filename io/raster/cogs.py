"""Cloud-optimised GeoTIFFs of any size in bounded memory, read back before they count.

Plan of `write_cog`: windows stream into a plain tiled GeoTIFF beside the target (compressed
lightly, since it is read once); GDAL copies it into a COG, which sorts blocks and overviews
into their places; the COG is opened again and every window compared with what the caller
says it should be; only then it takes its name. GDAL's `close` reports no full disk, so the
comparison is what proves that the file is there.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterioWindow

from segflow.errors import DamagedError, OutputError
from segflow.io.scene.gdal import ignore_missing_georeference, reason
from segflow.io.storage.files import replace_file, temporary_beside
from segflow.tiling import NODATA, Grid, Window

BLOCK = 512  # px; side of the blocks of a COG
Overviews = Literal["mode", "average"]

# 64 MB of cache keep the copy of 20,000² below 350 MB in all; 256 MB made it no faster.
_ENVIRONMENT = {
    "GDAL_CACHEMAX": 64,
    "GDAL_NUM_THREADS": "ALL_CPUS",
    "GDAL_PAM_ENABLED": "NO",  # segflow writes the .aux.xml itself
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_TIFF_INTERNAL_MASK": "NO",
    "GTIFF_IGNORE_READ_ERRORS": "NO",
}
# ZSTD at its fastest: as quick to write as no compression at all, for a twentieth of the disk.
_STEP = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "ZSTD", "zstd_level": 1}
_COG = {"COMPRESS": "DEFLATE", "LEVEL": "6", "BLOCKSIZE": str(BLOCK)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterStyle:
    """What a raster says about itself.

    Attributes
    ----------
    descriptions
        One per band.
    overviews
        How overviews are made: ``mode`` for classes, ``average`` for quantities (of valid pixels only).
    colours
        (red, green, blue) of values, each 0–255, for a raster of one band; other values
        are opaque black and nodata is transparent. None for no colour table.
    scale
        What a pixel is multiplied by to give its meaning, or None.
    nodata
        The nodata value.
    tags
        TIFF tags.
    """

    descriptions: tuple[str, ...]
    overviews: Overviews
    colours: Mapping[int, tuple[int, int, int]] | None = None
    scale: float | None = None
    nodata: int = NODATA
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.descriptions:
            msg = "a raster needs at least one band"
            raise ValueError(msg)
        if self.colours is not None and len(self.descriptions) > 1:
            msg = f"only a raster of one band can have a colour table, this one has {len(self.descriptions)} bands"
            raise ValueError(msg)


def write_cog(
    path: str | os.PathLike[str],
    grid: Grid,
    *,
    windows: Iterable[Window],
    read: Callable[[Window], np.ndarray],
    check: Callable[[Window, np.ndarray], None],
    descriptions: Sequence[str],
    overviews: Overviews,
    nodata: int = NODATA,
    colours: Mapping[int, tuple[int, int, int]] | None = None,
    scale: float | None = None,
    tags: Mapping[str, str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Write a uint8 raster as a COG, which takes its name only once it reads back as it was written.

    Parameters
    ----------
    path
        The file; temporary ones lie beside it until it is complete.
    grid
        Shape, transform and CRS, kept exactly.
    windows
        Windows that partition the raster; gone through twice. Fastest if they start on
        multiples of 512.
    read
        Gives the (bands, height, width) or (height, width) uint8 array of a window.
    check
        Gets every window once more as it reads back, as (bands, height, width);
        raises `DamagedError` if that is not what was written.
    descriptions, overviews, nodata, colours, scale, tags
        What the raster says about itself: see `RasterStyle`.
    progress
        Called with the number of pixels after each window that was written or checked.

    Raises
    ------
    DamagedError
        If what was written does not read back.
    OutputError
        If it cannot be written.
    """
    style = RasterStyle(
        descriptions=tuple(descriptions),
        overviews=overviews,
        colours=colours,
        scale=scale,
        nodata=nodata,
        tags=tags or {},
    )
    parts = tuple(windows)
    report = progress or _ignore
    ignore_missing_georeference()
    with (
        replace_file(path) as target,
        temporary_beside(path, "tiles") as tiles,
        rasterio.Env(**_ENVIRONMENT),
    ):
        try:
            _write_tiles(tiles, grid, parts, read, style, report)
            _copy(tiles, target, grid, style.overviews)
        except (RasterioError, CPLE_BaseError) as error:
            msg = f"{path} cannot be written ({reason(error)}): check the disk space and the permissions"
            raise OutputError(msg) from error
        _check(Path(path), target, grid, parts, check, report)


def _write_tiles(
    path: Path,
    grid: Grid,
    windows: tuple[Window, ...],
    read: Callable[[Window], np.ndarray],
    style: RasterStyle,
    report: Callable[[int], None],
) -> None:
    """Write all windows into a tiled GeoTIFF that says everything the COG will say."""
    with rasterio.open(path, "w", **_profile(grid, style)) as dataset:
        dataset.update_tags(**style.tags)
        dataset.descriptions = style.descriptions
        if style.scale is not None:
            dataset.scales = (style.scale,) * dataset.count
        if style.colours is not None:
            dataset.write_colormap(1, _colour_table(style.colours, style.nodata))
        else:  # else GDAL takes three or four bands for red, green, blue and alpha
            dataset.colorinterp = (ColorInterp.gray,) + (ColorInterp.undefined,) * (dataset.count - 1)
        for window in windows:
            pixels = read(window)
            dataset.write(pixels.reshape(dataset.count, *window.shape), window=_to_rasterio(window))
            report(window.size)


def _profile(grid: Grid, style: RasterStyle) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "height": grid.height,
        "width": grid.width,
        "count": len(style.descriptions),
        "dtype": "uint8",
        "crs": None if grid.crs is None else CRS.from_wkt(grid.crs),
        "transform": grid.transform,
        "nodata": style.nodata,
        "interleave": "band",
        "photometric": "palette" if style.colours is not None else "minisblack",
        "bigtiff": "IF_SAFER",
        **_STEP,
    }


def _colour_table(colours: Mapping[int, tuple[int, int, int]], nodata: int) -> dict[int, tuple[int, int, int, int]]:
    return {**{value: (*rgb, 255) for value, rgb in sorted(colours.items())}, nodata: (0, 0, 0, 0)}


def _copy(source: Path, target: Path, grid: Grid, overviews: Overviews) -> None:
    """Copy a tiled GeoTIFF into a COG."""
    options = {
        **_COG,
        "OVERVIEWS": "IGNORE_EXISTING" if min(grid.shape) > 1 else "NONE",  # half a line has no width
        "OVERVIEW_RESAMPLING": overviews.upper(),
        "BIGTIFF": "IF_SAFER",
        "NUM_THREADS": "ALL_CPUS",  # the bytes do not depend on it
    }
    rasterio.shutil.copy(source, target, driver="COG", **options)


def _check(
    path: Path,
    written: Path,
    grid: Grid,
    windows: tuple[Window, ...],
    check: Callable[[Window, np.ndarray], None],
    report: Callable[[int], None],
) -> None:
    """Read everything back and have it compared."""
    try:
        with rasterio.open(written, driver="GTiff") as dataset:
            _check_grid(path, dataset, grid)
            for window in windows:
                check(window, dataset.read(window=_to_rasterio(window)))
                report(window.size)
    except (RasterioError, CPLE_BaseError) as error:
        msg = f"{path} does not read back ({reason(error)}): check the disk space and run again"
        raise DamagedError(msg) from error


def _check_grid(path: Path, dataset: rasterio.DatasetReader, grid: Grid) -> None:
    crs = None if grid.crs is None else CRS.from_wkt(grid.crs)
    found = (dataset.shape, dataset.transform, dataset.crs or None)
    if found != (grid.shape, grid.transform, crs or None):
        msg = f"{path} reads back with the grid {found}, but {grid} was written: report this as a fault of GDAL"
        raise DamagedError(msg)


def _to_rasterio(window: Window) -> RasterioWindow:
    rows, cols = window.rows, window.cols
    return RasterioWindow(cols.start, rows.start, len(cols), len(rows))


def _ignore(_: int) -> None:
    """Stand in for a progress that nobody asked for."""
