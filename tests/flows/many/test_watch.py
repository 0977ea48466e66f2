"""Watching a folder: each content is mapped once, whatever it is called and however it came."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.configs.run import RunSettings
from segflow.errors import ModelError, SceneError
from segflow.flows.many.watch import LEDGER, LOCK, TRIES, WatchPass, watch_once
from segflow.io.scene.tiff_blocks import find_gap
from segflow.io.work.locks import output_lock
from segflow.io.work.watch_ledger import WatchLedger
from tests.scenes import noise_scene, write_pixelwise_model, write_scene

SHAPE = (200, 180)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_pixelwise_model(tmp_path_factory.mktemp("model") / "bright.safetensors"))


class Folder:
    """A watched folder and its output."""

    def __init__(self, place: Path, model: str) -> None:
        self.path, self.out = place / "in", place / "maps"
        self.path.mkdir()
        self.settings = RunSettings(out=str(self.out), model=model)

    def look(self, **changes: object) -> WatchPass:
        return watch_once(
            self.path, RunSettings(**{"out": str(self.out), "model": self.settings.model, **changes}), settle=0
        )  # type: ignore[arg-type]

    def maps(self) -> list[str]:
        return sorted(path.name for path in self.out.iterdir() if not path.name.startswith("."))


@pytest.fixture
def folder(tmp_path: Path, model: str) -> Folder:
    return Folder(tmp_path, model)


def names(found: WatchPass) -> list[str]:
    return [outcome.name for outcome in found.mapped if outcome.error is None]


def test_the_same_file_twice_is_mapped_once(folder: Folder) -> None:
    """Left where it is, copied beside it, copied later: one map."""
    scene = noise_scene(folder.path / "b.tif", SHAPE)
    (folder.path / "c.tif").write_bytes(scene.read_bytes())
    first = folder.look()
    (folder.path / "a.tif").write_bytes(scene.read_bytes())
    second, third = folder.look(), folder.look()

    assert names(first) == ["b"]
    assert first.same == {str(folder.path / "c.tif"): "b"}
    assert (names(second), second.same, second.known) == ([], {str(folder.path / "a.tif"): "b"}, 2)
    assert (third.mapped, third.same, third.known) == ((), {}, 3)
    assert folder.maps() == ["b"]


def test_a_half_written_file_waits_and_is_mapped_when_it_is_whole(folder: Folder, tmp_path: Path) -> None:
    """Half of a copy is not taken for a scene."""
    whole = noise_scene(tmp_path / "scene.tif", SHAPE).read_bytes()
    scene = folder.path / "scene.tif"
    looks = []
    for length in (0, 100, len(whole) // 2, len(whole) - 1):
        scene.write_bytes(whole[:length])
        looks.append(folder.look())
    scene.write_bytes(whole)
    last, again = folder.look(), folder.look()

    assert [look.mapped for look in looks] == [()] * 4
    assert all(look.waiting.keys() == {str(scene)} for look in looks)
    assert names(last) == ["scene"]
    assert again.known == 1
    assert folder.maps() == ["scene"]


def test_what_a_killed_writer_left_waits(folder: Folder) -> None:
    """GDAL writes its directory first: the file opens, and reads as zeros. It is a scene once it is written again."""
    scene = folder.path / "scene.tif"
    writer = (
        "import numpy, os, rasterio, sys\n"
        "shape = dict(count=3, height=512, width=512, dtype='uint8', tiled=True, blockxsize=256, blockysize=256)\n"
        "grid = dict(crs='EPSG:32720', transform=rasterio.Affine(10, 0, 0, 0, -10, 0))\n"
        "d = rasterio.open(sys.argv[1], 'w', driver='GTiff', **shape, **grid)\n"
        "d.write(numpy.ones((3, 256, 256), 'uint8'), window=((0, 256), (0, 256)))\n"
        "d.tags(); os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", writer, str(scene)], check=False, timeout=120)
    assert scene.exists()
    half = folder.look()
    noise_scene(scene, SHAPE)
    whole = folder.look()

    assert half.mapped == ()
    assert str(scene) in half.waiting
    assert names(whole) == ["scene"]


def test_a_file_that_was_just_changed_waits(folder: Folder) -> None:
    """Whoever writes may not be done; a time of change that lies ahead only costs a second look."""
    scene = noise_scene(folder.path / "scene.tif", SHAPE)
    fresh = watch_once(folder.path, folder.settings, settle=60)
    ahead = time.time() + 3600
    os.utime(scene, (ahead, ahead))
    later = watch_once(folder.path, folder.settings, settle=0.05)

    assert "was changed" in fresh.waiting[str(scene)]
    assert names(later) == ["scene"]


def test_a_renamed_file_is_not_mapped_again(folder: Folder) -> None:
    """Its content is known."""
    scene = noise_scene(folder.path / "old.tif", SHAPE)
    folder.look()
    scene.rename(folder.path / "new.tif")
    found = folder.look()

    assert (found.mapped, found.same) == ((), {str(folder.path / "new.tif"): "old"})
    assert folder.maps() == ["old"]


def test_a_changed_file_replaces_its_map(folder: Folder) -> None:
    """The former content is nowhere in the folder any more."""
    scene = noise_scene(folder.path / "scene.tif", SHAPE, seed=1)
    first = folder.look()
    before = (folder.out / "scene" / "scene_classes.tif").read_bytes()
    noise_scene(scene, SHAPE, seed=2)
    second, third = folder.look(), folder.look()

    assert names(first) == names(second) == ["scene"]
    assert third.known == 1
    assert folder.maps() == ["scene"]
    assert (folder.out / "scene" / "scene_classes.tif").read_bytes() != before


def test_a_new_scene_under_an_old_name_keeps_both_maps(folder: Folder) -> None:
    """The former content was renamed and is still there."""
    scene = noise_scene(folder.path / "scene.tif", SHAPE, seed=1)
    folder.look()
    before = (folder.out / "scene" / "scene_classes.tif").read_bytes()
    scene.rename(folder.path / "z.tif")
    noise_scene(scene, SHAPE, seed=2)
    noise_scene(folder.path / "scene.TIFF", SHAPE, seed=3)
    found = folder.look()

    assert found.same == {str(folder.path / "z.tif"): "scene"}
    assert len(names(found)) == 2
    assert all(name.startswith("scene-") for name in names(found))
    assert folder.maps() == sorted(["scene", *names(found)])
    assert (folder.out / "scene" / "scene_classes.tif").read_bytes() == before


@pytest.mark.slow  # two processes
def test_two_watches_at_once_map_each_content_once(folder: Folder, model: str) -> None:
    """Two processes on one folder: what one has, the other leaves."""
    for index in range(4):
        noise_scene(folder.path / f"s{index}.tif", SHAPE, seed=index)
    options = [str(folder.path), "--once", "--settle", "0", "-m", model, "-o", str(folder.out), "--json"]
    other = subprocess.Popen(
        [sys.executable, "-m", "segflow.cli", "watch", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    mine: list[str] = []
    while other.poll() is None:
        mine += names(folder.look())
        time.sleep(0.01)
    theirs = json.loads(other.communicate()[0])
    mine += names(folder.look())

    assert other.returncode == 0
    assert sorted([*mine, *(each["name"] for each in theirs["mapped"])]) == ["s0", "s1", "s2", "s3"]
    assert folder.maps() == ["s0", "s1", "s2", "s3"]


def test_a_second_watch_is_told_that_one_is_at_work(folder: Folder) -> None:
    """It does nothing, and that is no error: the next look comes."""
    noise_scene(folder.path / "scene.tif", SHAPE)
    with output_lock(folder.out / ".segflow" / LOCK):
        found = folder.look()
        text = CliRunner().invoke(
            app, ["watch", str(folder.path), "--once", "-o", str(folder.out), "-m", folder.settings.model]
        )

    assert found.mapped == ()
    assert str(os.getpid()) in found.busy
    assert text.exit_code == 0
    assert "another watch is at work" in text.stdout


def test_a_failing_scene_is_tried_a_few_times_and_again_when_it_changes(folder: Folder) -> None:
    """It stops neither the others nor the watch."""
    bad = write_scene(folder.path / "bad.tif", np.ones((1, 64, 64), np.uint8))
    noise_scene(folder.path / "good.tif", SHAPE)
    looks = [folder.look() for _ in range(TRIES + 1)]
    noise_scene(bad, SHAPE, seed=9)
    last = folder.look()

    assert [[o.name for o in look.mapped if o.error] for look in looks] == [["bad"]] * TRIES + [[]]
    assert "1 band" in looks[0].mapped[0].describe()
    assert names(looks[0]) == ["good"]
    assert looks[-1].known == 2
    assert names(last) == ["bad"]


def test_another_model_maps_again_only_where_it_may(folder: Folder, tmp_path: Path) -> None:
    """Content is mapped once; `--overwrite` says that a new model counts."""
    other = str(write_pixelwise_model(tmp_path / "other.safetensors", threshold=80))
    noise_scene(folder.path / "scene.tif", SHAPE)
    folder.look()
    kept, replaced, again = folder.look(model=other), folder.look(model=other, overwrite=True), folder.look(model=other)

    assert kept.known == 1
    assert names(replaced) == ["scene"]
    assert again.known == 1


def test_a_torn_ledger_costs_no_second_map(folder: Folder) -> None:
    """A killed watch leaves half a line; what was mapped is found finished."""
    noise_scene(folder.path / "scene.tif", SHAPE)
    folder.look()
    ledger = folder.out / ".segflow" / LEDGER
    ledger.write_bytes(ledger.read_bytes()[:-20])
    found, again = folder.look(), folder.look()
    with WatchLedger(ledger) as opened:
        entries = opened.files

    assert found.mapped[0].result is not None
    assert found.mapped[0].result.finished_before
    assert again.known == 1
    assert entries[str(folder.path / "scene.tif")].what == "mapped"


def test_a_missing_folder_or_model_is_one_line(folder: Folder) -> None:
    """Before anything is written."""
    with pytest.raises(SceneError, match="cannot be watched"):
        watch_once(folder.path / "none", folder.settings)
    with pytest.raises(ModelError, match="not found"):
        folder.look(model="none")
    assert not folder.out.exists()


@pytest.mark.slow  # half a minute of waiting
def test_the_command_looks_again_and_again(folder: Folder) -> None:
    """A scene that comes while it waits is mapped; SIGTERM ends it."""
    command = [sys.executable, "-m", "segflow.cli", "watch", str(folder.path), "--every", "1", "--settle", "0.2"]
    process = subprocess.Popen(
        [*command, "-m", folder.settings.model, "-o", str(folder.out)], stdout=subprocess.DEVNULL
    )
    for index in range(2):
        noise_scene(folder.path / f".s{index}.tif", SHAPE, seed=index).rename(folder.path / f"s{index}.tif")
        item = folder.out / f"s{index}" / f"s{index}.json"
        while process.poll() is None and not item.is_file():
            time.sleep(0.05)
        assert item.is_file()
    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert folder.maps() == ["s0", "s1"]


@pytest.mark.parametrize(
    "profile",
    [
        {},
        {"compress": "none", "tiled": False},
        {"BIGTIFF": "YES", "interleave": "band"},
        {"driver": "COG", "tiled": None, "blockxsize": None, "blockysize": None},
    ],
    ids=["tiled", "strips", "big", "cog"],
)
def test_no_beginning_of_a_file_passes_for_the_whole(tmp_path: Path, profile: dict[str, object]) -> None:
    """Cut anywhere, either something is missing or every pixel is there."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 255, (3, 600, 500)).astype(np.uint8)
    options = {key: value for key, value in profile.items() if value is not None}
    plain = tmp_path / "plain.tif"
    write_scene(plain, pixels)
    path = tmp_path / "whole.tif"
    if options.get("driver") == "COG":
        rasterio.shutil.copy(plain, path, driver="COG")
    else:
        write_scene(path, pixels, **options)
    content = path.read_bytes()
    cut = tmp_path / "cut.tif"

    assert find_gap(path) == ""
    for length in [*rng.integers(0, len(content), 40).tolist(), len(content) - 1, len(content) - 5]:
        cut.write_bytes(content[:length])
        if not find_gap(cut):
            with rasterio.open(cut) as dataset:
                assert np.array_equal(dataset.read(), pixels)
            assert length > len(content) - 16  # what may be missing is the padding at the end


def test_a_sparse_file_is_not_taken_for_a_scene(folder: Folder) -> None:
    """Blocks left out on purpose look like blocks that are still to come; `segflow run` maps such a file."""
    pixels = np.zeros((3, 512, 512), np.uint8)
    pixels[:, :256, :256] = 7
    write_scene(folder.path / "sparse.tif", pixels, SPARSE_OK="TRUE")
    found = folder.look()

    assert found.mapped == ()
    assert "of its 4 blocks were never written" in found.waiting[str(folder.path / "sparse.tif")]
