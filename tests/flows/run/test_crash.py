"""Exactly once: killed anywhere, run again, the same bytes."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segflow.configs.run import RunSettings
from segflow.errors import OutputBusyError, OutputExistsError
from segflow.flows.run.segment import segment_scene
from segflow.io.work.locks import output_lock
from tests.scenes import noise_scene, write_pixelwise_model

KILLS = 10
MARGIN = 32  # px; less than the network looks at, which costs no law of this file and saves two thirds of the work
TILING = ("--tile", "256", "--margin", str(MARGIN))


def command(scene: Path, out: Path, *options: str) -> list[str]:
    """Give the command of a run of several seconds with many tiles."""
    return [sys.executable, "-m", "segflow.cli", "run", str(scene), "--out", str(out), *TILING, *options]


def digests(folder: Path) -> dict[str, str]:
    """Give the SHA-256 of every file in a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of 9 tiles."""
    return noise_scene(tmp_path_factory.mktemp("scene") / "scene.tif", (700, 650))


@pytest.fixture(scope="module")
def undisturbed(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], float]:
    """Digests of the products of a run that nobody disturbed, and how long it took [s]."""
    out = tmp_path_factory.mktemp("undisturbed") / "maps"
    started = time.monotonic()
    subprocess.run(command(scene, out), check=True, capture_output=True, timeout=300)
    return digests(out / "scene"), time.monotonic() - started


@pytest.mark.slow  # one kill stands in `make test`, below
@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_killed_ten_times_gives_the_same_bytes(
    scene: Path, undisturbed: tuple[dict[str, str], float], tmp_path: Path, options: tuple[str, ...]
) -> None:
    """`kill -9` of the whole process tree at random moments; the last run reuses what the others did."""
    expected, duration = undisturbed
    choose = random.Random(20261121)
    out, killed = tmp_path / "maps", 0
    while killed < KILLS:
        started = time.monotonic()
        process = subprocess.Popen(
            command(scene, out, *options), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(timeout=choose.uniform(0.2, 1.0) * duration)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
            continue
        duration = min(duration, time.monotonic() - started)  # the machine is less busy than before
        assert process.returncode == 0
        assert digests(out / "scene") == expected
        shutil.rmtree(out)
    subprocess.run(command(scene, out, *options), check=True, capture_output=True, timeout=300)

    assert digests(out / "scene") == expected
    assert not list((out / ".segflow").glob("**/canvas.zarr"))


def test_tiles_that_were_done_are_not_mapped_again(
    scene: Path, undisturbed: tuple[dict[str, str], float], tmp_path: Path
) -> None:
    """Killed when some tiles are in the journal, the next run takes up exactly those."""
    out = tmp_path / "maps"
    process = subprocess.Popen(command(scene, out), start_new_session=True, stderr=subprocess.DEVNULL)
    while count_journal(out) < 3 and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = count_journal(out)
    done = subprocess.run(command(scene, out, "--json"), check=True, capture_output=True, text=True, timeout=300)
    answer = json.loads(done.stdout)[0]

    assert 3 <= kept < 9
    assert answer["reused"] == kept
    assert digests(out / "scene") == undisturbed[0]


def count_journal(out: Path) -> int:
    """Count the tiles in the journal of a run, 0 where there is none."""
    return sum(path.read_text().count('"tile"') for path in (out / ".segflow").glob("*/journal.jsonl"))


def test_a_finished_run_returns_at_once(scene: Path, undisturbed: tuple[dict[str, str], float], tmp_path: Path) -> None:
    """The second run does nothing, and says so."""
    settings = RunSettings(out=str(tmp_path / "maps"), tile=256, margin=MARGIN)
    first = segment_scene(scene, settings)
    before = digests(first.folder)
    second = segment_scene(scene, settings)

    assert not first.finished_before
    assert second.finished_before
    assert second.reused == second.tiles
    assert digests(second.folder) == before == undisturbed[0]


def test_other_vector_settings_reuse_the_rasters(scene: Path, tmp_path: Path) -> None:
    """Only the vectors are made again."""
    model = str(write_pixelwise_model(tmp_path / "bright.safetensors"))
    first = segment_scene(scene, RunSettings(out=str(tmp_path), tile=256, model=model))
    before = digests(first.folder)
    second = segment_scene(scene, RunSettings(out=str(tmp_path), tile=256, model=model, min_area=1e5))
    after = digests(second.folder)

    assert "infer" not in second.seconds
    assert before["scene_classes.tif"] == after["scene_classes.tif"]
    assert before["scene.gpkg"] != after["scene.gpkg"]


def test_another_model_never_reuses_work(tmp_path: Path) -> None:
    """Products of other inputs are kept unless they may be replaced, and then nothing of them stays."""
    scene = noise_scene(tmp_path / "scene.tif", (300, 280))
    model = write_pixelwise_model(tmp_path / "bright.safetensors")
    out = tmp_path / "maps"
    first = segment_scene(scene, RunSettings(out=str(out), tile=256, margin=MARGIN))
    before = digests(first.folder)
    with pytest.raises(OutputExistsError, match="--overwrite"):
        segment_scene(scene, RunSettings(out=str(out), tile=256, margin=MARGIN, model=str(model)))
    assert digests(first.folder) == before
    second = segment_scene(scene, RunSettings(out=str(out), tile=256, margin=MARGIN, model=str(model), overwrite=True))

    assert second.reused == 0
    assert second.key != first.key
    after = digests(second.folder)
    kept = [name for name in before if before[name] == after[name]]
    assert kept == ["scene_confidence.qml"]  # a ramp from 0 to 100 %, whatever the model


def test_a_changed_scene_is_another_scene(tmp_path: Path) -> None:
    """Its content decides, not its name."""
    model = write_pixelwise_model(tmp_path / "bright.safetensors")
    settings = RunSettings(out=str(tmp_path / "maps"), model=str(model))
    scene = noise_scene(tmp_path / "scene.tif", (300, 300), seed=1)
    segment_scene(scene, settings)
    noise_scene(scene, (300, 300), seed=2)

    with pytest.raises(OutputExistsError):
        segment_scene(scene, settings)


def test_the_second_run_on_one_output_is_told_and_stops(scene: Path, tmp_path: Path) -> None:
    """One writer per output."""
    model = str(write_pixelwise_model(tmp_path / "bright.safetensors"))
    settings = RunSettings(out=str(tmp_path), tile=256, model=model)
    with output_lock(tmp_path / ".segflow" / "scene.lock"), pytest.raises(OutputBusyError, match=str(os.getpid())):
        segment_scene(scene, settings)

    assert segment_scene(scene, settings).damaged == 0
