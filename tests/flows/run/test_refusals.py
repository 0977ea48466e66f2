"""What does not fit is refused before the first forward pass, in one line that says what to do."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.errors import RasterioError

from segflow.configs.run import RunSettings
from segflow.errors import (
    ModelError,
    OutputError,
    SceneError,
    SceneMismatchError,
    SegflowError,
    SettingsError,
    TileError,
)
from segflow.flows.run.segment import segment_scene
from tests.scenes import BANDS, NORTH_UP, noise_scene, write_pixelwise_model, write_scene


@contextmanager
def no_forward_pass() -> Iterator[None]:
    """Fail where a tile would be predicted."""

    def refuse(*_: object) -> None:
        pytest.fail("a tile was predicted")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segflow.flows.run.segment.infer", refuse)
        yield


def refusal(scene: Path, error: type[SegflowError], **settings: object) -> str:
    """Run a scene that must be refused; give the message, and check that nothing was written beside it."""
    out = scene.parent / "maps"
    with no_forward_pass(), pytest.raises(error) as caught:
        segment_scene(scene, RunSettings(**{"out": str(out), **settings}))  # type: ignore[arg-type]
    products = [path for path in out.rglob("*") if path.is_file() and ".segflow" not in path.parts]

    assert products == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_wrong_band_count(tmp_path: Path) -> None:
    """The message names both, and the option that chooses."""
    scene = write_scene(tmp_path / "scene.tif", np.full((5, 64, 64), 50, np.uint8))
    message = refusal(scene, SceneMismatchError)

    assert "scene.tif" in message
    assert "5" in message
    assert "red, green, blue" in message
    assert "--bands" in message


def test_wrong_dtype(tmp_path: Path) -> None:
    """Never scaled in silence."""
    scene = write_scene(tmp_path / "scene.tif", np.full((3, 64, 64), 50, np.uint16))

    assert "uint16 pixels and declares no scale, but model forest-amazon-s2 needs uint8" in refusal(
        scene, SceneMismatchError
    )


@pytest.mark.parametrize(
    ("side", "found", "advice"), [(0.5, "of 0.5", "--resample"), (60.0, "of 59.99 m", "resampling adds no detail")]
)
def test_wrong_resolution(tmp_path: Path, side: float, found: str, advice: str) -> None:
    """Found, needed, and what helps: finer pixels are averaged, coarser ones stay without detail."""
    transform = Affine(side, 0, 300_000, 0, -side, 9_400_000)
    scene = write_scene(tmp_path / "scene.tif", np.full((3, 64, 64), 50, np.uint8), transform=transform)
    message = refusal(scene, SceneMismatchError)

    assert f"ground sampling distance {found}" in message
    assert advice in message


def test_missing_model(tmp_path: Path) -> None:
    """The shipped ones are listed."""
    scene = noise_scene(tmp_path / "scene.tif", (64, 64))

    assert "forest-amazon-s2" in refusal(scene, ModelError, model="no-such-model")


def test_a_model_that_is_none(tmp_path: Path) -> None:
    """A pickle is refused without being opened."""
    scene = noise_scene(tmp_path / "scene.tif", (64, 64))
    model = tmp_path / "model.safetensors"
    model.write_bytes(b"\x80\x04\x95 not safetensors at all")

    assert "model.safetensors" in refusal(scene, ModelError, model=str(model))


def test_an_output_that_is_a_file(tmp_path: Path) -> None:
    """A file where the folder should be."""
    scene = noise_scene(tmp_path / "scene.tif", (64, 64))
    (tmp_path / "taken").write_text("a file")
    message = refusal(scene, OutputError, out=str(tmp_path / "taken"))

    assert "taken" in message


def test_output_below_a_file(tmp_path: Path) -> None:
    """The folder cannot be made."""
    scene = noise_scene(tmp_path / "scene.tif", (64, 64))
    (tmp_path / "file").write_text("a file")

    assert "cannot be" in refusal(scene, OutputError, out=str(tmp_path / "file" / "maps"))


def test_a_class_that_the_model_has_not(tmp_path: Path) -> None:
    """Its classes are listed."""
    scene = noise_scene(tmp_path / "scene.tif", (64, 64))

    assert "choose from other, forest" in refusal(scene, SettingsError, classes=("lake",))


def test_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    """Device 99 is on no machine."""
    scene = noise_scene(tmp_path / "scene.tif", (64, 64))

    assert "cuda:99" in refusal(scene, SettingsError, device="cuda:99")


class Notes:
    """Progress that keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def start(self, stage: str, total: int, unit: str) -> None:
        """Ignore it."""

    def advance(self, amount: int) -> None:
        """Ignore it."""

    def finish(self) -> None:
        """Ignore it."""

    def note(self, message: str) -> None:
        """Keep it."""
        self.notes.append(message)

    def event(self, name: str, **fields: object) -> None:
        """Ignore it."""


def test_no_crs_is_allowed_with_a_warning(tmp_path: Path) -> None:
    """Products have none either, and no area that looks like square metres."""
    scene = write_scene(tmp_path / "scene.tif", np.full((3, 64, 64), 50, np.uint8), crs=None)
    watcher = Notes()
    folder = segment_scene(scene, RunSettings(out=str(tmp_path / "maps")), watcher).folder

    assert any("has no CRS" in note for note in watcher.notes)
    with rasterio.open(folder / "scene_classes.tif") as product:
        assert product.crs is None
        assert product.transform == NORTH_UP


def damage(scene: Path) -> None:
    """Overwrite the middle of a file, where its pixels are."""
    content = bytearray(scene.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = b"\xff" * 300
    scene.write_bytes(content)


def test_a_damaged_tile_stops_the_run_and_is_named(tmp_path: Path) -> None:
    """Or, by choice, is left empty and counted; a later run that may not leave it empty stops again."""
    scene = noise_scene(tmp_path / "scene.tif", (1200, 1200), compress="deflate")
    damage(scene)
    model = str(write_pixelwise_model(tmp_path / "bright.safetensors"))
    settings = {"out": str(tmp_path / "maps"), "tile": 256, "model": model}
    with pytest.raises(TileError, match=r"tile \d+ of .*scene\.tif"):
        segment_scene(scene, RunSettings(**settings))  # type: ignore[arg-type]
    result = segment_scene(scene, RunSettings(**settings, on_tile_error="nodata"))  # type: ignore[arg-type]
    with rasterio.open(result.folder / "scene_classes.tif") as product:
        labels = product.read(1)

    assert 0 < result.damaged < result.tiles
    assert np.sum(labels == 255) > 0
    assert "empty" in (result.folder / "scene.html").read_text()
    with pytest.raises(TileError):
        segment_scene(scene, RunSettings(**settings))  # type: ignore[arg-type]


@pytest.mark.slow  # two processes; what becomes of the tiles is tested above
def test_damaged_tiles_exit_with_3(tmp_path: Path) -> None:
    """A script can tell a map with holes from a whole one."""
    scene = noise_scene(tmp_path / "scene.tif", (1200, 1200))
    damage(scene)
    model = write_pixelwise_model(tmp_path / "bright.safetensors")
    command = [sys.executable, "-m", "segflow.cli", "run", str(scene), "--out", str(tmp_path / "maps"), "--tile", "256"]
    command += ["--model", str(model)]
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    holed = subprocess.run([*command, "--on-tile-error", "nodata"], capture_output=True, text=True, check=False)

    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert holed.returncode == 3


def odd_files(root: Path) -> list[Path]:
    """Give every scene without labels and every odd file."""
    return sorted([*(root / "scenes").glob("*.tif"), *(root / "odd").glob("*.tif")])


def test_every_odd_scene_is_refused_clearly_or_fits_the_default_model(shared_data: Path, tmp_path: Path) -> None:
    """With the default model: one clear line, or a plan that runs."""
    refused = {}
    for path in odd_files(shared_data):
        try:
            with no_forward_pass():
                segment_scene(path, RunSettings(out=str(tmp_path), vectors=False))
        except SegflowError as error:
            refused[path.name] = str(error)
        except pytest.fail.Exception:  # it fits and would have been predicted
            continue
    for name, message in refused.items():
        assert name in message
        assert "\n" not in message
    assert len(refused) > 30


@pytest.mark.slow  # maps more than forty scenes
def test_every_odd_scene_gives_products_with_a_model_that_takes_it(shared_data: Path, tmp_path: Path) -> None:
    """With a model of its own bands and dtype: products on its very grid, or one clear line."""
    made, refused = [], {}
    for path in odd_files(shared_data):
        try:
            with rasterio.open(path) as source:
                bands = [i for i, c in zip(source.indexes, source.colorinterp, strict=True) if c.name != "alpha"]
                dtype, expected = source.dtypes[0], (source.transform, source.crs, source.shape)
        except RasterioError:
            bands, dtype, expected = [1], "uint8", None
        count = min(len(bands), len(BANDS))
        model = write_pixelwise_model(tmp_path / f"{dtype}-{count}.safetensors", bands=count, dtype=dtype)
        settings = RunSettings(
            out=str(tmp_path / "maps"), model=str(model), bands=tuple(bands[:count]), on_tile_error="fail"
        )
        try:
            folder = segment_scene(path, settings).folder
        except SegflowError as error:
            refused[path.name] = str(error)
            continue
        with rasterio.open(folder / f"{folder.name}_classes.tif") as product:
            assert (product.transform, product.crs, product.shape) == expected
        assert (folder / f"{folder.name}.gpkg").is_file()
        made.append(path.name)

    assert set(refused) == {"au-gcp.tif", "corrupt.tif"}
    assert all(name in message and "\n" not in message for name, message in refused.items())
    assert len(made) > 40


def test_a_scene_that_is_a_web_service_is_no_scene(tmp_path: Path) -> None:
    """A text file named .tif never reaches the network."""
    scene = tmp_path / "scene.tif"
    scene.write_text('<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:1/</ServerUrl></Service></GDAL_WMS>')

    assert "scene.tif" in refusal(scene, SceneError)
