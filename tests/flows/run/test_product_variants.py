"""Products as people have them: renamed, packed otherwise, of older processors, spoilt; and JPEG 2000's limits."""

import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from segflow.configs.run import RunSettings
from segflow.errors import SceneError
from segflow.flows.run.scene_lists import gather_scenes
from segflow.flows.run.segment import segment_scene
from segflow.io.inputs.band_files import BandChoice
from segflow.io.inputs.kinds import describe_input
from segflow.io.scene.info import SceneInfo
from segflow.io.scene.scenes import describe_scene
from tests.products import SAFE, SAFE_L1C, reflectance, write_hls, write_jp2, write_landsat, write_safe
from tests.scenes import write_pixelwise_model

NAME = SAFE.removesuffix(".SAFE")
RGB = ("red", "green", "blue")


def describe(path: Path | str, *, display: bool = False) -> SceneInfo:
    return describe_input(path, BandChoice(wanted=RGB, display=display))


def edit(root: Path, pattern: str, old: str, new: str) -> Path:
    """Change the text of a product's file."""
    (path,) = root.rglob(pattern)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return root


def pack(root: Path, archive: Path, start: str = "") -> Path:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(root.rglob("*")):
            file.write(path, f"{start}{path.relative_to(root.parent)}")
    return archive


def with_hidden_copies(root: Path) -> Path:
    for path in list(root.rglob("*.jp2")):
        (path.parent / f"._{path.name}").write_bytes(b"of another system")
    return root


def lower_case(root: Path) -> Path:
    for path in list(root.iterdir()):
        path.rename(root / path.name.lower())
    return root.rename(root.with_name("renamed"))


@pytest.mark.parametrize(
    ("make", "meaning"),
    [
        (write_safe, (0.0001, -0.1)),
        (lambda tmp: write_safe(tmp, offset=0), (0.0001, 0.0)),
        (lambda tmp: write_safe(tmp, level="L1C"), (0.0001, -0.1)),
        (lambda tmp: edit(write_safe(tmp, offset=0), "MTD*", "BOA_QUANT", "L2A_BOA_QUANT"), (0.0001, 0.0)),
        (lambda tmp: edit(write_safe(tmp), "MTD*", ">10000<", ">20000<"), (0.00005, -0.05)),
        (lambda tmp: with_hidden_copies(write_safe(tmp)), (0.0001, -0.1)),
        (lambda tmp: pack(write_safe(tmp), tmp / "a b" / "X.SAFE.ZIP"), (0.0001, -0.1)),
        (lambda tmp: pack(write_safe(tmp), tmp / "folder.zip" / "p.zip"), (0.0001, -0.1)),
        (lambda tmp: pack(write_safe(tmp), tmp / "p.zip", "download/"), (0.0001, -0.1)),
        (write_landsat, (2.75e-05, -0.2)),
        (lambda tmp: edit(write_landsat(tmp), "*MTL*", "LEVEL2_SURFACE_REFL", "OTHER"), (2.75e-05, -0.2)),
        (lambda tmp: lower_case(write_landsat(tmp)), (2.75e-05, -0.2)),
        (write_hls, (0.0001, 0.0)),
        (lambda tmp: lower_case(write_hls(tmp, name="HLS.L30.T20LQR.2020001T154911.v2.0")), (0.0001, 0.0)),
    ],
)
def test_bands_declare_what_the_product_says(
    tmp_path: Path, make: Callable[[Path], Path], meaning: tuple[float, float]
) -> None:
    scene = describe(make(tmp_path))
    chosen = [band for band in scene.bands if band.name in RGB]

    assert {(round(band.scale, 12), round(band.offset, 12)) for band in chosen} == {meaning}
    assert {band.nodata for band in chosen} == {
        -9999.0 if "HLS" in str(scene.stacks) or "hls" in str(scene.stacks) else 0
    }
    assert scene.acquired is not None


def without_metadata(tmp: Path) -> Path:
    root = write_landsat(tmp)
    next(root.glob("*MTL*")).unlink()
    return root


def test_landsat_without_metadata_has_its_level_s_constants_only_where_its_name_tells(tmp_path: Path) -> None:
    root = without_metadata(tmp_path)
    named = describe(root)
    for path in list(root.iterdir()):
        path.rename(root / path.name.replace("L2SP_", "XXXX_"))
    silent = describe(root.rename(tmp_path / "LC09_L_other"))

    assert {(band.scale, band.offset) for band in named.bands if band.name in RGB} == {(2.75e-05, -0.2)}
    assert {(band.scale, band.offset) for band in silent.bands if band.name in RGB} == {(1.0, 0.0)}


def two_granules(root: Path) -> Path:
    granule = next((root / "GRANULE").iterdir())
    shutil.copytree(granule, granule.with_name("L2A_T20LRR_A037931_20240608T140056"))
    return root


def two_products(root: Path) -> Path:
    shutil.copytree(root, root.with_name("B.SAFE"))
    return root.parent


@pytest.mark.parametrize(
    ("make", "found", "display"),
    [
        (lambda tmp: two_granules(write_safe(tmp)), "has 2 granules", False),
        (lambda tmp: two_products(write_safe(tmp / "in")), r"holds 2 \.SAFE products", False),
        (lambda tmp: edit(write_safe(tmp), "MTD*", ">10000<", ">inf<"), "no quantification value", False),
        (lambda tmp: edit(write_safe(tmp), "MTD*", ">-1000<", ">nan<"), "an offset that is no number", False),
        (lambda tmp: edit(write_landsat(tmp), "*MTL*", "2.75e-05", "abc"), "gives scale abc", False),
        (lambda tmp: edit(write_landsat(tmp), "*MTL*", "GROUP", "GRUOP"), "holds no groups", False),
        (lambda tmp: edit(write_landsat(tmp), "*MTL*", '"L2SP"', '"L1TP"'), "is a Level-1 product", True),
        (lambda tmp: write_safe(tmp, level="L1C", tci=False), "lacks its true-colour image", True),
    ],
)
def test_what_cannot_be_trusted_is_refused(
    tmp_path: Path, make: Callable[[Path], Path], found: str, *, display: bool
) -> None:
    with pytest.raises(SceneError, match=found):
        describe(make(tmp_path), display=display)


@pytest.mark.parametrize(
    ("name", "size", "found"),
    [
        ("../outside", 10, "leads out of it"),
        (f"{SAFE}/MTD_MSIL2A.xml", 2**24, "packs 16,777,216 bytes"),
        ("other/MTD_MSIL2A.xml", 10, r"needs one folder \*\.SAFE"),
    ],
)
def test_archives_that_are_no_products_are_refused(tmp_path: Path, name: str, size: int, found: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, b" " * size)

    with pytest.raises(SceneError, match=found):
        describe(tmp_path / "a.zip")


def test_rescaling_a_product_stretches_its_bands_not_its_picture(tmp_path: Path) -> None:
    model = write_pixelwise_model(tmp_path / "m.safetensors", threshold=127.5, display=True)
    root = write_safe(tmp_path / "in")
    settings = RunSettings(model=str(model), out=str(tmp_path / "out"), rescale=(1000.0, 3000.0))
    result = segment_scene(root, settings)
    with rasterio.open(next(result.folder.glob("*_classes.tif"))) as raster:
        labels = raster.read(1)
    red = reflectance()[2]

    assert np.array_equal(
        labels[:, 20:][np.abs(red[:, 20:] - 0.1) > 0.001], (red > 0.1)[:, 20:][np.abs(red[:, 20:] - 0.1) > 0.001]
    )


def test_products_of_a_batch_are_called_after_themselves(tmp_path: Path) -> None:
    first, second = write_safe(tmp_path), write_safe(tmp_path, level="L1C")
    archive = pack(first, tmp_path / "zip" / f"{SAFE}.zip")
    table = tmp_path / "list.csv"
    table.write_text(f"scene\n{first.name}\n{second.name}\n")
    names = [NAME, SAFE_L1C.removesuffix(".SAFE")]

    for given in ([first, second], [str(tmp_path / "*.SAFE")], [table], [archive, second / "MTD_MSIL1C.xml"]):
        assert sorted(entry.name for entry in gather_scenes(given, RunSettings())) == sorted(names)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_jpeg_2000_file_without_a_place_is_one(tmp_path: Path) -> None:
    """GDAL leaves its transform unset where only the file itself is asked: it was what the memory held."""
    with rasterio.open(
        tmp_path / "a.jp2", "w", driver="JP2OpenJPEG", width=64, height=64, count=1, dtype="uint8"
    ) as file:
        file.write(np.ones((1, 64, 64), np.uint8))

    assert describe_scene(tmp_path / "a.jp2").grid.transform == rasterio.Affine.identity()


@pytest.mark.parametrize(
    ("side", "tile", "bands", "found"),
    [
        (25_500, 100, 3, "65,025 tiles of 3 band"),  # 2 GB to open, measured
        (25_500, 100, 64, "65,025 tiles of 64 band"),  # 14 GB
        (25_500, 10, 1, "6,502,500 tiles, more than JPEG 2000 allows"),
        (40_000, 39_999, 1, "has blocks of"),
        (2**31, 2**31, 1, "claims 4,611,686,018,427,387,904 pixels"),
        (64, 64, 600, "claims 600 bands"),
        (64, 0, 1, "without pixels"),
    ],
)
def test_a_small_jpeg_2000_file_that_claims_much_is_not_opened(
    tmp_path: Path, side: int, tile: int, bands: int, found: str
) -> None:
    path = write_jp2(tmp_path / "a.jp2", np.ones((1, 64, 64), np.uint8))
    content = path.read_bytes()
    start = content.index(b"\xff\x4f\xff\x51") + 4
    size = struct.pack(">HHIIIIIIIIH", 38 + 3 * bands, 0, side, side, 0, 0, tile, tile, 0, 0, bands)
    path.write_bytes(content[:start] + size + b"\x07\x01\x01" * bands + content[start + 41 :])

    with pytest.raises(SceneError, match=found):
        describe_scene(path)


def test_a_jpeg_2000_file_under_another_name_is_read_as_what_it_is(tmp_path: Path) -> None:
    pixels = np.arange(3 * 64 * 64, dtype=np.uint16).reshape(3, 64, 64)
    path = write_jp2(tmp_path / "a.jp2", pixels).rename(tmp_path / "a.tif")
    text = tmp_path / "text.jp2"
    text.write_text('<VRTDataset rasterXSize="1" rasterYSize="1"/>')

    assert describe_scene(path).band_count == 3
    with pytest.raises(SceneError):
        describe_scene(text)


@pytest.mark.parametrize("name", ["T20LQR_20240608T140059_TCI_10m.jp2", "T20LQR_20240608T140059_TCI.jp2"])
def test_a_true_colour_image_alone_has_0_as_nodata(tmp_path: Path, name: str) -> None:
    shown = np.ones((3, 64, 64), np.uint8)

    assert [band.nodata for band in describe_scene(write_jp2(tmp_path / name, shown)).bands] == [0, 0, 0]
    assert [band.nodata for band in describe_scene(write_jp2(tmp_path / "a_TCI.jp2", shown)).bands] == [None] * 3
