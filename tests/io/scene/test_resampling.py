"""A scene read at another resolution: exact weights, the same bits whatever window is read, the same footprint."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling

from segflow.configs.run import RunSettings
from segflow.errors import SceneMismatchError
from segflow.flows.planning.plan import plan_run
from segflow.flows.run.segment import segment_scene
from segflow.flows.run.verify import verify_products
from segflow.io.scene.ground import gsd
from segflow.io.scene.resampling import ResampledAxis, resample_scene
from segflow.io.scene.scenes import describe_scene, open_scene
from segflow.tiling import Span, Window
from tests.scenes import write_pixelwise_model, write_scene

SHAPE = (91, 78)


def fine(side: float) -> Affine:
    return Affine(side, 0, 300_000, 0, -side, 9_400_000)


def holes(shape, seed=1):
    """Where a scene holds data: most of it, with a large hole and many single pixels without."""
    mask = np.random.default_rng(seed).random(shape) > 0.1
    mask[10:31, 40:66] = False
    return mask


@pytest.fixture(scope="module", params=["uint8", "uint16", "float32"])
def scene(request, tmp_path_factory):
    """A scene with holes, as its file says, and its pixels."""
    top = {"uint8": 255, "uint16": 65535, "float32": 1}[request.param]
    pixels = (np.random.default_rng(0).random((2, *SHAPE)) * top).astype(request.param)
    path = write_scene(
        tmp_path_factory.mktemp("scene") / "scene.tif", pixels, transform=fine(5), mask=holes(SHAPE), crs="EPSG:32633"
    )
    return describe_scene(path), pixels, holes(SHAPE)


def read(info, window=None):
    with open_scene(info, tuple(band.number for band in info.bands)) as opened:
        return opened.read_window(window or info.grid.window)


def weights_of(length: int, count: int, made: int) -> dict[int, Fraction]:
    """Give what a pixel is made of, by the definition: areas covered, or distances to centres."""
    size = Fraction(length, count)
    if size >= 1:
        start, stop = made * size, (made + 1) * size
        return {
            n: covered for n in range(length) if (covered := min(stop, Fraction(n + 1)) - max(start, Fraction(n))) > 0
        }
    centre = (made + Fraction(1, 2)) * size - Fraction(1, 2)
    found: dict[int, Fraction] = {}
    for n in (centre // 1, centre // 1 + 1):
        place = min(max(int(n), 0), length - 1)
        found[place] = found.get(place, Fraction(0)) + 1 - abs(centre - n)
    return {n: weight for n, weight in found.items() if weight}


def matrix_of(length: int, count: int) -> np.ndarray:
    """Give the same as a (count, length) array."""
    matrix = np.zeros((count, length))
    for made in range(count):
        for n, weight in weights_of(length, count, made).items():
            matrix[made, n] = weight
    return matrix


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_weights_are_areas_and_distances_in_whole_numbers(length, count, data):
    axis = ResampledAxis(length=length, count=count)
    start = data.draw(st.integers(0, count - 1))
    numbers, weights = axis.taps(Span(start, count))
    expected = [weights_of(length, count, made) for made in range(start, count)]
    found = []
    for places, shares in zip(numbers.tolist(), weights.tolist(), strict=True):
        total = {n: sum(w for m, w in zip(places, shares, strict=True) if m == n) for n in set(places)}
        found.append({n: Fraction(w) for n, w in total.items() if w})
    unit = axis.ratio[1] if length >= count else 2 * axis.ratio[1]

    assert [{n: Fraction(w, unit) for n, w in pixel.items()} for pixel in found] == expected
    assert {sum(shares) for shares in weights.tolist()} == {axis.total}
    assert numbers.min() >= 0
    assert numbers.max() < length


@pytest.mark.parametrize("wanted", [10.0, 7.3, 3.1, 2.5, 20.0])
def test_any_window_holds_the_same_bits_as_the_whole_scene(scene, wanted, monkeypatch):
    info, _, _ = scene
    resampled = resample_scene(info, wanted)
    whole, whole_valid = read(resampled)
    rng = np.random.default_rng(2)
    height, width = resampled.grid.shape

    assert resampled.grid.shape != info.grid.shape
    assert 0.05 < whole_valid.mean() < 0.95
    for strip in (2**22, 500):  # one strip, and many
        monkeypatch.setattr("segflow.io.scene.resampling.STRIP", strip)
        for _ in range(12):
            (top, bottom), (left, right) = (np.sort(rng.integers(0, side + 9, 2)) for side in (height, width))
            window = Window(Span(int(top), int(bottom)), Span(int(left), int(right)))
            pixels, valid = read(resampled, window)
            inside = window.clip(resampled.grid.window)
            rows, cols = inside.relative_to(window).slices

            assert np.array_equal(pixels[:, rows, cols], whole[(..., *inside.slices)])
            assert np.array_equal(valid[rows, cols], whole_valid[inside.slices])
            assert valid.sum() == whole_valid[inside.slices].sum()


@pytest.mark.parametrize("wanted", [10.0, 7.3, 3.1])
def test_a_pixel_is_the_weighted_mean_of_what_holds_data(scene, wanted):
    info, pixels, holds = scene
    resampled = resample_scene(info, wanted)
    down, across = map(matrix_of, info.grid.shape, resampled.grid.shape)
    share = (down @ holds @ across.T) / (down.sum(1)[:, None] * across.sum(1))
    total = down @ (pixels.astype(np.float64) * holds) @ across.T
    mean = total / np.maximum(down @ holds.astype(np.float64) @ across.T, 1e-12)
    found, valid = read(resampled)
    step = 0.51 if info.dtype != "float32" else 1e-6
    clear = np.abs(share - 0.5) > 1e-9

    assert np.array_equal((share >= 0.5)[clear], valid[clear])
    assert (found[:, ~valid] == 0).all()
    assert np.abs(found - mean)[:, valid].max() <= step


def test_twice_as_coarse_is_the_mean_of_four_as_gdal_takes_it(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 60000, (1, 64, 96)).astype(np.uint16)
    path = write_scene(tmp_path / "scene.tif", pixels, transform=fine(5))
    found, valid = read(resample_scene(describe_scene(path), 10.0))
    with rasterio.open(path) as dataset:
        oracle = dataset.read(out_shape=(1, 32, 48), resampling=Resampling.average)

    assert valid.all()
    assert np.array_equal(np.rint(pixels.reshape(1, 32, 2, 48, 2).mean(axis=(2, 4))), found)
    assert np.abs(found.astype(int) - oracle).max() <= 1  # GDAL rounds halves up, we to even


def test_a_constant_stays_constant_at_the_edges_too(tmp_path):
    path = write_scene(tmp_path / "scene.tif", np.full((1, 37, 41), 77, np.uint8), transform=fine(25))
    for wanted in (10.0, 3.0, 40.0):
        found, valid = read(resample_scene(describe_scene(path), wanted))

        assert valid.all()
        assert (found == 77).all()


@pytest.mark.parametrize(
    ("shape", "side", "wanted", "expected"),
    [
        ((200, 300), 5, 10, (100, 150)),  # 4.998 m on the ground, but twice is meant
        ((201, 301), 5, 10, (101, 151)),
        ((200, 300), 10, 10, (200, 300)),  # as it is
        ((200, 300), 20, 10, (400, 600)),
        ((300, 300), 3, 10, (90, 90)),
        ((3, 1), 1, 10, (1, 1)),
    ],
)
def test_the_footprint_stays_and_whole_ratios_are_kept(tmp_path, shape, side, wanted, expected):
    info = describe_scene(write_scene(tmp_path / "s.tif", np.ones((1, *shape), np.uint8), transform=fine(side)))
    resampled = resample_scene(info, wanted)

    assert resampled.grid.shape == expected
    assert np.allclose(resampled.grid.corners, info.grid.corners, atol=1e-6)
    assert resampled.native == (None if expected == shape else info.grid)
    assert resampled.grid.crs == info.grid.crs


def test_degrees_become_square_pixels_at_the_scenes_centre(tmp_path):
    """At 60° north a degree of longitude is half a degree of latitude."""
    transform = Affine(0.0001, 0, 10, 0, -0.0001, 60.01)
    path = write_scene(tmp_path / "s.tif", np.ones((1, 200, 400), np.uint8), transform=transform, crs="EPSG:4326")
    resampled = resample_scene(describe_scene(path), 10.0)

    assert resampled.grid.shape == (223, 223)
    assert gsd(resampled.grid) == pytest.approx(10, rel=0.005)
    assert np.allclose(resampled.grid.bounds, describe_scene(path).grid.bounds, atol=1e-12)


@pytest.mark.parametrize(
    ("dtype", "crs", "found"), [("uint8", None, "no CRS"), ("int64", "EPSG:32633", "int64 pixels")]
)
def test_what_cannot_be_resampled_is_told(tmp_path, dtype, crs, found):
    info = describe_scene(write_scene(tmp_path / "s.tif", np.ones((1, 9, 9), dtype), crs=crs))
    with pytest.raises(SceneMismatchError, match=rf"s\.tif has {found}.*without --resample"):
        resample_scene(info, 3.0)


def test_a_fine_scene_runs_through_a_coarse_model(tmp_path: Path):
    """Whatever the tiling: the same bytes; on the scene's footprint, in the model's resolution, and verified."""
    model = write_pixelwise_model(tmp_path / "bright.safetensors")
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(1, 120, (3, 71, 65)), np.ones((1, 16, 16))).astype(np.uint8)
    path = write_scene(tmp_path / "scene.tif", pixels, transform=fine(5), mask=holes(pixels.shape[1:]))
    classes = []
    for tile in (256, 512):
        settings_ = RunSettings(model=str(model), out=str(tmp_path / f"maps{tile}"), tile=tile, resample=True)
        folder = segment_scene(path, settings_).folder
        classes.append((folder / "scene_classes.tif").read_bytes())
        found = verify_products(folder, seams=3)

        assert found.sound
        assert found.seam_windows == 3
    item = json.loads((folder / "scene.json").read_text())

    assert classes[0] == classes[1]
    with rasterio.open(path) as scene_file, rasterio.open(folder / "scene_classes.tif") as product:
        assert product.shape == (568, 520)
        assert product.res == (10, 10)
        assert product.bounds == scene_file.bounds
        assert {0, 1, 255} == set(np.unique(product.read(1)))
    assert item["properties"]["gsd"] == pytest.approx(10, rel=0.01)
    assert item["properties"]["segflow:run"]["resample"] is True
    assert "read at 10 m" in item["properties"]["processing:lineage"]


def test_resampling_is_another_run_and_a_scene_that_fits_is_not_resampled(tmp_path):
    model = write_pixelwise_model(tmp_path / "bright.safetensors")
    common = {"model": str(model), "out": str(tmp_path / "maps")}
    fine_path = write_scene(tmp_path / "fine.tif", np.ones((3, 60, 60), np.uint8), transform=fine(5))
    fit_path = write_scene(tmp_path / "fit.tif", np.ones((3, 60, 60), np.uint8), transform=fine(10))
    for path, same in ((fine_path, False), (fit_path, True)):
        plain, resampled = (plan_run(path, RunSettings(**common, resample=flag)) for flag in (False, True))

        assert (plain.key == resampled.key) is same
        assert plain.scene_digest == resampled.scene_digest


def test_a_refused_resolution_names_the_option(tmp_path):
    path = write_scene(tmp_path / "scene.tif", np.ones((3, 60, 60), np.uint8), transform=fine(1))
    with pytest.raises(SceneMismatchError, match=r"read it at 10 m with --resample"):
        plan_run(path, RunSettings(out=str(tmp_path / "maps")))
    assert plan_run(path, RunSettings(out=str(tmp_path / "maps"), resample=True)).scene.grid.shape == (6, 6)
