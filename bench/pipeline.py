"""The inference stage: how much of its time is spent inside the network.

    python bench/pipeline.py [--side 6000] [--core 1024] [--scratch FOLDER]

Two shares are given. `share` is the network's part of the stage as the run itself counts it, from the
first task's submission to the last one's result, model loading included. `share with start` also counts
starting the cluster inside this process. The network's time is that of its forward passes alone.
"""

import json
import os
import resource
import shutil
import time
from pathlib import Path
from typing import Any

from mosaic_scene import mosaic_scene, parser, scratch

from segflow.configs.run import RunSettings
from segflow.flows.inference.infer import infer
from segflow.flows.inference.store import open_work
from segflow.flows.planning.plan import plan_run
from segflow.flows.progress import Silence

MEGA = 1e6


def measure(scene: Path, out: Path, core: int | None) -> dict[str, Any]:
    """Map all tiles of a scene and say where the time went."""
    shutil.rmtree(out, ignore_errors=True)
    plan = plan_run(scene, RunSettings(out=str(out), tile=core, device="cpu", precision="float32"))
    with open_work(plan) as work:
        spent, started = _processor_seconds(), time.perf_counter()
        times = infer(work, Silence())
        elapsed, spent = time.perf_counter() - started, _processor_seconds() - spent
    pixels = plan.scene.grid.window.size
    return {
        "core_px": plan.tiles.core,
        "margin_px": plan.tiles.margin,
        "work_over_scene": round(plan.tiles.work, 3),
        "network_s": round(times.network, 2),
        "tasks_s": round(times.tasks, 2),
        "stage_s": round(times.stage, 2),
        "stage_with_start_s": round(elapsed, 2),
        "share": round(times.network / times.stage, 4),
        "share_with_start": round(times.network / elapsed, 4),
        "mpx_per_s": round(pixels / times.stage / MEGA, 4),
        "processors_busy": round(spent / elapsed, 2),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system


def main() -> None:
    """Make the scene, map it, print what was found."""
    options = parser(__doc__)
    options.add_argument("--core", type=int, help="side of a tile's core [px] [default: the run's own choice]")
    chosen = options.parse_args()
    with scratch(chosen.scratch) as folder:
        found = measure(mosaic_scene(folder, chosen.side, chosen.data), folder / "pipeline", chosen.core)
    if chosen.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:>20} {value}")


if __name__ == "__main__":
    main()
