"""Workers that die: the same products, only what they were at done again, and the tile named that kills them."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import rasterio

from segflow.configs.run import RunSettings
from segflow.flows.cluster.in_flight import IN_FLIGHT
from segflow.flows.cluster.opening import open_cluster
from segflow.flows.inference.infer import map_tiles
from segflow.flows.inference.store import open_work
from segflow.flows.inference.task_sizes import FEWEST
from segflow.flows.inference.tiles import TileJob, TilesDone, predict_tiles
from segflow.flows.planning.plan import plan_run
from segflow.flows.progress import Silence
from segflow.flows.run.segment import segment_scene
from tests.flows.cluster.deadly_pixels import DEADLY
from tests.scenes import noise_scene, write_pixelwise_model, write_scene

CORE = 256  # px
KILLS = 10
GUILTY = 5  # of 9 tiles, row by row
ENVIRONMENT = {
    **os.environ,
    "DASK_DISTRIBUTED__WORKER__PRELOAD": str(Path(__file__).with_name("deadly_pixels.py")),
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",  # Dask's patience ends sooner, so the test does
}

SLOW = {**ENVIRONMENT, "SLOWER_SECONDS": "0.2"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one 1×1 convolution: tiles read no pixel of their neighbours."""
    return write_pixelwise_model(tmp_path_factory.mktemp("model") / "bright.safetensors")


@pytest.fixture(scope="module")
def deadly_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of 9 tiles, one of which kills the process that maps it."""
    pixels = np.random.default_rng(0).integers(1, 200, (3, 3 * CORE, 3 * CORE), np.uint8)
    row, col = divmod(GUILTY, 3)
    pixels[:, row * CORE, col * CORE : (col + 1) * CORE] = DEADLY
    return write_scene(tmp_path_factory.mktemp("scene") / "deadly.tif", pixels)


def run_cli(scene: Path, model: Path, out: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """Map a scene in a worker process, for which some pixels are deadly."""
    command = [sys.executable, "-m", "segflow.cli", "run", str(scene), "--model", str(model), "--out", str(out)]
    command += ["--tile", str(CORE), "--workers", "1", "--device", "cpu", "--no-vectors", *options]
    return subprocess.run(command, check=False, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)


def read_journal(out: Path) -> tuple[set[int], dict[str, str]]:
    """Give the tiles that the journal calls done, and what it says of damaged ones."""
    (path,) = (out / ".segflow").glob("*/journal.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    damaged: dict[str, str] = {}
    for line in lines:
        if line.get("stage") == "damaged":
            damaged = line["record"]
    return {line["tile"] for line in lines if "tile" in line}, damaged


@pytest.mark.cluster
@pytest.mark.slow  # five workers must die; test_tasks.py holds the law with tasks that are no tiles
def test_a_tile_that_kills_workers_is_named_and_can_be_left_empty(
    deadly_scene: Path, model: Path, tmp_path: Path
) -> None:
    """The run stops with its name and keeps the others; told to, it maps the rest and exits with 3."""
    stopped = run_cli(deadly_scene, model, tmp_path)
    kept, _ = read_journal(tmp_path)

    assert stopped.returncode == 1, stopped.stderr
    assert f"tile {GUILTY} of {deadly_scene} (rows 256–512, columns 512–768) kills the worker" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert GUILTY not in kept
    assert kept >= {0, 1, 2}  # tasks of a few tiles: those before the guilty one's were done, or tried alone before it

    mapped = run_cli(deadly_scene, model, tmp_path, "--on-tile-error", "nodata", "--json")
    done, damaged = read_journal(tmp_path)
    answer = json.loads(mapped.stdout)[0]
    with rasterio.open(tmp_path / "deadly" / "deadly_classes.tif") as dataset, rasterio.open(deadly_scene) as scene:
        classes, expected = dataset.read(1), (scene.read(1) > 60).astype(np.uint8)
    expected[256:512, 512:768] = 255

    assert mapped.returncode == 3, mapped.stderr
    assert answer["reused"] == len(kept)
    assert answer["damaged"] == 1
    assert done == set(range(9))
    assert set(damaged) == {str(GUILTY)}
    assert "the worker that maps it dies" in damaged[str(GUILTY)]
    assert np.array_equal(classes, expected)


@dataclass(frozen=True, slots=True)
class Counted:
    """Maps tiles as a run does, slowly, and writes each attempt down first."""

    log: Path
    pause: float  # s per tile, so that there is time to kill

    def __call__(self, job: TileJob, indices: tuple[int, ...]) -> TilesDone:
        """Map tiles one by one, so that the log holds those which were begun."""
        parts = []
        for index in indices:
            with self.log.open("a") as log:
                log.write(f"{os.getpid()} {index}\n")
            time.sleep(self.pause)
            parts.append(predict_tiles(job, (index,)))
        return TilesDone(
            checksums={index: checksum for part in parts for index, checksum in part.checksums.items()},
            damaged={},
            tile_seconds={index: seconds for part in parts for index, seconds in part.tile_seconds.items()},
            network_seconds=0.0,
            seconds=sum(part.seconds for part in parts) + self.pause * len(parts),
            worker=parts[0].worker,
        )


class Listener(Silence):
    """Keeps the events of a run."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def event(self, name: str, **fields: object) -> None:
        """Keep it."""
        self.events.append({"name": name, **fields})


@pytest.mark.cluster
@pytest.mark.slow  # half a minute; a worker dies in test_cluster.py too
def test_a_dead_worker_costs_only_what_it_had(model: Path, tmp_path: Path) -> None:
    """Tiles begun twice were at the worker that was killed, in work or not handed over; no other was begun again."""
    scene = noise_scene(tmp_path / "scene.tif", (6 * CORE, 8 * CORE))
    settings = RunSettings(
        out=str(tmp_path / "maps"), model=str(model), tile=CORE, workers=2, vectors=False, device="cpu"
    )
    attempts = tmp_path / "attempts.txt"
    killed: list[int] = []
    heard = Listener()

    def kill_one() -> None:
        while len(begun := attempts.read_text().split("\n") if attempts.exists() else []) < 10:
            time.sleep(0.01)
        pid = int(begun[8].split()[0])
        killed.append(pid)
        os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    plan = plan_run(scene, settings)
    with open_work(plan) as work, open_cluster(2, None, device="cpu") as client:
        killer.start()
        map_tiles(work, heard, client, Counted(attempts, 0.1))
        killer.join()
        done = set(work.journal.done)
    begun = [tuple(map(int, line.split())) for line in attempts.read_text().splitlines()]
    times = Counter(index for _, index in begun)
    again = {index for index, count in times.items() if count > 1}

    assert done == set(range(48))
    assert again <= {index for pid, index in begun if pid == killed[0]}
    assert 1 <= len(again) <= IN_FLIGHT * FEWEST
    assert len(begun) == 48 + len(again)
    assert sorted(event["tile"] for event in heard.events) == list(range(48))
    assert {event["scene"] for event in heard.events} == {"scene"}
    assert {int(str(event["worker"]).rsplit(":", 1)[1]) for event in heard.events} <= {pid for pid, _ in begun}
    assert all(event["name"] == "tile" and event["seconds"] >= 0 for event in heard.events)


def digests(folder: Path) -> dict[str, str]:
    """Give the SHA-256 of every file in a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def workers_of(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Give the worker processes that a run has started."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        return [child for child in children if any("spawn_main" in word for word in child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def are_done(out: Path, some: int) -> bool:
    """Tell whether so many tiles of a run are in its journal."""
    return any(path.read_text().count('"tile"') >= some for path in out.glob(".segflow/*/journal.jsonl"))


def map_killing(command: list[str], now: Callable[[], bool] | None) -> tuple[int, float]:
    """Run a command, kill one of its workers when `now` says so.

    Returns
    -------
    tuple
        Number of workers that were killed, and what it took [s].
    """
    started, killed = time.monotonic(), 0
    with subprocess.Popen(command, env=SLOW, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while now and not killed and process.poll() is None:
            time.sleep(0.02)
            found = workers_of(process) if now() else []
            for worker in random.Random(0).sample(found, min(1, len(found))):
                worker.kill()
                killed += 1
        _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    return killed, time.monotonic() - started


def two_workers(scene: Path, model: Path, out: Path) -> list[str]:
    """Give the command of a run with two worker processes."""
    command = [sys.executable, "-m", "segflow.cli", "run", str(scene), "--model", str(model), "--out", str(out)]
    return [*command, "--tile", str(CORE), "--workers", "2", "--device", "cpu", "--no-vectors", "--batch", "1"]


@pytest.mark.cluster
@pytest.mark.slow  # `make test` kills a worker in the test above
def test_a_killed_worker_changes_nothing(model: Path, tmp_path: Path) -> None:
    """`kill -9` of one of two workers when some tiles are done; the products are those of a run without workers."""
    scene = noise_scene(tmp_path / "scene.tif", (5 * CORE, 6 * CORE))
    settings = RunSettings(
        out=str(tmp_path / "undisturbed"), model=str(model), tile=CORE, vectors=False, device="cpu", batch=1
    )
    expected = digests(segment_scene(scene, settings).folder)
    out = tmp_path / "killed"
    killed, _ = map_killing(two_workers(scene, model, out), partial(are_done, out, 4))

    assert killed == 1
    assert digests(out / "scene") == expected


@pytest.mark.cluster
@pytest.mark.release
def test_ten_runs_with_killed_workers_give_the_same_products(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At random moments; what each run took is printed, not asserted: times are the machine's."""
    scene, choose = noise_scene(tmp_path / "scene.tif", (10 * CORE, 15 * CORE)), random.Random(20261121)
    _, undisturbed = map_killing(two_workers(scene, model, tmp_path / "undisturbed"), None)
    expected, killed = digests(tmp_path / "undisturbed" / "scene"), 0
    while killed < KILLS:
        out, some = tmp_path / f"killed{killed}", choose.randrange(1, 120)  # of 150 tiles
        deaths, seconds = map_killing(two_workers(scene, model, out), partial(are_done, out, some))
        killed += deaths
        with capsys.disabled():
            print(f"\nkilled after {some} tiles: {seconds:.1f} s; undisturbed {undisturbed:.1f} s")  # noqa: T201
        assert digests(out / "scene") == expected, f"killed after {some} tiles"
        shutil.rmtree(out)

    assert killed == KILLS
