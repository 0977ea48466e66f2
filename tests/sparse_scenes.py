"""Scenes of any size that are quick to write and small on disk."""

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window

BLOCK = 512  # px
RECTANGLES = 8  # in each block that is written, which is one in four


def write_sparse_scene(path: Path, side: int, seed: int = 0) -> Path:
    """Write an RGB scene on a 10 m UTM grid; give its path.

    One block in four holds bright rectangles on noise, all three bands alike;
    the others lie unwritten in the file and read as zeros, which are data.
    """
    rng = np.random.default_rng(seed)
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 3,
        "height": side,
        "width": side,
        "crs": "EPSG:32720",
        "transform": Affine(10, 0, 300_000, 0, -10, 9_400_000),
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "compress": "zstd",
        "photometric": "rgb",
        "sparse_ok": True,
    }
    with rasterio.open(path, "w", **profile) as dataset:
        for top in range(0, side, BLOCK):
            for left in range(0, side, BLOCK):
                if rng.integers(4) == 0:
                    window = Window(left, top, min(BLOCK, side - left), min(BLOCK, side - top))
                    band = _rectangles(rng)[: window.height, : window.width]
                    dataset.write(np.broadcast_to(band, (3, *band.shape)), window=window)
    return path


def _rectangles(rng: np.random.Generator) -> np.ndarray:
    """Give one block of rectangles above 100 on noise below 50: (BLOCK, BLOCK) uint8 array."""
    band = rng.integers(0, 50, (BLOCK, BLOCK), np.uint8)
    for _ in range(RECTANGLES):
        row, col = rng.integers(0, BLOCK - 16, 2)
        height, width = rng.integers(8, 200, 2)
        band[row : row + height, col : col + width] = rng.integers(100, 200)
    return band
