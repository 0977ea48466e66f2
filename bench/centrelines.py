"""Centrelines of a large road map: speed on one core, memory, and how both grow with the scene.

    python bench/centrelines.py [--sides 6000 12000] [--tile 23279080] [--data FOLDER]

The map is one real label raster of roads-massachusetts side by side; its blocks are made as they are asked
for, so memory is that of the tracing. Beside it stands scikit-image's skeletonize alone, of the whole raster at
once: pixels of a skeleton, not yet lines. Seconds are of processor time, so they bear a busy machine.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import skimage.morphology
from affine import Affine
from mosaic_scene import default_data, parser
from numpy.typing import NDArray
from process_tree import watch_command  # beside the tests, as `mosaic_scene` arranges

from segflow.segmentation.vectors.lines.centrelines import Block, trace_centrelines
from segflow.tiling import Grid, TileGrid, Window

SIDES = (6000, 12_000)  # px
BLOCK = 1024  # px
ROADS = 1
MEGA = 1e6


def read(path: Path) -> NDArray[np.uint8]:
    """Read the labels; no road where there is no data."""
    with rasterio.open(path) as source:
        return np.where(source.read(1) == ROADS, np.uint8(ROADS), np.uint8(0))


def blocks(tile: NDArray[np.uint8], side: int) -> Iterator[Block]:
    """Give the blocks of a scene that shows the tile again and again."""
    for place in TileGrid(height=side, width=side, core=BLOCK, margin=0, stride=1):
        labels = repeated(tile, place.core)
        yield Block(window=place.core, labels=labels, confidence=np.full_like(labels, 90))


def repeated(tile: NDArray[np.uint8], window: Window) -> NDArray[np.uint8]:
    """Give a window of the repeated tile."""
    rows, cols = (np.arange(span.start, span.stop) for span in (window.rows, window.cols))
    return tile[np.ix_(rows % tile.shape[0], cols % tile.shape[1])]


def trace(path: Path, side: int) -> dict[str, Any]:
    """Trace the roads of a scene of ``side × side`` pixels."""
    tile = read(path)
    transform = Affine(1, 0, 2e5, 0, -1, 9e5)
    grid = Grid(height=side, width=side, transform=transform, crs="EPSG:26986")
    started = time.process_time()
    table = trace_centrelines(blocks(tile, side), grid=grid, classes=[ROADS])
    seconds = time.process_time() - started
    return {
        "side_px": side,
        "roads_percent": round(100 * float((tile == ROADS).mean()), 1),
        "mpx_per_s": round(side**2 / seconds / MEGA, 1),
        "lines": len(table),
        "road_km": round(float(table.length_m.sum()) / 1000),
    }


def skeletonise(path: Path, side: int) -> dict[str, Any]:
    """Skeletonise the same scene at once."""
    scene = repeated(read(path), Window.of_shape(side, side)) == ROADS
    started = time.process_time()
    skimage.morphology.skeletonize(scene)
    return {"side_px": side, "skeletonize_mpx_per_s": round(side**2 / (time.process_time() - started) / MEGA, 1)}


def measure(step: str, path: Path, side: int) -> dict[str, Any]:
    """Take one step in a process of its own and add its peak memory."""
    watched = watch_command([sys.executable, __file__, "--step", step, "--sides", str(side), "--path", str(path)])
    return json.loads(watched.output) | {"peak_gib": round(watched.peak / 2**30, 2)}


def main() -> None:
    """Trace scenes of growing size and print what it took."""
    options = parser(__doc__)
    options.add_argument("--sides", type=int, nargs="+", default=SIDES, help="sides of the scenes [px]")
    options.add_argument("--tile", default="23279080", help="label raster that is repeated")
    options.add_argument("--step", choices=("trace", "skeletonise"), help="take one step in this process")
    options.add_argument("--path", type=Path, help="the label raster, with --step")
    chosen = options.parse_args()
    if chosen.step:
        print(json.dumps((trace if chosen.step == "trace" else skeletonise)(chosen.path, chosen.sides[0])))
        return
    path = (chosen.data or default_data()) / "roads-massachusetts" / "labels" / f"{chosen.tile}.tif"
    found = [measure("trace", path, side) for side in chosen.sides]
    found.append(measure("skeletonise", path, chosen.sides[0]))
    print(json.dumps(found) if chosen.json else "\n".join(map(str, found)))


if __name__ == "__main__":
    main()
