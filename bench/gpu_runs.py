"""Scenes from file to canvas, and from file to finished map: rates, idle time, processors, memory."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from segflow.configs.run import RunSettings
from segflow.flows.inference.infer import infer, tile_job
from segflow.flows.inference.store import open_work
from segflow.flows.inference.tiles import load_engine
from segflow.flows.planning.plan import plan_run
from segflow.flows.progress import Silence

MEGA = 1e6


def map_scene(scene: Path, model: str, out: Path, device: str, *, runs: int = 5) -> list[dict[str, Any]]:
    """Map a scene onto the canvas several times in this process; the first loads and records, the others do not.

    Rates count the pixels of reads: what the network sees, margins included.
    """
    return [_map_once(scene, RunSettings(model=model, out=str(out), device=device)) for _ in range(runs)]


def _map_once(scene: Path, settings: RunSettings) -> dict[str, Any]:
    shutil.rmtree(settings.out, ignore_errors=True)
    plan = plan_run(scene, settings)
    with open_work(plan) as work:
        clock = _clock(tile_job(work))
        if clock is not None:
            clock.restart()
        _forget_peak()
        spent, started = _processor_seconds(), time.perf_counter()
        times = infer(work, Silence())
        elapsed, spent = time.perf_counter() - started, _processor_seconds() - spent
    pixels = plan.scene.grid.window.size
    reads = plan.tiles.work * pixels
    span = clock.span if clock is not None else 0.0
    return {
        "core_px": plan.tiles.core,
        "tiles": len(plan.tiles),
        "work": round(plan.tiles.work, 3),
        "stage_s": round(times.stage, 3),
        "with_cluster_s": round(elapsed, 3),
        "network_s": round(times.network, 3),
        "tasks_s": round(times.tasks, 3),
        "scene_mpx_s": round(pixels / times.stage / MEGA, 1),
        "read_mpx_s": round(reads / times.tasks / MEGA, 1),
        "gpu_idle_in_task": round(1 - times.network / times.tasks, 3),
        "gpu_idle_between_passes": round(1 - times.network / span, 3) if span else None,
        "processors_busy": round(spent / elapsed, 2),
        "peak_gpu_gib": _peak(),
    }


def finish_map(scene: Path, model: str, out: Path, device: str) -> dict[str, Any]:
    """Give how long `segflow run --no-vectors` takes in a process of its own, from its start to the item, and stages.

    In this process the stage that counts would be slow: the processes that it starts import this bench first.
    """
    shutil.rmtree(out, ignore_errors=True)
    words = ["run", str(scene), "--out", str(out), "--model", model, "--device", device, "--no-vectors"]
    command = [sys.executable, "-c", "from segflow.cli.app import main; main()", *words]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {"whole_s": round(time.perf_counter() - started, 2), "says": done.stdout.strip().rpartition("; ")[2]}


def _clock(job: Any) -> Any:  # noqa: ANN401  # None for engines without one
    engine = load_engine(job.model, job.model_digest, job.device, job.precision, job.threads, job.probabilities)
    return getattr(engine, "clock", None)


def _forget_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peak() -> float | None:
    return round(torch.cuda.max_memory_reserved() / 2**30, 2) if torch.cuda.is_available() else None


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system
