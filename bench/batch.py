"""Many small real scenes in one batch: what a scene costs beyond the time inside the network.

    python bench/batch.py [--scenes 100] [--scratch FOLDER] [--together 1] [--workers 0]

Scenes are 512 × 512 px windows of real images, all different; products are the default ones: two COGs, GeoPackage,
report, item. The overhead is the wall time of the whole batch, without the import of segflow and the loading of the
model (one scene is mapped before), less the time inside the network, divided by the number of scenes.
`cpu` is processor time of this process outside the network: on a busy machine it tells more than the wall.
"""

import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from mosaic_scene import default_data, parser, scratch

from segflow.configs.run import RunSettings
from segflow.flows.inference.tiles import _load_engine
from segflow.flows.many.batch import segment_batch

SIDE = 512  # px


def small_scenes(folder: Path, count: int, data: Path) -> list[Path]:
    """Write scenes of real pixels: images, turned and mirrored so that no two are equal."""
    images = sorted((data / "forest-amazon" / "images").glob("*.tif"))
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(count):
        path = folder / f"scene_{index:03}.tif"
        with rasterio.open(images[index % len(images)]) as source:
            pixels, profile = source.read()[:, :SIDE, :SIDE], source.profile
        turn = index // len(images)
        pixels = np.rot90(pixels[:, :, ::-1] if turn >= 4 else pixels, turn, axes=(1, 2))  # noqa: PLR2004  # 8 ways
        with rasterio.open(path, "w", **profile) as target:
            target.write(pixels)
        paths.append(path)
    return paths


def measure(scenes: list[Path], out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Map all scenes in one batch from nothing."""
    shutil.rmtree(out, ignore_errors=True)
    segment_batch(scenes[:1], RunSettings(out=str(out / "first"), **settings))
    started, cpu = time.perf_counter(), time.process_time()
    outcomes = segment_batch(scenes, RunSettings(out=str(out / "maps"), **settings))
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    failed = [outcome.describe() for outcome in outcomes if outcome.result is None]
    if failed:
        sys.exit("\n".join(failed))
    results = [outcome.result for outcome in outcomes if outcome.result is not None]
    network = sum(result.inference.network for result in results)
    stages: dict[str, float] = {}
    for result in results:
        for name, seconds in result.seconds.items():
            stages[name] = stages.get(name, 0.0) + seconds
    return {
        "scenes": len(results),
        "wall_s": round(wall, 2),
        "network_s": round(network, 2),
        "overhead_s_per_scene": round((wall - network) / len(results), 3),
        "cpu_s_per_scene_all": round(cpu / len(results), 3),
        "stages_s_per_scene": {name: round(seconds / len(results), 3) for name, seconds in stages.items()},
        "models_loaded_here": _load_engine.cache_info().misses,
    }


def main() -> None:
    """Write the scenes, map them, print what was found."""
    options = parser(__doc__)
    options.add_argument("--scenes", type=int, default=100, help="number of scenes")
    options.add_argument("--together", type=int, default=1, help="scenes side by side")
    options.add_argument("--workers", type=int, default=0, help="worker processes")
    chosen = options.parse_args()
    settings = {"device": "cpu", "together": chosen.together, "workers": chosen.workers}
    with scratch(chosen.scratch) as folder:
        scenes = small_scenes(folder / "small", chosen.scenes, chosen.data or default_data())
        for name, value in measure(scenes, folder / "batch", settings).items():
            print(f"{name:>22} {value}")


if __name__ == "__main__":
    main()
