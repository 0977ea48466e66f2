"""Products as they are delivered: mapped by what they declare, clouds nodata, every pixel accounted for."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from segflow.configs.run import RunSettings
from segflow.errors import SceneError, SceneMismatchError
from segflow.flows.run.segment import segment_scene
from segflow.flows.run.verify import verify_products
from tests.products import SAFE, cloud_of, reflectance, write_hls, write_jp2, write_landsat, write_safe
from tests.scenes import write_pixelwise_model

BRIGHT = 0.1  # reflectance of red above which the test's models say 1
NUMBERS = {"dtype": "uint16", "threshold": BRIGHT * 10000, "meaning": (0.0001, 0.0)}  # of models: digital numbers
SHOWN = {"dtype": "uint8", "threshold": 127.5, "meaning": (BRIGHT / 126.5, -BRIGHT / 126.5), "display": True}


def expected() -> np.ndarray:
    """Give the class map that a product must have: 1 where red is bright, 255 in clouds, shadows and empty columns."""
    red = reflectance()[2]
    cloud, shadow = cloud_of(red.shape)
    labels = (red > BRIGHT).astype(np.uint8)
    labels[cloud | shadow] = 255
    labels[:, :20] = 255
    return labels


def zipped(folder: Path) -> Path:
    """Write a Sentinel-2 product as its archive."""
    root = write_safe(folder / "unpacked")
    return Path(shutil.make_archive(str(folder / SAFE), "zip", root.parent, root.name))


@pytest.mark.parametrize(
    ("make", "mask", "name"),
    [
        (write_safe, "scl", SAFE.removesuffix(".SAFE")),
        (lambda folder: write_safe(folder, offset=0), "scl", SAFE.removesuffix(".SAFE")),
        (lambda folder: write_safe(folder) / "MTD_MSIL2A.xml", "scl", SAFE.removesuffix(".SAFE")),
        (lambda folder: write_safe(folder).parent, "scl:cloud,no_data,3", SAFE.removesuffix(".SAFE")),
        (zipped, "scl", SAFE.removesuffix(".SAFE")),
        (write_landsat, "qa_pixel", None),
        (lambda folder: write_landsat(folder, kind="json"), "qa_pixel:fill,cloud,cloud_shadow", None),
        (lambda folder: write_landsat(folder, kind="xml"), "qa_pixel", None),
        (write_hls, "fmask", None),
        (lambda folder: write_hls(folder, name="HLS.L30.T20LQR.2020001T154911.v2.0"), "fmask", None),
    ],
    ids=[
        "safe",
        "old-safe",
        "metadata",
        "folder-of-safe",
        "zip",
        "mtl-txt",
        "mtl-json",
        "mtl-xml",
        "hls-s30",
        "hls-l30",
    ],
)
def test_a_product_maps_as_it_is_delivered(
    tmp_path: Path, make: Callable[[Path], Path], mask: str, name: str | None
) -> None:
    path = make(tmp_path / "in")
    model = write_pixelwise_model(tmp_path / "m.safetensors", **NUMBERS)  # type: ignore[arg-type]
    result = segment_scene(path, RunSettings(model=str(model), out=str(tmp_path / "out"), mask=(mask,)))
    with rasterio.open(next(result.folder.glob("*_classes.tif"))) as raster:
        labels = raster.read(1)
    item = json.loads((result.folder / f"{result.folder.name}.json").read_text())["properties"]
    classes = sum(entry["pixels"] for entry in item["segflow:classes"] if entry["name"] != "nodata")

    assert np.array_equal(labels, expected())
    assert result.folder.name == (name or path.name)
    assert classes + sum(entry["pixels"] for entry in item["segflow:nodata"]) == labels.size
    assert {entry["cause"].partition(": ")[2] for entry in item["segflow:nodata"]} >= {"cloud shadow"}
    assert sum(each.pixels for each in result.nodata) == (labels == 255).sum()
    assert item["datetime"] != ""
    assert verify_products(result.folder, seams=2).sound


@pytest.mark.parametrize("tci", [True, False])
def test_a_model_of_display_values_gets_the_true_colour_image_or_the_same_from_reflectance(
    tmp_path: Path, *, tci: bool
) -> None:
    """The image ends at reflectance 0.2 in Level-2A; both become what the model's display values mean."""
    model = write_pixelwise_model(tmp_path / "m.safetensors", **SHOWN)  # type: ignore[arg-type]
    root = write_safe(tmp_path / "in", tci=tci)
    result = segment_scene(root, RunSettings(model=str(model), out=str(tmp_path / "out"), mask=("scl",)))
    with rasterio.open(next(result.folder.glob("*_classes.tif"))) as raster:
        labels = raster.read(1)
    differs = labels != expected()

    assert not differs[np.abs(reflectance()[2] - BRIGHT) > 0.001].any()  # rounding of 8 bits
    assert (labels[differs] != 255).all()


def test_a_true_colour_image_alone_is_known_by_its_name(tmp_path: Path) -> None:
    model = write_pixelwise_model(tmp_path / "m.safetensors", **SHOWN)  # type: ignore[arg-type]
    root = write_safe(tmp_path / "in")
    (image,) = root.rglob("*_TCI_10m.jp2")
    maps = []
    for number, path in enumerate((root, image)):
        result = segment_scene(path, RunSettings(model=str(model), out=str(tmp_path / str(number)), nodata=0))
        with rasterio.open(next(result.folder.glob("*_classes.tif"))) as raster:
            maps.append(raster.read(1))

    assert np.array_equal(*maps)


def test_level_1c_shows_its_own_image_and_has_no_classification(tmp_path: Path) -> None:
    model = write_pixelwise_model(tmp_path / "m.safetensors", threshold=72.0, display=True)
    root = write_safe(tmp_path / "in", level="L1C")
    settings = RunSettings(model=str(model), out=str(tmp_path / "out"))
    result = segment_scene(root, settings)
    with rasterio.open(next(result.folder.glob("*_classes.tif"))) as raster:
        labels = raster.read(1)
    shown = np.rint(1 + 254 * reflectance()[2] / 0.3558)

    assert np.array_equal(labels[:, 20:], (shown > 72)[:, 20:])
    assert (labels[:, :20] == 255).all()
    with pytest.raises(SceneMismatchError, match="needs the scl raster of a Sentinel-2 L2A product"):
        segment_scene(root, RunSettings(model=str(model), out=str(tmp_path / "other"), mask=("scl",)))


def lacks_metadata(root: Path) -> None:
    (root / "MTD_MSIL2A.xml").unlink()


def lacks_images(root: Path) -> None:
    shutil.rmtree(root / "GRANULE")


def has_entities(root: Path) -> None:
    text = (root / "MTD_MSIL2A.xml").read_text()
    (root / "MTD_MSIL2A.xml").write_text(text.replace("?>", '?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'))


def has_a_cut_band(root: Path) -> None:
    (path,) = root.rglob("*_B04_10m.jp2")
    path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lacks_metadata, "lacks MTD_MSIL2A.xml"),
        (lacks_images, "lacks its images"),
        (has_entities, "it has a DOCTYPE"),
        (has_a_cut_band, "B04_10m.jp2 ends inside its header"),
    ],
)
def test_a_product_that_is_incomplete_says_what_is_missing(
    tmp_path: Path, spoil: Callable[[Path], None], found: str
) -> None:
    model = write_pixelwise_model(tmp_path / "m.safetensors", **NUMBERS)  # type: ignore[arg-type]
    root = write_safe(tmp_path / "in")
    spoil(root)

    with pytest.raises(SceneError, match=found):
        segment_scene(root, RunSettings(model=str(model), out=str(tmp_path / "out")))


def test_bands_of_two_resolutions_are_refused(tmp_path: Path) -> None:
    model = write_pixelwise_model(tmp_path / "m.safetensors", **NUMBERS)  # type: ignore[arg-type]
    settings = RunSettings(model=str(model), out=str(tmp_path / "out"), bands=("red", "green", "swir16"))

    with pytest.raises(SceneMismatchError, match=r"at one resolution \(at 10 m blue, green, red, nir; at 20 m swir16"):
        segment_scene(write_safe(tmp_path / "in"), settings)


@pytest.mark.parametrize(
    ("dtype", "options"), [("uint8", {}), ("uint16", {}), ("uint8", {"REVERSIBLE": "NO", "QUALITY": "30"})]
)
def test_jpeg_2000_reads_the_same_in_any_window(tmp_path: Path, dtype: str, options: dict[str, str]) -> None:
    from segflow.io.scene.scenes import open_scene
    from segflow.tiling import Span, Window

    pixels = np.random.default_rng(0).integers(1, np.iinfo(dtype).max, (3, 1300, 1100)).astype(dtype)
    path = write_jp2(tmp_path / "scene.jp2", pixels, **options)
    with open_scene(path, (1, 2, 3)) as scene:
        whole, _ = scene.read_window(Window.of_shape(1300, 1100))
        for rows, cols in (
            (Span(0, 50), Span(1000, 1100)),
            (Span(1000, 1100), Span(10, 600)),
            (Span(1299, 1300), Span(0, 1)),
        ):
            part, _ = scene.read_window(Window(rows, cols))
            assert np.array_equal(part, whole[:, rows.slice, cols.slice])
    if not options:
        assert np.array_equal(whole, pixels)
