"""The same network, mosaic and machine in a plain loop, as sliding windows are usually written.

    python bench/baseline.py [--side 6000] [--scratch FOLDER]

The loop: windows of 512 px that overlap by 64 px, which neighbours share evenly, read by rasterio in the
loop, one at a time; the eager network in float32 as it was trained (convolutions and normalisations apart,
plain memory layout, the allocator's own settings). It does less than the inference stage: no confidence,
no checksums, no journal, no canvas on disk, and near the windows' edges its classes are not those of the
whole scene. Each of the two runs in a process of its own, one after the other.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.windows
import torch
from mosaic_scene import mosaic_scene, parser, scratch

from segflow.flows.models.lookup import find_model
from segflow.io.models.packages import read_model_file
from segflow.segmentation.predict.weights import restore_network
from segflow.segmentation.spec import ModelSpec

MODEL = "forest-amazon-s2"
TILE = 512  # px
OVERLAP = 64  # px
MEGA = 1e6


def measure(scene: Path) -> dict[str, Any]:
    """Map a scene in a plain loop and say how long that took."""
    text, arrays = read_model_file(find_model(MODEL).path)
    spec = ModelSpec.from_json(text)
    network = restore_network(spec, arrays)
    mean = torch.tensor([band.mean for band in spec.bands])[:, None, None]
    std = torch.tensor([band.std for band in spec.bands])[:, None, None]
    trim = OVERLAP // 2
    started, read = time.perf_counter(), 0
    with rasterio.open(scene) as dataset, torch.inference_mode():
        height, width = dataset.shape
        labels = np.empty((height, width), np.uint8)
        for top in _starts(height):
            for left in _starts(width):
                window = rasterio.windows.Window(left, top, TILE, TILE)
                pixels = torch.from_numpy(dataset.read(window=window)).float()
                found = network((pixels - mean)[None] / std).argmax(1)[0].to(torch.uint8).numpy()
                rows, cols = trim if top else 0, trim if left else 0
                labels[top + rows : top + TILE, left + cols : left + TILE] = found[rows:, cols:]
                read += TILE * TILE
    elapsed = time.perf_counter() - started
    return {
        "seconds": round(elapsed, 2),
        "work_over_scene": round(read / labels.size, 3),
        "mpx_per_s": labels.size / elapsed / MEGA,
    }


def _starts(length: int) -> list[int]:
    """Give where windows start along an axis; the last one ends with the scene."""
    return [*range(0, length - TILE, TILE - OVERLAP), length - TILE]


def compare(folder: Path, side: int, data: Path | None) -> dict[str, Any]:
    """Run both, one after the other, and compare their speeds."""
    scene = mosaic_scene(folder, side, data)
    plain = _run(__file__, "--scene", scene)
    ours = _run(Path(__file__).with_name("pipeline.py"), "--scratch", folder, "--side", side, "--json")
    return {
        "plain_mpx_per_s": round(plain["mpx_per_s"], 4),
        "segflow_mpx_per_s": ours["mpx_per_s"],
        "ratio": round(ours["mpx_per_s"] / plain["mpx_per_s"], 2),
        "plain_work_over_scene": plain["work_over_scene"],
        "segflow_work_over_scene": ours["work_over_scene"],
    }


def _run(*command: object) -> dict[str, Any]:
    done = subprocess.run([sys.executable, *map(str, command)], check=True, stdout=subprocess.PIPE, text=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def main() -> None:
    """Run the plain loop on one scene, or compare."""
    options = parser(__doc__)
    options.add_argument("--scene", type=Path, help="only run the plain loop, on this scene")
    chosen = options.parse_args()
    if chosen.scene:
        print(json.dumps(measure(chosen.scene)))
        return
    with scratch(chosen.scratch) as folder:
        found = compare(folder, chosen.side, chosen.data)
    if chosen.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:>24} {value}")


if __name__ == "__main__":
    main()
