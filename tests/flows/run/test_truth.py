"""Grid truth and nodata truth: each pixel lands where it was, and what is no data is no class."""

from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.features
from affine import Affine

from segflow.configs.run import RunSettings
from segflow.flows.run.segment import segment_scene
from tests.scenes import NORTH_UP, write_pixelwise_model, write_scene

GRIDS = {
    "projected": (NORTH_UP, "EPSG:32720"),
    "geographic": (Affine(9e-5, 0, -60, 0, -9e-5, -3), "EPSG:4326"),
    "rotated": (Affine(8, 3, 300_000, 3, -8, 9_400_000), "EPSG:32720"),
    "south-up": (Affine(10, 0, 300_000, 0, 10, 9_400_000), "EPSG:32720"),
    "non-square": (Affine(10, 0, 300_000, 0, -25, 9_400_000), "EPSG:32720"),
    "custom": (Affine(10, 0, 0, 0, -10, 0), "+proj=laea +lat_0=-5 +lon_0=-60 +datum=WGS84 +units=m"),
    "feet": (Affine(30, 0, 600_000, 0, -30, 200_000), "EPSG:2263"),
}
SHAPE = (300, 530)
MARK = (271, 513)  # in the last tile, past every border


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model that calls a pixel bright when its red exceeds 60."""
    return write_pixelwise_model(tmp_path / "bright.safetensors")


@pytest.mark.parametrize("name", GRIDS)
def test_the_grid_is_kept_and_a_marker_lands_on_its_pixel(name: str, model: Path, tmp_path: Path) -> None:
    """Transform and CRS are identical; the one bright pixel is the one bright polygon."""
    transform, crs = GRIDS[name]
    pixels = np.full((3, *SHAPE), 20, np.uint8)
    pixels[(0, *MARK)] = 200
    scene = write_scene(tmp_path / "scene.tif", pixels, transform=transform, crs=crs)
    folder = segment_scene(scene, RunSettings(out=str(tmp_path / "maps"), model=str(model), tile=256)).folder
    with rasterio.open(scene) as source:
        expected = (source.transform, source.crs, source.shape)
    for kind in ("classes", "confidence"):
        with rasterio.open(folder / f"scene_{kind}.tif") as product:
            assert (product.transform, product.crs, product.shape) == expected
    with rasterio.open(folder / "scene_classes.tif") as classes:
        assert np.argwhere(classes.read(1) == 1).tolist() == [list(MARK)]
    bright = geopandas.read_file(folder / "scene.gpkg", layer="bright")
    centre = transform @ (MARK[1] + 0.5, MARK[0] + 0.5)

    assert len(bright) == 1
    assert (bright.geometry[0].centroid.x, bright.geometry[0].centroid.y) == pytest.approx(centre)
    assert bright.geometry[0].area == pytest.approx(abs(transform.determinant))
    assert bright.crs == expected[1]
    assert bright["n_px"][0] == 1


def holes(seed: int) -> np.ndarray:
    """Give a (300, 530) bool array, False in some rectangles that cross tile borders."""
    rng = np.random.default_rng(seed)
    valid = np.ones(SHAPE, bool)
    for _ in range(12):
        top, left = rng.integers(0, SHAPE[0]), rng.integers(0, SHAPE[1])
        valid[top : top + rng.integers(1, 90), left : left + rng.integers(1, 90)] = False
    return valid


@pytest.mark.parametrize("kind", ["nodata", "mask", "alpha", "nan"])
def test_what_is_no_data_is_255_and_in_no_polygon(kind: str, tmp_path: Path) -> None:
    """By nodata value, internal mask, alpha band or NaN; a band that is merely 0 is data."""
    valid = holes(3)
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 120, (3, *SHAPE)).astype(np.float32 if kind == "nan" else np.uint8)
    if kind != "nodata":
        pixels[1, valid & (rng.random(SHAPE) < 0.3)] = 0
    options: dict[str, object] = {}
    if kind == "nodata":
        pixels[2, ~valid] = 0
        options["nodata"] = 0
    elif kind == "mask":
        options["mask"] = valid
    elif kind == "alpha":
        pixels = np.concatenate([pixels, np.where(valid, 255, 0).astype(np.uint8)[None]])
        options |= {"photometric": "rgb", "alpha": "yes"}
    else:
        pixels[0, ~valid] = np.nan
    scene = write_scene(tmp_path / "scene.tif", pixels, **options)  # type: ignore[arg-type]
    model = write_pixelwise_model(tmp_path / "m.safetensors", dtype=str(pixels.dtype))
    folder = segment_scene(scene, RunSettings(out=str(tmp_path / "maps"), model=str(model), tile=256)).folder
    with (
        rasterio.open(folder / "scene_classes.tif") as classes,
        rasterio.open(folder / "scene_confidence.tif") as percent,
    ):
        labels, confidence = classes.read(1), percent.read(1)
    frames = [geopandas.read_file(folder / "scene.gpkg", layer=name) for name in ("dark", "bright")]
    covered = rasterio.features.rasterize(
        [g for frame in frames for g in frame.geometry], out_shape=SHAPE, transform=NORTH_UP, all_touched=False
    )

    np.testing.assert_array_equal(labels == 255, ~valid)
    np.testing.assert_array_equal(confidence == 255, ~valid)
    np.testing.assert_array_equal(covered == 1, valid)
    assert sum(frame.area.sum() for frame in frames) + 100 * np.sum(~valid) == pytest.approx(100 * valid.size)
    assert sum(frame["n_px"].sum() for frame in frames) == valid.sum()
    np.testing.assert_array_equal(labels[valid], (pixels[0] > 60)[valid])


def test_a_scene_without_any_data_has_no_polygons(model: Path, tmp_path: Path) -> None:
    """The run finishes; both layers exist and are empty."""
    scene = write_scene(tmp_path / "scene.tif", np.zeros((3, *SHAPE), np.uint8), nodata=0)
    folder = segment_scene(scene, RunSettings(out=str(tmp_path / "maps"), model=str(model))).folder
    with rasterio.open(folder / "scene_classes.tif") as classes:
        assert (classes.read(1) == 255).all()
    assert [len(geopandas.read_file(folder / "scene.gpkg", layer=name)) for name in ("dark", "bright")] == [0, 0]


def test_probabilities_are_one_band_per_class(model: Path, tmp_path: Path) -> None:
    """Described by name, scaled by 1/200, adding up to 1."""
    rng = np.random.default_rng(0)
    scene = write_scene(tmp_path / "scene.tif", rng.integers(1, 120, (3, *SHAPE)).astype(np.uint8))
    settings = RunSettings(out=str(tmp_path / "maps"), model=str(model), probabilities=True)
    folder = segment_scene(scene, settings).folder
    with rasterio.open(folder / "scene_probabilities.tif") as product:
        shares = product.read().astype(int)

        assert product.descriptions == ("dark", "bright")
        assert product.scales == (1 / 200, 1 / 200)
    assert np.abs(shares.sum(0) - 200).max() <= 1


def test_small_polygons_are_dropped_whole(model: Path, tmp_path: Path) -> None:
    """By their area on the ground, wherever tile borders cut them."""
    pixels = np.full((3, *SHAPE), 20, np.uint8)
    pixels[0, 250:262, 250:262] = 200  # 144 px across four tiles
    pixels[0, 10:14, 10:14] = 200  # 16 px
    scene = write_scene(tmp_path / "scene.tif", pixels)
    settings = RunSettings(out=str(tmp_path / "maps"), model=str(model), tile=256, min_area=5000)
    bright = geopandas.read_file(segment_scene(scene, settings).folder / "scene.gpkg", layer="bright")

    assert bright["n_px"].tolist() == [144]
