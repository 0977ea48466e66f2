"""`segflow status`: what is done, running, failed, stopped or pending, without disturbing anybody."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.configs.run import RunSettings
from segflow.errors import OutputError, SceneError, SegflowError
from segflow.flows.many.status import SceneStatus, read_status
from segflow.flows.run.scene_state import write_pending
from segflow.flows.run.segment import segment_scene
from segflow.io.work.locks import find_holder, output_lock
from tests.scenes import noise_scene, write_pixelwise_model, write_scene


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_pixelwise_model(tmp_path_factory.mktemp("model") / "bright.safetensors"))


def statuses(out: Path) -> dict[str, SceneStatus]:
    return {status.name: status for status in read_status(str(out))}


@pytest.mark.slow  # two processes
def test_a_running_scene_names_its_process_and_a_killed_one_is_stopped(tmp_path: Path) -> None:
    """Tiles done of all, from the journal; after `kill -9` the same figures, and nobody is at it."""
    scene = noise_scene(tmp_path / "scene.tif", (1000, 900))
    out = tmp_path / "maps"
    process = subprocess.Popen(
        [sys.executable, "-m", "segflow.cli", "run", str(scene), "-o", str(out), "--tile", "256", "--margin", "32"],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    running = None
    while process.poll() is None and (running is None or running.tiles_done < 2):
        running = statuses(out).get("scene") if out.is_dir() else None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    stopped = statuses(out)["scene"]

    assert running is not None
    assert (running.state, running.tiles) == ("running", 16)
    assert f"process {process.pid} on" in running.holder
    assert 2 <= running.tiles_done < 16
    assert running.rate > 0
    assert (stopped.state, stopped.holder, stopped.rate) == ("stopped", "", 0.0)
    assert running.tiles_done <= stopped.tiles_done <= 16


def test_a_failure_is_told_until_the_scene_succeeds(tmp_path: Path, model: str) -> None:
    """With its message; a scene that is done stays done, though a later run failed."""
    settings = RunSettings(out=str(tmp_path / "maps"), model=model)
    good = noise_scene(tmp_path / "good.tif", (64, 64))
    bad = tmp_path / "bad.tif"
    bad.write_text("no TIFF")
    segment_scene(good, settings)
    with pytest.raises(SceneError):
        segment_scene(bad, settings)
    failed = statuses(tmp_path / "maps")
    bad.unlink()
    noise_scene(bad, (64, 64), seed=1)
    segment_scene(bad, settings)
    write_scene(good, np.ones((1, 64, 64), np.uint8))
    with pytest.raises(SegflowError):
        segment_scene(good, settings)
    later = statuses(tmp_path / "maps")

    assert failed["good"].state == "done"
    assert failed["bad"].state == "failed"
    assert "is not a GeoTIFF" in failed["bad"].message
    assert later["bad"].state == "done"
    assert later["bad"].message == ""
    assert later["good"].state == "done"
    assert "a later run failed" in later["good"].message


def test_a_mistyped_scene_leaves_no_folder(tmp_path: Path, model: str) -> None:
    """There is nothing to say about an output that does not exist."""
    with pytest.raises(SceneError):
        segment_scene(tmp_path / "typo.tif", RunSettings(out=str(tmp_path / "maps"), model=model))

    assert not (tmp_path / "maps").exists()
    with pytest.raises(OutputError, match="is no output folder"):
        read_status(str(tmp_path / "maps"))


def test_the_command_prints_lines_and_json(tmp_path: Path, model: str) -> None:
    """What needs a look first, the sums last."""
    settings = RunSettings(out=str(tmp_path / "maps"), model=model)
    segment_scene(noise_scene(tmp_path / "a.tif", (64, 64)), settings)
    write_pending(settings, "b", "b.tif")
    text = CliRunner().invoke(app, ["status", settings.out])
    answer = json.loads(CliRunner().invoke(app, ["status", settings.out, "--json"]).stdout)

    assert text.exit_code == 0
    assert text.stdout.splitlines() == ["pending  b", "done     a: 1 of 1 tiles", "1 pending, 1 done"]
    assert [(each["name"], each["state"], each["tiles_done"]) for each in answer] == [
        ("a", "done", 1),
        ("b", "pending", 0),
    ]
    assert answer[0]["scene"] == str(tmp_path / "a.tif")


def test_asking_who_holds_a_lock_never_keeps_anybody_from_taking_it(tmp_path: Path) -> None:
    """Somebody asks all the time while a run begins again and again on what a killed one left."""
    lock = tmp_path / "scene.lock"
    over = threading.Event()
    seen: set[str | None] = set()

    def ask() -> None:
        while not over.is_set():
            seen.add(find_holder(lock))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for _ in range(200):
            lock.write_text('{"pid": 1, "host": "gone"}')
            with output_lock(lock):
                time.sleep(0.0005)
    finally:
        over.set()
        thread.join()

    assert any(holder and f"process {os.getpid()} on" in holder for holder in seen)
    assert find_holder(lock) is None
