"""Retraining from end to end: a model of another sensor, a shapefile in another CRS, a better model, a map."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import yaml
from affine import Affine
from rasterio.features import shapes
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.configs.training_files import load_training
from segflow.flows.models.lookup import find_model
from segflow.flows.train.labelled import plan_split, read_samples
from segflow.flows.train.scoring import score_samples
from segflow.flows.train.train import train_model
from segflow.io.models.packages import read_model_file
from segflow.io.work.training_log import read_training_log
from segflow.segmentation.predict.weights import restore_network
from segflow.segmentation.scores.metrics import Scores, confusion
from tests.scenes import write_scene

SIDE = 192  # px
SETTINGS = {
    "bands": ["red", "green", "blue"],
    "bands_chosen": [1, 2, 3],
    "gsd": 10,
    "gsd_range": [8, 12],
    "classes": [
        {"value": 0, "name": "field", "colour": "#d9c88f"},
        {"value": 1, "name": "forest", "colour": "#1b7837"},
    ],
    "arguments": {"widths": [6, 12]},
    "epochs": 5,
    "chips_per_epoch": 64,
    "batch": 4,
    "chip": 64,
    "learning_rate": 0.01,
    "averaging": 0.8,
    "threads": 1,
    "device": "cpu",
}
SUMMER = np.array([[90, 100, 60], [30, 45, 35]])  # red, green, blue of fields and of forest
WINTER = np.array([[60, 55, 75], [110, 60, 70]])  # bare fields; leaves have fallen on red soil


def land(seed: int, colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the pixels and the truth of a scene: forest in patches, its canopy rough and fields smooth."""
    random = np.random.default_rng(seed)
    truth = (gaussian_filter(random.normal(size=(SIDE, SIDE)), 10) > 0).astype(np.uint8)
    rough = random.normal(0, np.where(truth, 18, 8), (3, SIDE, SIDE))
    pixels = np.moveaxis(colours[truth], -1, 0) + rough + 10 * gaussian_filter(random.normal(size=(SIDE, SIDE)), 20)
    return pixels.clip(1, 255).astype(np.uint8), truth


def write_land(folder: Path, colours: np.ndarray, first: int, count: int) -> dict[str, np.ndarray]:
    """Write scenes into FOLDER/images; give the truth of each by name."""
    (folder / "images").mkdir(parents=True)
    truths = {}
    for seed in range(first, first + count):
        pixels, truths[f"land{seed}"] = land(seed, colours)
        write_scene(folder / "images" / f"land{seed}.tif", pixels, transform=place(seed))
    return truths


def place(seed: int) -> Affine:
    return Affine(10, 0, 300_000 + 5_000 * seed, 0, -10, 9_400_000)


def write_shapefile(path: Path, truths: dict[str, np.ndarray]) -> None:
    """Write what a mapper would hand over: polygons with a class name, in degrees."""
    rows = [
        {"landuse": "Wald" if value else "Acker", "geometry": shapely.geometry.shape(outline)}
        for name, truth in truths.items()
        for outline, value in shapes(truth, transform=place(int(name.removeprefix("land"))))
    ]
    frame = gpd.GeoDataFrame(rows, crs="EPSG:32720").to_crs("EPSG:4326")
    frame.to_file(path, driver="ESRI Shapefile")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of summer scenes, learnt from label rasters."""
    folder = tmp_path_factory.mktemp("summer")
    (folder / "labels").mkdir()
    for name, truth in write_land(folder, SUMMER, 0, 4).items():
        write_scene(folder / "labels" / f"{name}.tif", truth[None], transform=place(int(name[4:])))
    settings = {**SETTINGS, "name": "summer", "out": str(folder / "summer.safetensors"), "epochs": 4}
    settings |= {"validation": ["land2"], "test": ["land3"]}
    config = folder / "summer.yaml"
    config.write_text(yaml.safe_dump(settings))
    return train_model(load_training(config, environment={}))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Winter scenes whose labels are a shapefile in degrees, with a config that leaves the split to its default."""
    folder = tmp_path_factory.mktemp("winter")
    write_shapefile(folder / "landuse.shp", write_land(folder, WINTER, 10, 6))
    settings = {
        **SETTINGS,
        "name": "winter",
        "out": str(folder / "winter.safetensors"),
        "labels": "landuse.shp",
        "class_field": "landuse",
        "class_values": {"Acker": 0, "Wald": 1},
    }
    path = folder / "winter.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def mean_iou(model: Path, config: Path) -> float:
    """Score a model on the kept-out scenes of a config."""
    settings, found = load_training(config, environment={}), find_model(str(model))
    test = read_samples(plan_split(settings), "test", settings, dependency=found.spec.dependency)
    scores = score_samples(restore_network(found.spec, read_model_file(model)[1]), test, found.spec)
    assert isinstance(scores["mean_iou"], float)
    return scores["mean_iou"]


def test_a_retrained_model_beats_its_start_on_a_kept_out_scene_and_maps_it(
    start: Path, config: Path, tmp_path: Path
) -> None:
    trained = CliRunner().invoke(app, ["train", str(config), "--from", str(start)])
    settings = load_training(config, environment={})
    model = Path(settings.out)
    (kept_out,) = plan_split(settings).names("test")
    spec = find_model(str(model)).spec
    before, after = mean_iou(start, config), mean_iou(model, config)

    assert trained.exit_code == 0, trained.output
    assert "starts from the weights of summer" in trained.stderr
    assert after > 0.9
    assert before < 0.6
    assert list(spec.metrics["test"]["scenes"]) == [kept_out]
    assert spec.metrics["test"]["mean_iou"] == pytest.approx(after, abs=1e-4)
    assert spec.provenance["start"]["name"] == "summer"
    begun = find_model(str(start)).spec.bands  # weights and scaling belong together
    assert [(b.name, b.mean, b.std) for b in spec.bands] == [(b.name, b.mean, b.std) for b in begun]
    beginning = read_training_log(settings.log_folder)[0]
    assert {"labels: 'Acker' is 0 (field)", "labels: 'Wald' is 1 (forest)"} <= set(beginning["notes"])

    scene = config.parent / "images" / f"{kept_out}.tif"
    mapped = CliRunner().invoke(app, ["run", str(scene), "--model", str(model), "--out", str(tmp_path)])
    with rasterio.open(tmp_path / kept_out / f"{kept_out}_classes.tif") as dataset:
        found = dataset.read(1)
    scores = Scores.of(confusion(land(int(kept_out[4:]), WINTER)[1], found, 2))

    assert mapped.exit_code == 0, mapped.output
    assert scores.mean_iou > 0.9
    assert (tmp_path / kept_out / f"{kept_out}.gpkg").is_file()
