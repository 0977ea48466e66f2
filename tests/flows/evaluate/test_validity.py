"""One rule of validity for class rasters, whoever reads them: vectorize, evaluate with a map or a reference, sample."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer
from rasterio.enums import ColorInterp

from segflow.configs.vectors import VectorizeSettings
from segflow.errors import SceneError, SceneMismatchError
from segflow.flows.evaluate.evaluation import run_evaluation, run_sample
from segflow.flows.evaluate.reference import EvaluateSettings
from segflow.flows.progress import Silence
from segflow.flows.vectorize.vectorize import vectorize
from segflow.io.labels.references import open_reference
from segflow.io.scene.scenes import describe_scene
from segflow.tiling import Grid, Span, Window
from tests.scenes import write_scene

AT = Affine(10, 0, 500_000, 0, -10, 5_600_000)
TRUTH = np.kron(np.array([[1, 2, 1], [2, 2, 1]]), np.ones((48, 48))).astype(np.uint8)  # 96 × 144 px
VALID = np.broadcast_to(np.arange(144) >= 37, TRUTH.shape)

VRT = """<VRTDataset rasterXSize="144" rasterYSize="96"><SRS>EPSG:25832</SRS>
<GeoTransform>500000,10,0,5600000,0,-10</GeoTransform><VRTRasterBand dataType="Byte" band="1">
<NoDataValue>7</NoDataValue><SimpleSource><SourceFilename relativeToVRT="1">part.tif</SourceFilename>
<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"""


def write(path: Path, bands: np.ndarray, *, alpha: int | None = None, **more: Any) -> Path:
    """Write a class raster whose band of this number, if any, is alpha."""
    write_scene(path, bands if bands.ndim == 3 else bands[None], crs="EPSG:25832", transform=AT, **more)
    if alpha is not None:
        with rasterio.open(path, "r+") as dataset:
            dataset.colorinterp = [ColorInterp.alpha if n == alpha else ColorInterp.gray for n in dataset.indexes]
    return path


def filled(value: float, dtype: str) -> np.ndarray:
    return np.where(VALID, TRUTH.astype(float), value).astype(dtype)


def with_alpha(dtype: str, level: int = 255) -> np.ndarray:
    return np.stack([TRUTH, np.where(VALID, level, 0)]).astype(dtype)


def write_vrt(path: Path) -> Path:
    write(path.with_name("part.tif"), filled(7, "uint8"))
    path.with_suffix(".vrt").write_text(VRT)
    return path.with_suffix(".vrt")


KINDS: dict[str, Callable[[Path], Path]] = {
    "nodata value": lambda path: write(path, filled(0, "uint8"), nodata=0),
    "signed nodata value": lambda path: write(path, filled(-9999, "int16"), nodata=-9999),
    "mask over zeros": lambda path: write(path, filled(0, "uint8"), mask=VALID),
    "mask over classes": lambda path: write(path, TRUTH, mask=VALID),
    "mask beside nodata 255": lambda path: write(path, TRUTH, mask=VALID, nodata=255),
    "mask of 32 bits": lambda path: write(path, TRUTH.astype(np.int32), mask=VALID),
    "alpha": lambda path: write(path, with_alpha("uint8"), alpha=2),
    "faint alpha": lambda path: write(path, with_alpha("uint8", 1), alpha=2),
    "alpha of 16 bits": lambda path: write(path, with_alpha("int16"), alpha=2),
    "alpha in front": lambda path: write(path, with_alpha("uint8")[::-1], alpha=1),
    "mask of 16 bits": lambda path: write(path, TRUTH.astype(np.uint16), mask=VALID),
    "nodata value of 64 bits": lambda path: write(path, filled(-(2.0**40), "int64"), nodata=-(2**40)),
    "VRT": write_vrt,
}


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write(tmp_path / "whole.tif", TRUTH, nodata=255)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_valid_is_no_object_and_counts_nowhere(tmp_path: Path, whole: Path, kind: str) -> None:
    path = KINDS[kind](tmp_path / "a.tif")
    done = vectorize(path, VectorizeSettings(workers=1))
    layers = [pyogrio.read_dataframe(done.path, layer=name) for name in done.counts]
    as_map = run_evaluation(path, str(whole), EvaluateSettings(), tmp_path, Silence()).result
    as_reference = run_evaluation(whole, str(path), EvaluateSettings(), tmp_path, Silence()).result

    assert done.counts.keys() == {"class_1", "class_2"}
    assert sum(layer["n_px"].sum() for layer in layers) == VALID.sum()
    for result in (as_map, as_reference):
        assert (result["pixels"], result["scores"]["pixel_accuracy"]) == (VALID.sum(), 1)
    points = pyogrio.read_dataframe(run_sample(path, 100, tmp_path / "points.gpkg", 0, Silence())[0])
    assert (points.geometry.x > 500_000 + 370).all()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "VRT"])
def test_a_resampled_reference_is_the_nearest_valid_pixel(tmp_path: Path, kind: str) -> None:
    path = KINDS[kind](tmp_path / "a.tif")
    system = describe_scene(path).grid.crs
    degrees = Transformer.from_crs(25832, 4326, always_xy=True)
    finer = Grid(height=110, width=150, transform=Affine(9, 0, 500_033, 0, -9, 5_600_021), crs=system)
    turned = Grid(
        height=90, width=140, transform=Affine(1.5e-4, 0, 9.0002, 0, -1e-4, 50.5503), crs=degrees.target_crs.to_wkt()
    )
    for grid in (finer, turned):
        with open_reference(path, grid, resample=True) as reader:
            found = reader.read(Window(Span(0, grid.height), Span(0, grid.width)))
        x, y = grid.transform @ np.stack(np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5))
        if grid is turned:
            x, y = degrees.transform(x, y, direction="INVERSE")
        col, row = (np.floor(each).astype(int) for each in ~AT @ np.stack([x, y]))
        inside = (col >= 0) & (col < 144) & (row >= 0) & (row < 96)
        right = np.full(grid.shape, -1)
        right[inside] = np.where(VALID, TRUTH.astype(int), -1)[row[inside], col[inside]]

        assert (right > 0).sum() > 3000
        assert np.array_equal(found, right)


@pytest.mark.parametrize("lost", [np.nan, -9999, float(np.finfo(np.float32).min)])
def test_floats_are_refused_with_advice_that_keeps_nodata(tmp_path: Path, whole: Path, lost: float) -> None:
    """As every conversion that does not know nodata would make a class of it."""
    path = write(tmp_path / "a.tif", filled(lost, "float32"), nodata=lost)
    for work in (
        lambda: vectorize(path, VectorizeSettings(workers=1)),
        lambda: run_evaluation(path, str(whole), EvaluateSettings(), tmp_path, Silence()),
        lambda: run_evaluation(whole, str(path), EvaluateSettings(resample="nearest"), tmp_path, Silence()),
    ):
        with pytest.raises(SceneMismatchError, match=r"a\.tif holds float32.*whole numbers.*gdalwarp.*nodata"):
            work()


def test_a_vrt_is_not_resampled(tmp_path: Path) -> None:
    vrt, other = write_vrt(tmp_path / "a.tif"), tmp_path / "map.tif"
    write_scene(other, TRUTH[None], crs="EPSG:25832", transform=AT @ Affine.translation(2.5, 1), nodata=255)
    with pytest.raises(SceneError, match=r"a\.vrt is a VRT, and those are not resampled.*gdal_translate"):
        run_evaluation(other, str(vrt), EvaluateSettings(resample="nearest"), tmp_path, Silence())


class Notes(Silence):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_mask_beside_a_raster_is_told_or_read(tmp_path: Path, whole: Path) -> None:
    path, told = write(tmp_path / "a.tif", filled(0, "uint8")), Notes()
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(VALID)
    assert (tmp_path / "a.tif.msk").is_file()
    unread = vectorize(path, VectorizeSettings(workers=1), told)
    as_map = run_evaluation(path, str(whole), EvaluateSettings(class_values={"0": 1}), tmp_path, told).result
    as_reference = run_evaluation(whole, str(path), EvaluateSettings(class_values={"0": 1}), tmp_path, told).result
    run_sample(path, 100, tmp_path / "points.gpkg", 0, told)
    read = vectorize(path, VectorizeSettings(workers=1, sidecars=True, overwrite=True), quiet := Notes())
    trusted = run_evaluation(whole, str(path), EvaluateSettings(sidecars=True), tmp_path, quiet).result

    assert "class_0" in unread.counts
    assert sum("a.tif.msk may say which pixels are valid" in note for note in told.notes) == 2
    for result in (as_map, as_reference):
        assert any("a.tif.msk" in note and "--sidecars" in note for note in result["notes"])
    assert read.counts.keys() == {"class_1", "class_2"}
    assert trusted["pixels"] == VALID.sum()
    assert not [note for note in (*quiet.notes, *trusted["notes"]) if ".msk" in note]
