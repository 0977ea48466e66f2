"""The demo scene: the same everywhere, true to its truth, and as real scenes are."""

import hashlib

import numpy as np
import pyogrio
import pytest
import rasterio
from rasterio.features import rasterize
from scipy import ndimage

from segflow.io.demo.scene import write_demo_scene
from segflow.io.demo.terrain import drainage, fractal

SIZE = 1024


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return write_demo_scene(tmp_path_factory.mktemp("demo"), size=SIZE)


@pytest.fixture(scope="module")
def pixels(demo):
    with rasterio.open(demo.scene) as scene:
        return scene.read()


@pytest.fixture(scope="module")
def truth(demo):
    with rasterio.open(demo.truth) as raster:
        return raster.read(1)


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_the_same_bytes_every_time(demo, tmp_path):
    write_demo_scene(tmp_path, size=SIZE)
    write_demo_scene(tmp_path, size=SIZE)  # over its own files

    assert digests(tmp_path) == digests(demo.scene.parent)


def test_scene_and_truth_share_a_projected_grid(demo):
    with rasterio.open(demo.scene) as scene, rasterio.open(demo.truth) as truth:
        assert scene.profile["transform"] == truth.profile["transform"]
        assert scene.crs == truth.crs
        assert scene.shape == truth.shape == (SIZE, SIZE)
        assert scene.crs.is_projected
        assert scene.res == (10, 10)
        assert scene.dtypes == ("uint8",) * 3
        assert scene.descriptions == ("red", "green", "blue")
        assert (scene.nodata, truth.nodata) == (0, 255)


def test_nodata_is_a_wedge_in_scene_and_truth(pixels, truth):
    nodata = truth == 255
    labels, count = ndimage.label(nodata)

    assert count == 1
    assert labels[0, 0] == 1
    np.testing.assert_array_equal((pixels == 0).any(axis=0), nodata)
    np.testing.assert_array_equal((pixels == 0).all(axis=0), nodata)


def test_the_polygons_are_the_forest_of_the_truth(demo, truth):
    table = pyogrio.read_dataframe(demo.labels)
    with rasterio.open(demo.truth) as raster:
        expected_crs, transform = raster.crs, raster.transform
    actual = rasterize(table.geometry, out_shape=truth.shape, transform=transform)

    np.testing.assert_array_equal(actual == 1, truth == 1)
    assert table.geometry.is_valid.all()
    assert set(table["class"]) == {"forest"}
    assert set(table["scene"]) == {"demo"}
    assert table.crs.to_epsg() == expected_crs.to_epsg() == 32720


def test_both_classes_fill_a_good_part(truth):
    shares = [(truth == value).mean() for value in (0, 1)]

    assert min(shares) > 0.15


def test_forest_looks_like_the_forest_of_real_scenes(pixels, truth, shared_data):
    folder = shared_data / "forest-amazon"
    real = []
    for image in sorted((folder / "images").glob("*.tif")):
        with rasterio.open(image) as scene, rasterio.open(folder / "labels" / image.name) as raster:
            forest = scene.read()[:, raster.read(1) == 1]
        if forest.size:
            real.append((forest.mean(axis=1), forest.std(axis=1)))
    means, deviations = np.swapaxes(real, 0, 1)
    ours = pixels[:, truth == 1]

    assert (np.abs(ours.mean(axis=1) - means.mean(axis=0)) < means.std(axis=0)).all()
    assert (np.abs(np.log2(ours.std(axis=1) / np.median(deviations, axis=0))) < 0.5).all()


def test_a_fractal_is_standardised_and_smoother_when_less_rough():
    fields = [fractal(np.random.default_rng(3), 256, wavelength=64, roughness=rough) for rough in (0.3, 0.9)]

    assert [field.shape for field in fields] == [(256, 256)] * 2
    assert [field.std() for field in fields] == pytest.approx([1, 1], abs=1e-3)
    assert np.diff(fields[0]).std() < np.diff(fields[1]).std() / 2


def test_all_water_leaves_over_the_border():
    land = drainage(fractal(np.random.default_rng(5), 64, wavelength=32, roughness=0.5))
    border = np.ones(land.shape, dtype=bool)
    border[1:-1, 1:-1] = False

    assert land.min() == 1
    assert land.max() > 64
    assert land[border].sum() == land.size


def test_water_follows_a_valley():
    valley = np.abs(np.arange(-10, 11, dtype=np.float32))[None] + np.arange(30, dtype=np.float32)[:, None] / 10
    land = drainage(valley)

    assert land[0, 10] == land.max()
    assert (land[1:-2].argmax(axis=1) == 10).all()
