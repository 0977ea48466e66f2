"""What a GPU does: the network alone, the engine, and scenes from file to canvas to map.

    python bench/gpu.py [--device cpu] [--side 10980] [--json FILE] [--scratch FOLDER]

Needs the installed package and nothing else: scenes are generated, of a Sentinel-2 granule's size. Takes a few
minutes on a GPU, at most `--minutes`; what no time is left for is named. Without a GPU it says so and ends; with
`--device cpu` it goes through the same steps on a tiny scene, which shows that they run, not how fast.

Rates count the pixels that the network sees, margins included, unless they say `scene`. All scenes are in the page
cache. Idle time is what CUDA events tell: one minus the time inside passes over the time from the first to the last.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_forward import measure_forward
from gpu_runs import finish_map, map_scene
from gpu_scenes import PACKING, shipped_spec, write_light_model, write_scene, write_wide_model

from segflow.configs.run import RunSettings
from segflow.flows.inference.scene_readers import scene_readers
from segflow.flows.planning.plan import tile_scene
from segflow.io.scene.scenes import open_scene
from segflow.io.work.canvas import CanvasLayout, create_canvas
from segflow.segmentation.predict.cuda_memory import fitting_batch
from segflow.tiling import Span, Window

GRANULE = 10_980  # px; side of a Sentinel-2 granule at 10 m
TINY = 700  # px; for a dry run
MEGA = 1e6
FOREST = "forest-amazon-s2"


def read_rate(scene: Path, bands: int, threads: int) -> float:
    """Give how fast threads decode a scene into memory [Mpx/s]."""
    with open_scene(scene, tuple(range(1, bands + 1))) as opened:
        grid, dtype = opened.info.grid, opened.info.dtype
    pixels, valid = np.ones((bands, *grid.shape), dtype), np.ones(grid.shape, bool)
    with scene_readers(lambda: open_scene(scene, tuple(range(1, bands + 1))), threads) as readers:
        started = time.perf_counter()
        parts = []
        for start in range(0, grid.width, 2048):
            cols = Span(start, min(start + 2048, grid.width))
            parts += readers.read(Window(Span(0, grid.height), cols), pixels[:, :, cols.slice], valid[:, cols.slice])
        for part in parts:
            part.result()
        return float(round(grid.window.size / (time.perf_counter() - started) / MEGA, 1))


def write_rate(folder: Path, side: int) -> float:
    """Give how fast one thread writes a map onto the canvas [Mpx/s]."""
    canvas = create_canvas(folder / "canvas", CanvasLayout(height=side, width=side, chunk=side))
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 2, (side // 8, side // 8)), np.ones((8, 8))).astype(np.uint8)
    confidence = rng.normal(92, 6, (side, side)).clip(0, 100).astype(np.uint8)
    core = Window.of_shape(side, side)
    canvas.write_core(core, labels, confidence)
    started = time.perf_counter()
    canvas.write_core(core, labels, confidence)
    return float(round(core.size / (time.perf_counter() - started) / MEGA, 1))


class Bench:
    """Runs steps while there is time and keeps what they gave."""

    def __init__(self, minutes: float) -> None:
        self.found: dict[str, Any] = {"machine": describe_machine(), "left out": []}
        self._ends = time.monotonic() + 60 * minutes

    def step(self, name: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401  # whatever a step gives
        """Run a step, or name it where no time is left or it fails."""
        if time.monotonic() > self._ends:
            self.found["left out"].append(f"{name}: no time left")
            return None
        started = time.monotonic()
        try:
            found = call()
        except Exception as error:  # noqa: BLE001  # the other figures are worth having
            self.found["left out"].append(f"{name}: {type(error).__name__}: {error}")
            return None
        print(f"[{time.monotonic() - started:6.1f} s] {name}: {json.dumps(found)}", file=sys.stderr, flush=True)
        self.found[name] = found
        return found


def describe_machine() -> dict[str, Any]:
    """Give what the figures were measured on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"gpu": gpu, "processors": os.cpu_count(), "torch": torch.__version__, "load": os.getloadavg()[0]}


def measure(folder: Path, side: int, device: str, minutes: float) -> dict[str, Any]:
    """Go through all steps."""
    bench = Bench(minutes)
    maps = folder / "maps"
    spec = shipped_spec(FOREST)
    wide = str(write_wide_model(folder / "wide.safetensors"))
    light = bench.step("light model", lambda: str(write_light_model(folder / "light.safetensors")))
    for name, model in (("forest", FOREST), ("forest, 4 bands uint16", wide), ("light", light)):
        if model is not None:
            bench.step(f"forward {name}", partial(_forward, model, side, device))
    scenes = {packing: write_scene(folder / f"uint8_{packing}.tif", side, spec, packing) for packing in PACKING}
    for packing, scene in scenes.items():
        bench.step(f"map {packing}", partial(map_scene, scene, FOREST, maps, device))
    if light is not None:
        bench.step("map light none", partial(map_scene, scenes["none"], light, maps, device))
    bench.step("whole run zstd", lambda: [finish_map(scenes["zstd"], FOREST, maps, device) for _ in range(2)])
    bench.step("writing, one thread", partial(write_rate, folder, min(2816, side // 8 * 8)))
    most = min(16, os.cpu_count() or 1)
    for packing, scene in scenes.items():
        counts = sorted({1, 4, most} & set(range(1, most + 1)))
        bench.step(
            f"reading {packing}",
            lambda scene=scene, counts=counts: {f"{n} threads": read_rate(scene, 3, n) for n in counts},
        )
        scene.unlink()
    for packing in ("none", "zstd"):
        bench.step(f"map 4 bands uint16 {packing}", partial(_write_and_map, folder, side, wide, packing, device))
    bench.step("map 4 granules none", partial(_write_and_map, folder, 2 * side, FOREST, "none", device))
    _compare(bench.found)
    return bench.found


def _write_and_map(folder: Path, side: int, model: str, packing: str, device: str) -> list[dict[str, Any]]:
    scene = write_scene(folder / "one.tif", side, shipped_spec(model), packing)
    found = map_scene(scene, model, folder / "maps", device)
    scene.unlink()
    return found


def _forward(model: str, side: int, device: str) -> dict[str, Any]:
    """Measure on the shape and batch that a run over a scene of this size takes."""
    shape = tile_scene((side, side), shipped_spec(model), RunSettings(model=model, device=device)).read_shape
    batch = 1 if device == "cpu" else fitting_batch(shape, torch.device("cuda", 0))
    return measure_forward(model, shape, batch, device)


def _compare(found: dict[str, Any]) -> None:
    """Put the rate of each scene's mapping over the engine's on the same network."""
    for name, runs in found.items():
        if name.startswith("map"):
            kind = "light" if "light" in name else "forest, 4 bands uint16" if "4 bands" in name else "forest"
            forward = found.get(f"forward {kind}")
            for run in runs:
                if forward is not None:
                    run["over_forward"] = round(run["read_mpx_s"] / forward["engine_mpx_s"], 3)


def print_table(found: dict[str, Any]) -> None:
    """Print the figures to read."""
    print(", ".join(f"{name} {value}" for name, value in found["machine"].items()))
    for name, value in found.items():
        if name in {"machine", "left out"}:
            continue
        rows = value if isinstance(value, list) else [value]
        for index, row in enumerate(rows):
            label = f"{name} #{index + 1}" if len(rows) > 1 else name
            text = ", ".join(f"{key} {entry}" for key, entry in row.items()) if isinstance(row, dict) else row
            print(f"{label:>32} | {text}")
    for name in found["left out"]:
        print(f"{'left out':>32} | {name}")


def main() -> None:
    """Measure what was asked for and print it."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a dry run")
    options.add_argument("--side", type=int, help=f"side of the scenes [px] [default: {GRANULE}, on a CPU {TINY}]")
    options.add_argument("--minutes", type=float, default=7.5, help="no step begins later")
    options.add_argument("--json", type=Path, help="file for the figures")
    options.add_argument("--scratch", type=Path, help="folder for scenes and maps [default: a temporary one]")
    chosen = options.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device is there, so there is nothing to measure: use --device cpu for a dry run")
        return
    side = chosen.side or (TINY if chosen.device == "cpu" else GRANULE)
    with nullcontext(chosen.scratch) if chosen.scratch else tempfile.TemporaryDirectory("segflow") as folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        found = measure(Path(folder), side, chosen.device, chosen.minutes)
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found))
    print_table(found)


if __name__ == "__main__":
    main()
