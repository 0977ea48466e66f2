"""Scenes and models for tests, made in a moment."""

from pathlib import Path

import numpy as np
import rasterio
import torch
from affine import Affine
from rasterio.crs import CRS

from segflow.io.models.packages import write_model_file
from segflow.segmentation.networks.registry import build_network
from segflow.segmentation.predict.weights import pack_weights
from segflow.segmentation.spec import BandSpec, ClassSpec, Geometry, ModelSpec

NORTH_UP = Affine(10, 0, 300_000, 0, -10, 9_400_000)
BANDS = ("red", "green", "blue", "nir", "swir1", "swir2", "b7", "b8", "b9", "b10")


def write_scene(
    path: Path,
    pixels: np.ndarray,
    *,
    transform: Affine = NORTH_UP,
    crs: str | CRS | None = "EPSG:32720",
    nodata: float | None = None,
    mask: np.ndarray | None = None,
    **profile: object,
) -> Path:
    """Write a GeoTIFF of a (bands, height, width) array; give its path.

    Parameters
    ----------
    mask
        (height, width) bool array for an internal mask, True where valid.
    """
    options = {"driver": "GTiff", "tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", **profile}
    count, height, width = pixels.shape
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path,
            "w",
            count=count,
            height=height,
            width=width,
            dtype=pixels.dtype,
            crs=crs,
            transform=transform,
            nodata=nodata,
            **options,
        ) as dataset,
    ):
        dataset.write(pixels)
        if mask is not None:
            dataset.write_mask(mask)
    return path


def noise_scene(path: Path, shape: tuple[int, int], seed: int = 0, **options: object) -> Path:
    """Write an RGB scene of smooth random colours that the default model accepts; give its path."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(10, 120, (3, shape[0] // 32 + 1, shape[1] // 32 + 1))
    pixels = np.kron(coarse, np.ones((1, 32, 32)))[:, : shape[0], : shape[1]] + rng.normal(0, 4, (3, *shape))
    return write_scene(path, pixels.clip(1, 255).astype(np.uint8), **options)  # type: ignore[arg-type]


def write_pixelwise_model(
    path: Path,
    *,
    bands: int = 3,
    dtype: str = "uint8",
    geometry: Geometry = "polygon",
    threshold: float = 60.0,
    meaning: tuple[float, float] | None = None,
    display: bool = False,
) -> Path:
    """Write a model of one 1×1 convolution: class 1 where the first band exceeds `threshold`; give its path."""
    network = build_network("pixelwise", {}, in_channels=bands, classes=2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        weight = next(parameter for parameter in network.parameters() if parameter.ndim == 4)
        weight[0, 0], weight[1, 0] = -1.0, 1.0
    spec = ModelSpec(
        name="bright",
        version="1",
        architecture="pixelwise",
        arguments={},
        bands=tuple(
            BandSpec(
                name=name,
                mean=threshold,
                std=10.0,
                scale=None if meaning is None else meaning[0],
                offset=0.0 if meaning is None else meaning[1],
            )
            for name in BANDS[:bands]
        ),
        dtype=dtype,
        gsd=10.0,
        gsd_range=(1e-6, 1e9),
        classes=(
            ClassSpec(value=0, name="dark", colour="#202040", geometry=geometry),
            ClassSpec(value=1, name="bright", colour="#f0d060", geometry=geometry),
        ),
        stride=1,
        dependency=0,
        margin=0,
        guarantee="exact",
        display=display,
    )
    write_model_file(path, spec.to_json(), pack_weights(network))
    return path
