"""Peak memory of a whole run, and how it grows with the scene.

    python bench/memory.py [--sides 10000 20000] [--scratch FOLDER]

The network is one 1×1 convolution, so that what is measured is everything but activations.
`make test-release` holds 20,000 and 40,000 px to 1.5 GiB and 10 %.
"""

import json
import sys
from pathlib import Path
from typing import Any

from mosaic_scene import parser, scratch
from process_tree import watch_command  # beside the tests, as `mosaic_scene` arranges
from scenes import write_pixelwise_model
from sparse_scenes import write_sparse_scene

SIDES = (10_000, 20_000)  # px


def measure(folder: Path, side: int) -> dict[str, Any]:
    """Run a scene of ``side × side`` pixels from nothing to its products."""
    model, out = folder / "bright.safetensors", folder / "memory"
    write_pixelwise_model(model)
    scene = folder / f"sparse_{side}.tif"
    if not scene.exists():
        write_sparse_scene(scene, side)
    command = [sys.executable, "-m", "segflow.cli", "run", str(scene), "--model", str(model), "--out", str(out)]
    watched = watch_command([*command, "--device", "cpu", "--overwrite", "--json"])
    result = json.loads(watched.output)[0]
    return {
        "side_px": side,
        "peak_gib": round(watched.peak / 2**30, 3),
        "wall_s": round(watched.seconds, 1),
        "stages_s": {name: round(value, 1) for name, value in result["seconds"].items()},
    }


def main() -> None:
    """Run scenes of growing size and print their peaks."""
    options = parser(__doc__)
    options.add_argument("--sides", type=int, nargs="+", default=SIDES, help="sides of the scenes [px]")
    chosen = options.parse_args()
    with scratch(chosen.scratch) as folder:
        found = [measure(folder, side) for side in chosen.sides]
    growth = found[-1]["peak_gib"] / found[0]["peak_gib"] - 1
    if chosen.json:
        print(json.dumps({"runs": found, "growth": round(growth, 4)}))
        return
    for run in found:
        print(run)
    print(f"growth {growth:.1%}")


if __name__ == "__main__":
    main()
