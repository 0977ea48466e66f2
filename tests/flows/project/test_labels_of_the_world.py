"""Labels from files as people have them, through the commands: places, datums, masks, names; no loss is silent."""

import json
import unicodedata
from pathlib import Path

import geopandas
import numpy as np
import pytest
from affine import Affine
from pyproj import CRS, Transformer
from shapely import Polygon, box, get_coordinates
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.configs.project import project_text
from segflow.configs.training import TrainSettings
from segflow.configs.training_files import load_training
from segflow.errors import SceneError, SettingsError
from segflow.flows.project.labels import add_labels
from segflow.flows.project.start import add_images, init_project
from segflow.flows.train.label_source import find_labels, find_scenes
from segflow.flows.train.splitting import plan_split
from tests.scenes import write_scene

SIDE = 96  # px
GK3 = CRS.from_epsg(31467)


def scene(path: Path, crs: str, x: float, y: float) -> Path:
    pixels = np.random.default_rng(int(x)).integers(1, 255, (3, SIDE, SIDE), dtype=np.uint8)
    return write_scene(path, pixels, crs=crs, transform=Affine(10, 0, x, 0, -10, y))


def in_degrees(crs: str, shape: Polygon) -> Polygon:
    lon, lat = Transformer.from_crs(crs, 4326, always_xy=True).transform(*get_coordinates(shape.segmentize(50)).T)
    return Polygon(np.column_stack([lon, lat]))


def start(tmp_path: Path, *scenes: Path, classes: str = "0:other,1:forest") -> Path:
    folder = tmp_path / "project"
    init_project(folder, classes=classes)
    add_images(folder, scenes)
    return folder


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.output + str(result.exception or "")


@pytest.fixture
def fiji(tmp_path: Path) -> tuple[Path, Path]:
    """A project with a scene across the 180th meridian and one elsewhere; labels on both sides, here and nowhere."""
    x, y = Transformer.from_crs(4326, 32760, always_xy=True).transform(180, -17)
    x, y = round(x) - 480, round(y) + 480
    folder = start(
        tmp_path, scene(tmp_path / "fiji.tif", "EPSG:32760", x, y), scene(tmp_path / "land.tif", "EPSG:32633", 5e5, 5e6)
    )
    parts = [box(x + a, y - 400, x + b, y - 200) for a, b in ((100, 400), (500, 900))]
    shapes = [in_degrees("EPSG:32760", part) for part in parts]
    shapes += [
        in_degrees("EPSG:32633", box(500_100, 4_999_500, 500_300, 4_999_700)),
        box(50, 10, 51, 11),
        box(95, 0, 96, 1),
    ]
    geopandas.GeoDataFrame({"class": ["forest"] * 5}, geometry=shapes, crs=4326).to_file(tmp_path / "labels.gpkg")
    return folder, tmp_path / "labels.gpkg"


@pytest.mark.parametrize("background", [None, "other"])
def test_no_label_vanishes_at_180_degrees(fiji: tuple[Path, Path], background: str | None) -> None:
    folder, labels = fiji
    step = add_labels(folder, [str(labels)], field="class", background=background)
    pixels = {name: entry["pixels"]["forest"] for name, entry in step.facts["scenes"].items()}

    assert pixels == {"fiji": 20 * 30 + 20 * 40, "land": 20 * 20}
    assert "note: 2 of 5 polygons lie on no scene" in step.describe()
    assert step.facts["polygons_on_no_scene"] == 2
    settings = load_training(folder, ["split={by: block, block: 32}"], environment={})
    assert any("2 of 5 polygons lie on no scene" in note for note in plan_split(settings).notes)


def test_a_scene_that_is_all_background_is_named(fiji: tuple[Path, Path], tmp_path: Path) -> None:
    folder, _ = fiji
    frame = geopandas.read_file(tmp_path / "labels.gpkg").iloc[:2]
    moved = geopandas.GeoDataFrame(
        {"class": ["forest"] * 2}, geometry=[*frame.geometry[:1], box(14, 44, 14.5, 46)], crs=4326
    )
    moved.to_file(tmp_path / "other.gpkg")
    told = add_labels(folder, [str(tmp_path / "other.gpkg")], field="class", background="other").describe()

    assert "1 of 2 scenes hold no polygon, so all of their land is background: land" in told


def test_a_guessed_datum_stops_until_it_is_allowed(tmp_path: Path) -> None:
    folder = start(tmp_path, scene(tmp_path / "s.tif", "EPSG:25832", 500_000, 5_600_000))
    there = Transformer.from_crs(25832, GK3, always_xy=True)
    xy = np.column_stack(there.transform(*get_coordinates(box(500_200, 5_599_300, 500_700, 5_599_800)).T))
    geopandas.GeoDataFrame({"class": ["forest"]}, geometry=[Polygon(xy)], crs=GK3).to_file(tmp_path / "l.shp")
    text = GK3.to_wkt("WKT1_ESRI").replace("D_Deutsches_Hauptdreiecksnetz", "D_local")
    (tmp_path / "l.prj").write_text(text.replace("GCS_Deutsches", "GCS_my").replace("DHDN_3", "my_3"))
    command = ("project", "add", "labels", "-p", folder, tmp_path / "l.shp", "--class-field", "class")
    before = (folder / "project.yaml").read_text()
    code, told = run(*command)

    assert code == 1
    assert "may be off by 160 m, 16 px of the scene" in told
    assert (folder / "project.yaml").read_text() == before
    code, told = run(*command, "--allow-datum-shift", "--json")
    assert code == 0
    assert any("off by 160 m" in note for note in json.loads(told)["notes"])
    settings = load_training(folder, ["split={by: block, block: 32}"], environment={})
    assert settings.allow_datum_shift
    assert any("off by 160 m" in note for note in plan_split(settings).notes)
    with pytest.raises(SceneError, match="allow_datum_shift: true"):
        plan_split(load_training(folder, ["allow_datum_shift=false"], environment={}))


def test_a_mask_of_0_and_255_is_counted_and_mapped(tmp_path: Path) -> None:
    folder = start(tmp_path, scene(tmp_path / "s.tif", "EPSG:32633", 5e5, 5e6))
    mask = np.zeros((1, SIDE, SIDE), np.uint8)
    mask[:, :, :36] = 255
    raster = write_scene(
        tmp_path / "masks.tif", mask, crs="EPSG:32633", transform=Affine(10, 0, 5e5, 0, -10, 5e6), nodata=255
    )
    raster = raster.rename(tmp_path / "s_mask" / "s.tif") if (tmp_path / "s_mask").mkdir() is None else raster
    code, told = run("project", "add", "labels", "-p", folder, raster)

    assert code == 0
    assert f"255 was ignored: {36 * SIDE:,} pixels" in told
    assert "--map 255=forest" in told
    code, told = run("project", "add", "labels", "-p", folder, raster, "--map", "255=forest", "--json")
    assert json.loads(told)["scenes"]["s"]["pixels"] == {"other": 60 * SIDE, "forest": 36 * SIDE}
    assert "ignored" not in told


def test_names_are_one_however_their_letters_were_typed(tmp_path: Path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "Gehölz") for form in ("NFC", "NFD"))
    home = scene(tmp_path / f"{unicodedata.normalize('NFD', 'Wäldchen')}.tif", "EPSG:32633", 5e5, 5e6)
    folder = start(tmp_path, home, classes=f"other,{nfd}")
    shape = in_degrees("EPSG:32633", box(500_100, 4_999_500, 500_300, 4_999_700))
    geopandas.GeoDataFrame({"class": [nfd]}, geometry=[shape], crs=4326).to_file(tmp_path / "labels.gpkg")
    for entry in ({}, {nfc: nfd}, {nfd: nfc}):
        step = add_labels(folder, [str(tmp_path / "labels.gpkg")], field="class", classes=entry)

        assert step.facts["scenes"]["Wäldchen"]["pixels"] == {"other": 0, nfc: 400}
    settings = load_training(folder, [f"class_values={{{nfd}: 1}}"], environment={})
    assert (settings.class_values, settings.classes[1].name) == ({nfc: 1}, nfc)
    (folder / "labels").mkdir()
    write_scene(
        folder / "labels" / "Wäldchen.tif",
        np.ones((1, SIDE, SIDE), np.uint8),
        crs="EPSG:32633",
        transform=Affine(10, 0, 5e5, 0, -10, 5e6),
    )
    rasters = load_training(folder, ["labels=labels", "class_values={}"], environment={})
    (path,) = find_scenes(rasters).values()
    assert find_labels(path, rasters) is not None


def test_land_without_a_label_is_ignored_by_default(project_root: Path) -> None:
    (default,) = (field.default for field in TrainSettings.__dataclass_fields__.values() if field.name == "background")

    assert default == 255
    assert "background: 255" in project_text("x")
    assert "| `background` | `--set background=…` | 255 |" in (project_root / "docs/settings.md").read_text("utf-8")
    assert "Its default is 255" in (project_root / "docs/training.md").read_text("utf-8")


def test_labels_that_leave_nothing_say_why(tmp_path: Path) -> None:
    folder = start(tmp_path, scene(tmp_path / "s.tif", "EPSG:32633", 5e5, 5e6))
    geopandas.GeoDataFrame(
        {"class": ["forest"] * 2}, geometry=[box(14, 45.3, 14.1, 45.4), box(15.5, 44, 16, 44.5)], crs=4326
    ).to_file(tmp_path / "l.gpkg")
    with pytest.raises(SettingsError, match=r"leave no labelled pixel.*none of its 2 polygons lies on a scene"):
        add_labels(folder, [str(tmp_path / "l.gpkg")], field="class")
