"""Scenes and models for the bench of a GPU, generated: it needs nothing but the package."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from affine import Affine
from rasterio.windows import Window

from segflow.flows.models.lookup import find_model
from segflow.io.models.packages import read_model_file, write_model_file
from segflow.segmentation.networks.registry import build_network
from segflow.segmentation.predict.weights import pack_weights
from segflow.segmentation.spec import BandSpec, ClassSpec, ModelSpec

CELL = 1024  # px; side of the fields that a scene is made of
CELLS = 6
PACKING: dict[str, dict[str, Any]] = {
    "none": {},
    "zstd": {"compress": "zstd", "zstd_level": 3},
    "deflate": {"compress": "deflate", "zlevel": 6},
}


def write_scene(path: Path, side: int, spec: ModelSpec, packing: str) -> Path:
    """Write a scene of smooth fields with noise, in the bands and type that a model wants; give its path."""
    cells = _cells(spec)
    rng = np.random.default_rng(1)
    profile = {
        "driver": "GTiff",
        "dtype": spec.dtype,
        "count": len(spec.bands),
        "height": side,
        "width": side,
        "crs": "EPSG:32720",
        "transform": Affine(spec.gsd, 0, 300_000, 0, -spec.gsd, 9_400_000),
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "interleave": "pixel",
        "bigtiff": "if_safer",
        **PACKING[packing],
    }
    with rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS"), rasterio.open(path, "w", **profile) as dataset:
        for top in range(0, side, CELL):
            for left in range(0, side, CELL):
                height, width = min(CELL, side - top), min(CELL, side - left)
                cell = np.rot90(cells[rng.integers(CELLS)], int(rng.integers(4)), axes=(1, 2))
                dataset.write(cell[:, :height, :width], window=Window(left, top, width, height))
        dataset.descriptions = tuple(band.name for band in spec.bands)
    return path


def _cells(spec: ModelSpec) -> list[np.ndarray]:
    """Fields around the mean of each band, with noise of a tenth of its deviation: they pack as real scenes do."""
    rng = np.random.default_rng(0)
    cells, info = [], np.iinfo(spec.dtype)
    for _ in range(CELLS):
        bands = []
        for band in spec.bands:
            field = np.kron(rng.normal(0, 1, (CELL // 32, CELL // 32)), np.ones((32, 32)))
            noise = rng.normal(0, 0.1, (CELL, CELL))
            bands.append((band.mean + band.std * (field + noise)).clip(1, info.max))
        cells.append(np.stack(bands).astype(spec.dtype))
    return cells


def shipped_spec(name: str) -> ModelSpec:
    """Give the spec of a shipped model."""
    return ModelSpec.from_json(read_model_file(find_model(name).path)[0])


def write_wide_model(path: Path) -> Path:
    """Write the network of `forest-amazon-s2` for four bands of uint16, with random weights; give its path."""
    spec = shipped_spec("forest-amazon-s2")
    bands = tuple(BandSpec(name=name, mean=1200, std=400) for name in ("red", "green", "blue", "nir"))
    wide = replace(spec, name="forest-4-bands", bands=bands, dtype="uint16", bfloat16_changes=0.0)
    return _write_random(path, wide)


def write_light_model(path: Path) -> Path:
    """Write a U-Net on MobileNetV2 with random weights, which looks 320 px far; give its path."""
    spec = ModelSpec(
        name="light",
        version="1",
        architecture="smp",
        arguments={"decoder": "unet", "encoder": "mobilenet_v2"},
        bands=tuple(BandSpec(name=name, mean=60.0, std=25.0) for name in ("red", "green", "blue")),
        dtype="uint8",
        gsd=10.0,
        gsd_range=(1.0, 100.0),
        classes=tuple(ClassSpec(value=v, name=f"c{v}", colour="#808080") for v in range(4)),
        stride=32,
        dependency=320,
        margin=320,
        guarantee="exact",
        bfloat16_changes=0.0,
    )
    return _write_random(path, spec)


def _write_random(path: Path, spec: ModelSpec) -> Path:
    torch.manual_seed(0)
    network = build_network(
        spec.architecture, spec.arguments, in_channels=len(spec.bands), classes=len(spec.classes)
    ).train()
    with torch.no_grad():
        network(torch.randn(2, len(spec.bands), 256, 256))  # normalisations that have seen something
    write_model_file(path, spec.to_json(), pack_weights(network.eval()))
    return path
