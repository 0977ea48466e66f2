"""A whole run of the real mosaic by the command line: rasters, vectors, peak memory.

    python bench/products.py [--side 6000] [--scratch FOLDER]

Seconds are those that `segflow run --json` reports for its stages. The raster stage writes, copies and reads
back two COGs (classes and confidence), so its pixels count twice; the vector stage reads both and writes
the GeoPackage.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pyogrio
from mosaic_scene import mosaic_scene, parser, scratch
from process_tree import watch_command  # beside the tests, as `mosaic_scene` arranges

RASTERS = 2
MEGA = 1e6


def measure(scene: Path, out: Path) -> dict[str, Any]:
    """Run a scene from nothing to its products."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "segflow.cli", "run", str(scene), "--out", str(out), "--device", "cpu", "--json"]
    watched = watch_command(command)
    result = json.loads(watched.output)[0]
    seconds, pixels = result["seconds"], result["pixels"]
    package = Path(result["folder"]) / f"{scene.stem}.gpkg"
    polygons = sum(
        pyogrio.read_info(package, layer=name)["features"]
        for name, kind in pyogrio.list_layers(package)
        if kind is not None
    )
    return {
        "wall_s": round(watched.seconds, 1),
        "mpx_per_s": round(pixels / watched.seconds / MEGA, 4),
        "stages_s": {name: round(value, 2) for name, value in seconds.items()},
        "cog_s_per_100_mpx": round(seconds["rasters"] / (RASTERS * pixels) * 100 * MEGA, 2),
        "polygons": polygons,
        "polygons_per_s": round(polygons / seconds["vectors"]),
        "peak_gib": round(watched.peak / 2**30, 2),
    }


def main() -> None:
    """Make the scene, run it, print what was found."""
    chosen = parser(__doc__).parse_args()
    with scratch(chosen.scratch) as folder:
        found = measure(mosaic_scene(folder, chosen.side, chosen.data), folder / "products")
    if chosen.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:>20} {value}")


if __name__ == "__main__":
    main()
