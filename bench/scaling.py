"""What a cluster costs, and what it gains.

    python bench/scaling.py overhead [--tiles 20000] [--threads 64] [--seconds 0.1]
    python bench/scaling.py speedup [--side 6000] [--core 1024]

*overhead*: the run's own loop (tasks, journal, events) maps a scene of so many tiles on so many workers of one thread
each, with a network that sleeps. Scheduler, workers and run are processes of their own that talk through loopback.
Ideal is tiles × seconds ÷ threads; what is above it is scheduling. The scheduler's memory is read all the time.

*speedup*: a real scene and the default model on one, then on two worker processes of one thread each.
It needs two idle processors.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import rasterio
from mosaic_scene import mosaic_scene, parser, scratch

from segflow.configs.run import RunSettings
from segflow.flows.cluster.opening import open_cluster
from segflow.flows.inference.infer import map_tiles
from segflow.flows.inference.store import open_work
from segflow.flows.inference.tiles import TileJob, TilesDone, load_engine, predict_tiles
from segflow.flows.planning.plan import plan_run
from segflow.flows.progress import Silence
from segflow.io.work.journal import Journal

HERE = Path(__file__).parent
CORE = 256  # px; of tiles that nobody reads
LOOK = 0.5  # s between looks at the scheduler's memory
PARTS = (0, 0.2, 0.4, 0.6, 0.8, 1)  # of the run, at which the scheduler's memory is told
MIB = 2**20


def overhead(folder: Path, tiles: int, threads: int, seconds: float) -> dict[str, Any]:
    """Map a scene with a network that sleeps; say what it took beyond sleeping."""
    from scenes import write_pixelwise_model
    from sleeping import SleepingNetwork

    scene = _blank_scene(folder / "blank.tif", tiles)
    model = write_pixelwise_model(folder / "bright.safetensors", bands=1)
    shutil.rmtree(folder / "overhead", ignore_errors=True)
    with _serve("scheduler") as scheduler, _serve("workers", address := _line(scheduler), str(threads)) as workers:
        _line(workers)
        settings = RunSettings(out=str(folder / "overhead"), model=str(model), tile=CORE, scheduler=address)
        plan = plan_run(scene, settings)
        with open_work(plan) as work, open_cluster(0, address) as client:
            journal, counter = _JournalClock(work.journal), _TaskCounter()
            with _watched(scheduler.pid) as memory:
                spent = [_processor(pid) for pid in (os.getpid(), scheduler.pid, workers.pid)]
                times = map_tiles(work, counter, client, SleepingNetwork(seconds))
                run, scheduling, working = (
                    _processor(pid) - before
                    for pid, before in zip((os.getpid(), scheduler.pid, workers.pid), spent, strict=True)
                )
            done = len(work.journal.done)
    ideal = len(plan.tiles) * seconds / threads
    return {
        "tiles": done,
        "threads": threads,
        "tile_s": seconds,
        "ideal_s": round(ideal, 2),
        "stage_s": round(times.stage, 2),
        "overhead": round(times.stage / ideal - 1, 4),
        "tiles_per_s": round(done / times.stage, 1),
        "tasks": counter.tasks,
        "journal_syncs": journal.calls,
        "journal_s": round(journal.seconds, 2),
        "run_processor_s": round(run, 2),
        "scheduler_processor_s": round(scheduling, 2),
        "workers_processor_s": round(working, 2),
        "scheduler_processor_ms_per_task": round(1000 * scheduling / counter.tasks, 2),
        "scheduler_mib": [round(memory[int(part * (len(memory) - 1))] / MIB, 1) for part in PARTS],
    }


def speedup(folder: Path, scene: Path, core: int | None) -> dict[str, Any]:
    """Map a real scene on one worker process, then on two, each with one thread."""
    found: dict[str, Any] = {}
    for workers in (1, 2):
        out = folder / f"speedup{workers}"
        shutil.rmtree(out, ignore_errors=True)
        command = [sys.executable, __file__, "one", str(scene), str(out), str(workers), str(core or 0)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        answer = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True).stdout
        found[f"workers{workers}_s"] = float(answer)
    return {**found, "speedup": round(found["workers1_s"] / found["workers2_s"], 3)}


def one(scene: str, out: str, workers: int, core: int) -> float:
    """Map a scene on so many workers of one thread; give the seconds from the first task to the last answer."""
    settings = RunSettings(
        out=out, tile=core or None, workers=workers, device="cpu", precision="float32", vectors=False
    )
    plan = plan_run(scene, settings)
    with open_work(plan) as work, open_cluster(workers, None, device="cpu") as client:
        client.run(_load, plan.model.path, plan.model.digest)
        return map_tiles(work, Silence(), client, _single_threaded).stage


def _load(path: str, digest: str) -> None:
    load_engine(path, digest, "cpu", "float32", 1, probabilities=False)


def _single_threaded(job: TileJob, indices: tuple[int, ...]) -> TilesDone:
    return predict_tiles(replace(job, threads=1), indices)


class _TaskCounter(Silence):
    """Counts tasks."""

    tasks = 0

    def advance(self, amount: int) -> None:
        """Hear that a task is done."""
        self.tasks += amount > 0


class _JournalClock:
    """Counts the syncs of a journal and their seconds."""

    def __init__(self, journal: Journal) -> None:
        self.calls, self.seconds = 0, 0.0
        record = journal.record_tiles

        def timed(tiles: Iterable[tuple[int, str]]) -> None:
            started = time.perf_counter()
            record(tiles)
            self.seconds += time.perf_counter() - started
            self.calls += 1

        journal.record_tiles = timed  # type: ignore[method-assign]


def _blank_scene(path: Path, tiles: int) -> Path:
    """Write a scene of about so many tiles, and not one pixel of it."""
    across = max(1, round(tiles**0.5))
    down = -(-tiles // across)
    options = {"driver": "GTiff", "dtype": "uint8", "count": 1, "tiled": True, "blockxsize": 512, "blockysize": 512}
    options |= {"crs": "EPSG:32720", "transform": rasterio.Affine(10, 0, 300_000, 0, -10, 9_400_000)}
    with rasterio.open(path, "w", height=down * CORE, width=across * CORE, SPARSE_OK=True, BIGTIFF="YES", **options):
        pass
    return path


@contextmanager
def _serve(*what: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, str(HERE / "sleeping.py"), *what],
        env={**os.environ, "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.communicate(timeout=60)


def _processor(pid: int) -> float:
    """Give the processor time that a process has used [s]."""
    spent = psutil.Process(pid).cpu_times()
    return float(spent.user + spent.system)


def _line(process: "subprocess.Popen[str]") -> str:
    line = process.stdout.readline().strip() if process.stdout else ""
    return line or sys.exit("a process of the cluster did not start")


@contextmanager
def _watched(pid: int) -> Iterator[list[int]]:
    """Read a process's resident memory all the time [bytes]."""
    process, stop = psutil.Process(pid), threading.Event()
    found = [process.memory_info().rss]

    def look() -> None:
        while not stop.wait(LOOK):
            found.append(process.memory_info().rss)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def main() -> None:
    """Measure one of the two and print what was found."""
    options = parser(__doc__)
    options.add_argument("what", choices=("overhead", "speedup"))
    options.add_argument("--tiles", type=int, default=20_000, help="tiles of the stub's scene")
    options.add_argument("--threads", type=int, default=64, help="workers of one thread each")
    options.add_argument("--seconds", type=float, default=0.1, help="that the stub sleeps for each tile")
    options.add_argument("--core", type=int, help="side of a real tile's core [px] [default: the run's own choice]")
    chosen = options.parse_args()
    with scratch(chosen.scratch) as folder:
        if chosen.what == "overhead":
            found = overhead(folder, chosen.tiles, chosen.threads, chosen.seconds)
        else:
            found = speedup(folder, mosaic_scene(folder, chosen.side, chosen.data), chosen.core)
    if chosen.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:>20} {value}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        print(one(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
    else:
        main()
