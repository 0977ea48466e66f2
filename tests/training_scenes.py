"""Labelled scenes for tests of training, made in a moment."""

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

from segflow.segmentation.spec import BandSpec
from segflow.segmentation.training.chips import Sample

PLAIN = (BandSpec(name="a", mean=0, std=1), BandSpec(name="b", mean=0, std=1))

CONFIG = """
name: toy
data: data
out: {out}
bands: [red, nir]
bands_chosen: [1, 2]
test: [s3]
validation: [s2]
classes:
  - {{value: 0, name: dark, colour: "#000000"}}
  - {{value: 1, name: bright, colour: "#ffffff", geometry: none}}
gsd: 10
gsd_range: [8, 12]
arguments: {{widths: [4, 8]}}
epochs: 3
chips_per_epoch: 32
batch: 8
chip: 32
learning_rate: 0.01
averaging: 0.5
threads: 1
device: cpu
"""


def bright_and_dark(name: str, seed: int, side: int = 64) -> Sample:
    """A scene whose class is whether its first band is bright, in blobs."""
    random = np.random.default_rng(seed)
    labels = np.kron(random.integers(0, 2, (side // 8, side // 8)), np.ones((8, 8))).astype(np.uint8)
    pixels = random.integers(0, 60, (2, side, side)).astype(np.uint8)
    pixels[0] += 120 * labels
    valid = np.ones((side, side), bool)
    valid[:5, :9] = False
    return Sample(name=name, pixels=pixels * valid, valid=valid, labels=labels)


def numbered(name: str = "n", height: int = 20, width: int = 20) -> Sample:
    """A scene whose pixels say their place, and whose labels the same modulo 251."""
    numbers = np.arange(height * width, dtype=np.uint16).reshape(height, width)
    labels = (numbers % 251).astype(np.uint8)
    return Sample(name=name, pixels=np.stack([numbers, numbers]), valid=np.ones((height, width), bool), labels=labels)


def write_toy(folder: Path) -> Path:
    """Write a config with four labelled scenes beside it; give its path."""
    for part in ("images", "labels"):
        (folder / "data" / part).mkdir(parents=True)
    profile = {"driver": "GTiff", "height": 64, "width": 64, "crs": "EPSG:32720", "dtype": "uint8"}
    for index in range(4):
        sample = bright_and_dark(f"s{index}", index)
        transform = from_origin(500_000 + 1000 * index, 9_000_000, 10, 10)
        for part, layers in (("images", sample.pixels), ("labels", sample.labels[None])):
            path = folder / "data" / part / f"s{index}.tif"
            with rasterio.open(path, "w", count=len(layers), transform=transform, **profile) as raster:
                raster.write(layers)
    path = folder / "toy.yaml"
    path.write_text(CONFIG.format(out=folder / "models" / "toy.safetensors"))
    return path
