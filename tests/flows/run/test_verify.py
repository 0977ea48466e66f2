"""`segflow verify` and `segflow plan`: what they find, and that planning writes nothing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio

from segflow.configs.run import RunSettings
from segflow.errors import OutputError
from segflow.flows.models.lookup import find_model
from segflow.flows.run.preview import preview_run
from segflow.flows.run.segment import segment_scene
from segflow.flows.run.verify import seam_windows, verify_products
from segflow.io.storage.files import sha256_file
from segflow.tiling import TileGrid
from tests.scenes import noise_scene


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated scene of nine tiles, and the products of the default model in `maps` beside it."""
    folder = tmp_path_factory.mktemp("made")
    scene = noise_scene(folder / "scene.tif", (700, 650))
    segment_scene(scene, RunSettings(out=str(folder / "maps"), tile=256))
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the products to change; the scene lies beside it as well."""
    return shutil.copytree(made, tmp_path / "copy") / "maps" / "scene"


def test_sound_products_are_sound(folder: Path) -> None:
    """Every file is what the item says, and no seam shows."""
    found = verify_products(folder, seams=6)

    assert found.sound
    assert len(found.sound_files) == 7
    assert (found.seam_windows, found.differing) == (6, 0)
    assert found.seam_pixels > 6 * 200 * 200


def test_a_changed_and_a_missing_file_are_named(folder: Path) -> None:
    """One byte is enough."""
    vectors = folder / "scene.gpkg"
    content = bytearray(vectors.read_bytes())
    content[-1] ^= 1
    vectors.write_bytes(content)
    (folder / "scene.html").unlink()
    found = verify_products(folder)

    assert not found.sound
    assert any("scene.gpkg was changed" in problem for problem in found.broken_files)
    assert any("scene.html is missing" in problem for problem in found.broken_files)


def test_a_seam_is_found(folder: Path) -> None:
    """Pixels along a tile border that another pass would give another class are counted."""
    path = folder / "scene_classes.tif"
    with rasterio.open(path) as source:
        labels, profile = source.read(1), source.profile
    labels[250:262] = 1 - labels[250:262]
    path.unlink()
    with rasterio.open(path, "w", **profile) as target:
        target.write(labels, 1)
    item = json.loads((folder / "scene.json").read_text())
    item["assets"]["classes"]["file:checksum"] = "1220" + sha256_file(path)
    (folder / "scene.json").write_text(json.dumps(item))
    found = verify_products(folder, seams=10)

    assert not found.broken_files
    assert found.differing > 0


def test_a_folder_without_a_run_is_an_error(tmp_path: Path) -> None:
    """Never an empty success."""
    with pytest.raises(OutputError, match="holds no finished run"):
        verify_products(tmp_path)


def test_seam_windows_lie_across_borders() -> None:
    """Each holds a border between tiles in both directions, and lies in the scene."""
    tiles = TileGrid(height=3000, width=2000, core=512, margin=96, stride=16)
    for window in seam_windows(tiles, 50, 1):
        assert any(border in range(window.rows.start + 1, window.rows.stop) for border in range(512, 3000, 512))
        assert any(border in range(window.cols.start + 1, window.cols.stop) for border in range(512, 2000, 512))
        assert window.rows.stop <= 3000
        assert window.cols.stop <= 2000


def test_a_plan_writes_nothing_and_says_what_a_run_does(tmp_path: Path) -> None:
    """The same key, tiles and files as the run."""
    scene = noise_scene(tmp_path / "scene.tif", (700, 650))
    settings = RunSettings(out=str(tmp_path / "maps"), tile=256)
    preview = preview_run(scene, settings)

    assert not (tmp_path / "maps").exists()
    result = segment_scene(scene, settings)
    assert preview.plan.key == result.key
    assert preview.as_dict()["tiles"] == result.tiles == 9
    assert set(preview.as_dict()["products"]) == {path.name for path in result.folder.iterdir()}
    side = 256 + 2 * find_model(settings.model).spec.margin
    assert preview.as_dict()["work_over_scene"] == pytest.approx(9 * side * side / (700 * 650), abs=1e-3)
    assert json.loads(json.dumps(preview.as_dict(), default=str))["exact"] is True
    assert np.isfinite(preview.seconds)
    assert "equals one whole-scene pass" in preview.describe()
