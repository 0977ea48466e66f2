"""Labelled scenes for tests of retraining: enough to keep some out, and settings that learn well or not at all."""

from pathlib import Path

import rasterio
from rasterio.transform import from_origin

from tests.training_scenes import CONFIG, bright_and_dark

SIDE = 192  # px; nine squares of 64 each, so that three kept-out scenes have enough for an interval
GOOD = ("epochs=2",)
BAD = ("epochs=1", "learning_rate=1e-7", "averaging=0")


def write_scenes(folder: Path, numbers: range) -> Path:
    """Write labelled scenes s0, s1, … and the config beside them; give its path. A third of them is kept out."""
    for part in ("images", "labels"):
        (folder / "data" / part).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        write_scene(folder, f"s{number}", number)
    text = CONFIG.format(out="unused.safetensors").replace("test: [s3]\nvalidation: [s2]", "split: {test: 0.34}")
    path = folder / "toy.yaml"
    path.write_text(text.replace("data: data", f"data: {folder / 'data'}"))
    return path


def write_scene(folder: Path, name: str, number: int, *, place: int | None = None) -> None:
    """Write a labelled scene; `place` says where it lies, else its number does."""
    sample = bright_and_dark(name, number, side=SIDE)
    transform = from_origin(300_000 + 3000 * (number if place is None else place), 9_000_000, 10, 10)
    profile = {"driver": "GTiff", "height": SIDE, "width": SIDE, "crs": "EPSG:32720", "dtype": "uint8"}
    for part, layers in (("images", sample.pixels), ("labels", sample.labels[None])):
        path = folder / "data" / part / f"{name}.tif"
        with rasterio.open(path, "w", count=len(layers), transform=transform, **profile) as raster:
            raster.write(layers)
