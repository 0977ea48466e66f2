"""Outputs that are made when they are asked for: rasters of uncertainty, lengths of lines."""

import json
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio

from segflow.configs.run import RunSettings
from segflow.errors import SettingsError
from segflow.flows.planning.plan import plan_run
from segflow.flows.run.segment import segment_scene
from segflow.flows.run.verify import verify_products
from segflow.segmentation.scores.uncertainty import entropy, margin
from tests.scenes import write_pixelwise_model, write_scene


def test_uncertainty_is_what_the_formulas_say() -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet((0.4, 0.4, 0.4), (30, 40)).transpose(2, 0, 1)
    packed = np.rint(shares * 200).astype(np.uint8)
    packed[:, :3] = 255
    first, second = -np.sort(-shares, axis=0)[:2]
    bits = -(shares * np.log(np.maximum(shares, 1e-300))).sum(axis=0) / np.log(3)

    assert np.abs(entropy(packed)[3:] / 200 - bits[3:]).max() < 0.03
    assert np.abs(margin(packed)[3:] / 200 - (1 - first + second)[3:]).max() < 0.02
    assert (entropy(packed)[:3] == 255).all()
    assert (margin(packed)[:3] == 255).all()
    assert entropy(np.full((2, 1, 1), 100, np.uint8)).item() == margin(np.full((2, 1, 1), 100, np.uint8)).item() == 200
    assert (
        entropy(np.array([[[200]], [[0]]], np.uint8)).item() == margin(np.array([[[200]], [[0]]], np.uint8)).item() == 0
    )


@pytest.mark.parametrize("kind", ["entropy", "margin"])
def test_a_raster_of_uncertainty_is_written_and_listed(tmp_path: Path, kind: str) -> None:
    scene = write_scene(tmp_path / "scene.tif", np.random.default_rng(0).integers(1, 255, (3, 90, 110), np.uint8))
    model = str(write_pixelwise_model(tmp_path / "m.safetensors"))
    settings = RunSettings(model=model, out=str(tmp_path / "out"), probabilities=True, uncertainty=kind)  # type: ignore[arg-type]
    result = segment_scene(scene, settings)
    with rasterio.open(result.folder / "scene_probabilities.tif") as raster:
        shares = raster.read()
    with rasterio.open(result.folder / f"scene_{kind}.tif") as raster:
        found, scale = raster.read(1), raster.scales[0]
        stated = raster.dtypes[0], raster.nodata, raster.descriptions[0]
    item = json.loads((result.folder / "scene.json").read_text())

    assert np.array_equal(found, {"entropy": entropy, "margin": margin}[kind](shares))
    assert scale == 1 / 200
    assert stated[:2] == ("uint8", 255)
    assert stated[2]
    assert (
        item["assets"][kind]["bands"][0]["raster:scale"] == item["assets"]["probabilities"]["bands"][0]["raster:scale"]
    )
    assert f"scene_{kind}.tif" in (result.folder / "scene.html").read_text()
    assert {f"scene_{kind}.tif", f"scene_{kind}.qml"} <= set(plan_run(scene, settings).products.names)
    assert {kind, f"{kind}-legend"} <= item["assets"].keys()
    assert 'maximumValue="1"' in (result.folder / f"scene_{kind}.qml").read_text()
    assert verify_products(result.folder).sound
    assert not (result.folder / "scene_probabilities.tif").samefile(result.folder / f"scene_{kind}.tif")


def test_uncertainty_needs_no_raster_of_probabilities(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", np.random.default_rng(0).integers(1, 255, (3, 60, 70), np.uint8))
    model = str(write_pixelwise_model(tmp_path / "m.safetensors"))
    result = segment_scene(scene, RunSettings(model=model, out=str(tmp_path / "out"), uncertainty="margin"))

    assert (result.folder / "scene_margin.tif").is_file()
    assert not (result.folder / "scene_probabilities.tif").exists()


def test_kilometres_of_lines_are_told(tmp_path: Path) -> None:
    pixels = np.full((3, 100, 400), 10, np.uint8)
    pixels[:, 48:53, 5:395] = 200
    scene = write_scene(tmp_path / "scene.tif", pixels)
    model = str(write_pixelwise_model(tmp_path / "m.safetensors", geometry="line"))
    settings = RunSettings(model=model, out=str(tmp_path / "out"), classes=("bright",))
    result = segment_scene(scene, settings)
    lines = pyogrio.read_dataframe(result.folder / "scene.gpkg", layer="bright")
    item = json.loads((result.folder / "scene.json").read_text())["properties"]["segflow:classes"]
    told = {entry["name"]: entry.get("length_km") for entry in item}

    assert told["bright"] == pytest.approx(lines["length_m"].sum() / 1000, abs=1e-5) == pytest.approx(3.9, abs=0.1)
    assert result.as_dict()["length_km"] == {"bright": told["bright"]}
    assert "lines: bright 3.9 km" in result.describe() or "lines: bright 3.8" in result.describe()
    assert segment_scene(scene, settings).length_km == result.length_km
    assert f"{told['bright']:,.3f} km" in (result.folder / "scene.html").read_text()


def test_each_class_has_its_own_minimum_area(tmp_path: Path) -> None:
    """Of bright spots in the dark and dark spots in the light only those of the class with a minimum go."""
    pixels = np.full((3, 100, 200), 20, np.uint8)
    pixels[0, :, 100:] = 200
    pixels[0, 10:13, 10:13] = 200  # 900 m²
    pixels[0, 40:50, 40:50] = 200  # 10,000 m²
    pixels[0, 10:13, 150:153] = 20
    scene = write_scene(tmp_path / "scene.tif", pixels)
    model = str(write_pixelwise_model(tmp_path / "m.safetensors"))

    def objects(**settings: object) -> dict[str, list[int]]:
        chosen = RunSettings(model=model, out=str(tmp_path / "out"), **settings)  # type: ignore[arg-type]
        result = segment_scene(scene, chosen)
        layers = [pyogrio.read_dataframe(result.folder / "scene.gpkg", layer=name) for name in ("dark", "bright")]
        return {layer["class_name"][0]: sorted(layer["n_px"]) for layer in layers}

    assert objects() == {"dark": [9, 9891], "bright": [9, 100, 9991]}
    assert objects(min_area={"bright": 1000.0}) == {"dark": [9, 9900], "bright": [100, 9991]}
    assert objects(min_area={"dark": 1000.0}) == {"dark": [9891], "bright": [9, 100, 10000]}
    assert objects(min_area={"bright": 20_000.0, "dark": 1000.0}) == {"dark": [10000], "bright": [10000]}
    item = json.loads((tmp_path / "out" / "scene" / "scene.json").read_text())["properties"]
    page = (tmp_path / "out" / "scene" / "scene.html").read_text()

    assert {(each["from"], each["to"], each["pixels"]) for each in item["segflow:moved"]} == {
        ("dark", "bright", 9),
        ("bright", "dark", 109),
    }
    assert "bright 20000 m², dark 1000 m²; of other classes one pixel" in page
    assert verify_products(tmp_path / "out" / "scene").sound
    with pytest.raises(SettingsError, match=r"--min-area: class 'brihgt' is not a class of model.*dark, bright"):
        objects(min_area={"brihgt": 10.0})


def test_the_order_of_minimum_areas_changes_nothing(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", np.random.default_rng(0).integers(1, 255, (3, 60, 70), np.uint8))
    model, out = str(write_pixelwise_model(tmp_path / "m.safetensors")), str(tmp_path / "out")
    segment_scene(scene, RunSettings(model=model, out=out, min_area={"dark": 500.0, "bright": 900.0}))
    again = segment_scene(scene, RunSettings(model=model, out=out, min_area={"bright": 900.0, "dark": 500.0}))
    other = segment_scene(scene, RunSettings(model=model, out=out, min_area={"bright": 500.0, "dark": 900.0}))

    assert again.finished_before
    assert not other.finished_before
