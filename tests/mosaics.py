"""Large real scenes, made of small real ones."""

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine


def write_mosaic(path: Path, images: list[Path], shape: tuple[int, int], seed: int = 0) -> Path:
    """Write a UTM scene of 10 m pixels whose cells are randomly turned real images; give its path."""
    rng = np.random.default_rng(seed)
    cells = []
    for image in images:
        with rasterio.open(image) as dataset:
            cells.append(dataset.read())
    size = cells[0].shape[1]
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 3,
        "height": shape[0],
        "width": shape[1],
        "crs": "EPSG:32720",
        "transform": Affine(10, 0, 300_000, 0, -10, 9_400_000),
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "photometric": "rgb",
    }
    with rasterio.open(path, "w", **profile) as dataset:
        for top in range(0, shape[0], size):
            for left in range(0, shape[1], size):
                cell = np.rot90(cells[rng.integers(len(cells))], int(rng.integers(4)), axes=(1, 2))
                height, width = min(size, shape[0] - top), min(size, shape[1] - left)
                window = rasterio.windows.Window(left, top, width, height)
                dataset.write(cell[:, :height, :width], window=window)
    return path
