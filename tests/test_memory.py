"""Memory does not grow with the scene: products and all, over the whole tree of processes."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from tests.process_tree import Watched, watch_command
from tests.scenes import NORTH_UP, write_pixelwise_model

GIB = 2**30
BLOCK = 512  # px
RECTANGLES = 8  # in each block that is written, one in four


def write_sparse_scene(path: Path, side: int) -> Path:
    """Write a scene of which one block in four holds random rectangles and the others lie unwritten, as zeros."""
    rng = np.random.default_rng(0)
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 3,
        "height": side,
        "width": side,
        "crs": "EPSG:32720",
        "transform": NORTH_UP,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "compress": "deflate",
        "photometric": "rgb",
        "sparse_ok": True,
    }
    with rasterio.open(path, "w", **profile) as dataset:
        for top in range(0, side, BLOCK):
            for left in range(0, side, BLOCK):
                if rng.integers(4):
                    continue
                block = rng.integers(0, 50, (3, BLOCK, BLOCK), np.uint8)
                for _ in range(RECTANGLES):
                    row, col = rng.integers(0, BLOCK - 16, 2)
                    height, width = rng.integers(8, 200, 2)
                    block[:, row : row + height, col : col + width] += np.uint8(100)
                window = Window(left, top, min(BLOCK, side - left), min(BLOCK, side - top))
                dataset.write(block[:, : window.height, : window.width], window=window)
    return path


def run_scene(folder: Path, side: int) -> Watched:
    """Map a scene with one 1×1 convolution by the command line; check that all products are there."""
    model = folder / "bright.safetensors"
    write_pixelwise_model(model)
    scene = write_sparse_scene(folder / f"scene_{side}.tif", side)
    command = [sys.executable, "-m", "segflow.cli", "run", str(scene), "--model", str(model), "--out", str(folder)]
    watched = watch_command([*command, "--json"])
    result = json.loads(watched.output)[0]
    products = {path.suffix for path in Path(result["folder"]).iterdir()}

    assert result["pixels"] == side**2
    assert {".tif", ".gpkg", ".html", ".json"} <= products
    return watched


def test_memory_does_not_grow_with_the_scene(tmp_path: Path) -> None:
    """Four times the pixels need no more, beyond what is noise in scenes so small."""
    small, large = run_scene(tmp_path, 3000), run_scene(tmp_path, 6000)

    assert large.peak < 1.5 * GIB
    assert large.peak < 1.1 * small.peak


@pytest.mark.slow
def test_large_scenes_stay_below_a_gibibyte_and_a_half(tmp_path: Path) -> None:
    """20,000 × 20,000 px in 1.5 GiB; four times that in hardly more."""
    small, large = run_scene(tmp_path, 20_000), run_scene(tmp_path, 40_000)

    assert small.peak < 1.5 * GIB
    assert large.peak < 1.1 * small.peak
