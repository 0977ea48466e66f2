"""Draw the picture of docs/centrelines.md: road labels of an aerial image, their centrelines and nodes on top.

    python bench/centrelines_picture.py [--tile 23279080] [--row 200 --col 650] [--out docs/images/centrelines.png]

The image is shown in few shades of grey, so that lines stand out and the file stays small.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import rasterio
import rasterio.features
import shapely
from affine import Affine
from mosaic_scene import default_data
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from segflow.segmentation.vectors.lines.centrelines import Block, LineTable, trace_centrelines
from segflow.tiling import Grid

ROADS = 1
SHADES = 20  # of grey
ZOOM, FINE = 2, 3  # picture pixels per scene pixel; samples per picture pixel along each axis
COLOURS = {"road": (214, 180, 120), "line": (200, 20, 40), "junction": (255, 225, 40), "end": (40, 130, 255)}


def read(path: Path) -> tuple[Grid, NDArray[np.uint8]]:
    """Read a raster: its grid and its pixels, (bands, height, width)."""
    with rasterio.open(path) as source:
        grid = Grid(height=source.height, width=source.width, transform=source.transform, crs=source.crs.to_wkt())
        return grid, source.read()


def trace(grid: Grid, labels: NDArray[np.uint8]) -> LineTable:
    """Trace the roads of a label raster."""
    whole = Block(window=grid.window, labels=labels, confidence=np.full(labels.shape, 100, np.uint8))
    return trace_centrelines([whole], grid=grid, classes=[ROADS], max_gap_px=10)


def nodes(table: LineTable, *, free: bool) -> NDArray[np.object_]:
    """Give the places of free ends, or of junctions."""
    starts, ends = shapely.get_point(table.geometry, 0), shapely.get_point(table.geometry, -1)
    points, degree = np.concatenate([starts, ends]), np.concatenate([table.start_degree, table.end_degree])
    chosen: NDArray[np.object_] = points[degree == 1 if free else degree > 2]  # noqa: PLR2004  # a line passes
    return chosen


def share(shapes: NDArray[np.object_], transform: Affine, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Give how much of each picture pixel shapes cover: (height, width), 0 … 1."""
    fine = tuple(side * FINE for side in shape)
    burnt = rasterio.features.rasterize(shapes, fine, transform=transform @ Affine.scale(1 / FINE))
    return burnt.reshape(shape[0], FINE, shape[1], FINE).mean(axis=(1, 3))


def draw(image: NDArray[np.uint8], labels: NDArray[np.uint8], table: LineTable, transform: Affine) -> NDArray[np.uint8]:
    """Draw lines and nodes over an image: (3, height, width) uint8 array."""
    grey = image.mean(axis=0).repeat(ZOOM, 0).repeat(ZOOM, 1)
    grey = 95 + np.round(grey / 255 * (SHADES - 1)) / (SHADES - 1) * 160
    picture = np.stack([grey] * 3)
    finer = transform @ Affine.scale(1 / ZOOM)
    shape = grey.shape[0], grey.shape[1]
    road = (labels == ROADS).repeat(ZOOM, 0).repeat(ZOOM, 1)
    layers = [("road", road * 0.45)]
    for name, shapes, width in (
        ("line", table.geometry, 0.9),
        ("end", nodes(table, free=True), 2.2),
        ("junction", nodes(table, free=False), 2.2),
    ):
        layers.append((name, share(shapely.buffer(shapes, width), finer, shape)))
    for name, cover in layers:
        colour = np.array(COLOURS[name], float)[:, None, None]
        picture += cover * (colour - picture)
    return np.round(picture).astype(np.uint8)


def main() -> None:
    """Trace, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=default_data() / "roads-massachusetts")
    parser.add_argument("--tile", default="23279080")
    parser.add_argument("--row", type=int, default=200)
    parser.add_argument("--col", type=int, default=650)
    parser.add_argument("--size", type=int, nargs=2, default=(300, 400))
    parser.add_argument("--out", type=Path, default=Path("docs/images/centrelines.png"))
    chosen = parser.parse_args()
    _, image = read(chosen.data / "images" / f"{chosen.tile}.tif")
    grid, labels = read(chosen.data / "labels" / f"{chosen.tile}.tif")
    table = trace(grid, labels[0])
    place = np.s_[..., chosen.row : chosen.row + chosen.size[0], chosen.col : chosen.col + chosen.size[1]]
    corner = grid.transform @ Affine.translation(chosen.col, chosen.row)
    picture = draw(image[place], labels[0][place], table, corner)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "PNG", "count": 3, "dtype": "uint8", "height": picture.shape[1], "width": picture.shape[2]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # it is a picture
        with rasterio.open(chosen.out, "w", ZLEVEL=9, **profile) as target:
            target.write(picture)
    print(f"{chosen.out}: {chosen.out.stat().st_size / 1000:.0f} kB, {len(table)} lines in the whole tile")


if __name__ == "__main__":
    main()
