"""Every command of the page "Your scene" maps a small product of that kind."""

import re
import shlex
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from typer.testing import CliRunner

from segflow.cli.app import app
from tests.products import HLS, LANDSAT, SAFE, write_hls, write_landsat, write_safe
from tests.scenes import write_pixelwise_model, write_scene

PAGE = Path(__file__).parents[3] / "docs" / "your-scene.md"
COMMANDS = re.findall(r"^segflow (run .*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
SHAPE = (300, 320)


def write_all(folder: Path) -> dict[str, str]:
    """Write what the page's commands name; give the model of each product by a word of its command."""
    write_safe(folder)
    write_landsat(folder)
    write_hls(folder)
    rng = np.random.default_rng(0)
    write_scene(folder / "m_4709963_se_14_1_20180716.tif", rng.integers(1, 255, (4, *SHAPE), np.uint8))
    ortho = rng.integers(30, 220, (3, *SHAPE), np.uint8)
    ortho[:, :20] = 0
    write_scene(folder / "ortho.tif", ortho, transform=Affine(1, 0, 300_000, 0, -1, 9_400_000))
    planet = rng.integers(100, 3000, (3, *SHAPE)).astype(np.uint16)
    write_scene(folder / "20240608_psscene.tif", planet, transform=Affine(3, 0, 300_000, 0, -3, 9_400_000))
    area = gpd.GeoDataFrame(geometry=[shapely.Point(301_000, 9_399_000).buffer(700)], crs="EPSG:32720")
    area.to_crs(4326).to_file(folder / "district.gpkg")
    shown = str(write_pixelwise_model(folder / "shown.safetensors", display=True))
    known = {"dtype": "uint16", "threshold": 1000.0, "meaning": (0.0001, 0.0)}
    numbers = str(write_pixelwise_model(folder / "numbers.safetensors", **known))  # type: ignore[arg-type]
    return {LANDSAT: numbers, HLS: numbers, "": shown}


def test_the_page_has_a_command_for_every_usual_product() -> None:
    assert {command.split()[1] for command in COMMANDS} >= {SAFE, LANDSAT, HLS, "ortho.tif", "20240608_psscene.tif"}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[1])
def test_a_command_of_the_page_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    models = write_all(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)
    model = next(path for name, path in models.items() if name in words[1])
    words = [{"MODEL": model, "FOREST": models[""]}.get(word, word) for word in words]
    done = CliRunner().invoke(app, words)

    assert done.exit_code == 0, done.output
    (folder,) = (path for path in (tmp_path / "maps").iterdir() if not path.name.startswith("."))
    with rasterio.open(next(folder.glob("*_classes.tif"))) as raster:
        labels = raster.read(1)
    assert len(np.unique(labels[labels != 255])) >= 1
    if {"--mask", "--nodata", "--aoi"} & set(words):
        assert (labels == 255).any()
        assert "nodata:" in done.output
