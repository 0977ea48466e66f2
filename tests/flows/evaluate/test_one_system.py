"""A compound system and its horizontal part are one grid, for every command that compares grids."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import CRS

from segflow.configs.run import RunSettings
from segflow.configs.vectors import VectorizeSettings
from segflow.errors import SceneError
from segflow.flows.evaluate.evaluation import run_evaluation
from segflow.flows.evaluate.reference import EvaluateSettings
from segflow.flows.progress import Silence
from segflow.flows.run.segment import segment_scene
from segflow.flows.run.verify import verify_products
from segflow.flows.vectorize.vectorize import vectorize
from segflow.io.labels.rasters import open_label_raster
from segflow.io.scene.scenes import describe_scene
from segflow.tiling import Window
from tests.scenes import write_pixelwise_model, write_scene

AT = Affine(10, 0, 500_000, 0, -10, 5_600_000)
WRITINGS = {
    "compound": "EPSG:25832+7837",
    "compound WKT1": CRS("EPSG:25832+5783").to_wkt("WKT1_GDAL"),
    "ESRI": CRS("EPSG:25832").to_wkt("WKT1_ESRI"),
    "proj4": "+proj=utm +zone=32 +ellps=GRS80 +towgs84=0,0,0,0,0,0,0 +units=m +no_defs",
}


@pytest.mark.parametrize("writing", WRITINGS)
def test_map_reference_labels_and_confidence_lie_on_one_grid(tmp_path: Path, writing: str) -> None:
    classes = np.random.default_rng(0).integers(0, 2, (40, 50)).astype(np.uint8)
    one = write_scene(tmp_path / "a_classes.tif", classes[None], crs="EPSG:25832", transform=AT, nodata=255)
    other = write_scene(tmp_path / "b.tif", classes[None], crs=WRITINGS[writing], transform=AT, nodata=255)
    percent = np.full((1, 40, 50), 80, np.uint8)
    write_scene(tmp_path / "a_confidence.tif", percent, crs=WRITINGS[writing], transform=AT, nodata=255)
    grid = describe_scene(one).grid
    for pair in ((one, other), (other, one)):
        done = run_evaluation(pair[0], str(pair[1]), EvaluateSettings(), tmp_path, Silence())
        assert (done.result["pixels"], done.result["scores"]["pixel_accuracy"]) == (2000, 1)
    labels = open_label_raster(other, grid, (0, 1)).read(Window.of_shape(40, 50))

    assert np.array_equal(labels, classes)
    assert vectorize(one, VectorizeSettings(workers=1)).path.is_file()


def test_another_datum_is_another_grid(tmp_path: Path) -> None:
    classes = np.ones((1, 40, 50), np.uint8)
    one = write_scene(tmp_path / "a_classes.tif", classes, crs="EPSG:25832", transform=AT, nodata=255)
    other = write_scene(tmp_path / "b.tif", classes, crs="EPSG:32632+5773", transform=AT, nodata=255)
    with pytest.raises(SceneError, match="another grid"):
        run_evaluation(one, str(other), EvaluateSettings(), tmp_path, Silence())
    write_scene(tmp_path / "a_confidence.tif", classes * 80, crs="EPSG:32632", transform=AT, nodata=255)
    for work in (
        lambda: vectorize(one, VectorizeSettings(workers=1)),
        lambda: run_evaluation(one, str(one), EvaluateSettings(), tmp_path, Silence()),
    ):
        with pytest.raises(SceneError, match=r"a_confidence\.tif"):
            work()


def test_scenes_masks_and_maps_of_one_system_fit(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (3, 64, 80), np.uint8)
    left = write_scene(tmp_path / "l.tif", pixels, crs="EPSG:25832+7837", transform=AT)
    right = write_scene(tmp_path / "r.tif", pixels, crs="EPSG:25832", transform=AT @ Affine.translation(80, 0))
    cloud = np.zeros((1, 64, 160), np.uint8)
    cloud[:, :, :7] = 1
    mask = write_scene(tmp_path / "cloud.tif", cloud, crs="EPSG:25832", transform=AT)
    model = str(write_pixelwise_model(tmp_path / "m.safetensors"))
    settings = RunSettings(model=model, out=str(tmp_path / "out"), name="both", mask=(f"{mask}:1",))
    result = segment_scene([left, right], settings)
    with rasterio.open(result.folder / "both_classes.tif") as raster:
        found = raster.read(1)

    assert (found[:, :7] == 255).all()
    assert (found[:, 7:] != 255).all()
    assert verify_products(result.folder).sound
