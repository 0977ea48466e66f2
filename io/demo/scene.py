"""The demo scene as files: what `segflow demo` maps, with the truth to compare the map with."""

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyogrio.raw import write as write_layer
from rasterio.features import shapes
from shapely import to_wkb
from shapely.geometry import shape

from segflow.errors import OutputError
from segflow.io.demo.pattern import FOREST, UNKNOWN, make_pattern
from segflow.io.storage.files import check_writable, replace_file

SIZE = 4096  # px
SEED = 7  # a scene with forest, clearings, a river and roads in every quarter
CRS = "EPSG:32720"  # UTM 20 south, where Rondônia lies
TRANSFORM = Affine(10, 0, 470_000, 0, -10, 8_890_000)
ACQUIRED = "2024:07:18 14:20:11"  # a dry season overpass; an invented one, as the whole scene is
STEM = "demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoScene:
    """Where the demo scene lies.

    Attributes
    ----------
    scene
        RGB GeoTIFF, uint8, nodata 0.
    truth
        GeoTIFF on the same grid: 1 forest, 0 other, 255 nodata.
    labels
        Shapefile of the forest as polygons with the fields ``class`` and ``scene``.
    """

    scene: Path
    truth: Path
    labels: Path


def write_demo_scene(folder: Path, *, size: int = SIZE, seed: int = SEED) -> DemoScene:
    """Write the demo scene, its truth as a raster and as a shapefile; the same bytes every time.

    Parameters
    ----------
    folder
        Where the files go; made if it is missing.
    size
        Side of the scene, a multiple of 512 [px].
    seed
        Which scene; the same seed gives the same scene.

    Raises
    ------
    OutputError
        If the files cannot be written.
    """
    check_writable(folder)
    demo = DemoScene(
        scene=folder / f"{STEM}.tif", truth=folder / f"{STEM}_truth.tif", labels=folder / f"{STEM}_truth.shp"
    )
    pattern = make_pattern(size, seed)
    tags = {"TIFFTAG_DATETIME": ACQUIRED, "TIFFTAG_SOFTWARE": "segflow demo"}
    _write_raster(demo.scene, pattern.pixels, nodata=0, names=("red", "green", "blue"), tags=tags)
    _write_raster(demo.truth, pattern.truth[None], nodata=UNKNOWN, names=("forest",), tags={})
    _write_polygons(demo.labels, pattern.truth)
    return demo


def _write_raster(
    path: Path, pixels: NDArray[np.uint8], *, nodata: int, names: tuple[str, ...], tags: Mapping[str, str]
) -> None:
    """Write a (bands, height, width) array as a tiled GeoTIFF."""
    count, height, width = pixels.shape
    profile: dict[str, Any] = {"driver": "GTiff", "dtype": "uint8", "crs": CRS, "transform": TRANSFORM}
    profile |= {"count": count, "height": height, "width": width, "nodata": nodata}
    profile |= {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 6, "predictor": 2}
    profile |= {"photometric": "rgb" if count == len("rgb") else "minisblack"}
    with replace_file(path) as temporary, rasterio.open(temporary, "w", **profile) as target:
        target.update_tags(**tags)
        target.descriptions = names
        target.write(pixels)


def _write_polygons(path: Path, truth: NDArray[np.uint8]) -> None:
    """Write the forest as polygons, as the many files that a shapefile is."""
    forest = shapes(truth, mask=truth == FOREST, connectivity=4, transform=TRANSFORM)
    outlines = np.array([to_wkb(shape(outline)) for outline, _ in forest], dtype=object)
    words = [np.full(len(outlines), word, dtype=object) for word in ("forest", STEM)]
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as draft:
            write_layer(
                Path(draft) / path.name,
                geometry=outlines,
                field_data=words,
                fields=["class", "scene"],
                geometry_type="Polygon",
                crs=CRS,
                driver="ESRI Shapefile",
                layer_options={"DBF_DATE_LAST_UPDATE": "2024-07-18"},  # else today: other bytes every day
            )
            with ExitStack() as files:
                for part in sorted(Path(draft).iterdir()):
                    part.replace(files.enter_context(replace_file(path.parent / part.name)))
    except OSError as error:
        msg = f"{path}: the demo's polygons cannot be written ({error}): choose a folder with room with --out"
        raise OutputError(msg) from error
