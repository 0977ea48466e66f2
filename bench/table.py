"""All benches, one after the other, as one short table: what `make bench` prints.

python bench/table.py [--side 6000] [--scratch FOLDER]
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
from mosaic_scene import parser, scratch

HERE = Path(__file__).parent


def run(name: str, folder: Path, *more: str) -> dict[str, Any]:
    """Run one bench in a process of its own and give what it found."""
    command = [sys.executable, str(HERE / name), "--scratch", str(folder), "--json", *more]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return answer


def machine() -> str:
    """Give processor, threads and memory in a line."""
    name = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
    memory = psutil.virtual_memory().total / 2**30
    return f"{name}, {os.cpu_count()} threads, {memory:.0f} GiB, load {os.getloadavg()[0]:.1f}"


def main() -> None:
    """Run all and print."""
    options = parser(__doc__)
    chosen = options.parse_args()
    scene = ["--side", str(chosen.side), *(["--data", str(chosen.data)] if chosen.data else [])]
    print(machine(), flush=True)
    with scratch(chosen.scratch) as folder:
        pipeline = run("pipeline.py", folder, *scene)
        row("inference: time in the network / stage", f"{pipeline['share']:.1%}")
        row("  with starting the cluster", f"{pipeline['share_with_start']:.1%}")
        row("inference: speed", f"{pipeline['mpx_per_s']:.2f} Mpx/s")
        row("inference: peak memory", f"{pipeline['peak_gib']:.2f} GiB")
        baseline = run("baseline.py", folder, *scene)
        row("inference: speed / plain loop's", f"{baseline['ratio']:.2f}")
        products = run("products.py", folder, *scene)
        row("whole run: speed", f"{products['mpx_per_s']:.2f} Mpx/s")
        row("whole run: peak memory", f"{products['peak_gib']:.2f} GiB")
        row("COG: per 100 Mpx", f"{products['cog_s_per_100_mpx']:.1f} s")
        row("vectors: speed", f"{products['polygons_per_s']:,} polygons/s")
        vectors = run("vectors.py", folder, *(["--data", str(chosen.data)] if chosen.data else []))
        row("polygons: speed / rasterio + shapely, whole", f"{vectors['faster_than_whole']:.2f}")
        row("polygons: their memory / ours", f"{vectors['memory_of_whole_over_ours']:.2f}")
        if "faster_than_gdal" in vectors:
            row("polygons: speed / gdal_polygonize", f"{vectors['faster_than_gdal']:.2f}")
        row("polygons: memory of 24,000² / of 12,000²", f"{vectors['memory_large_over_side']:.2f}")
        memory = run("memory.py", folder)
        for one in memory["runs"]:
            row(f"1×1 convolution, {one['side_px']:,} px: peak memory", f"{one['peak_gib']:.2f} GiB")


def row(name: str, value: str) -> None:
    """Print a line of the table."""
    print(f"{name:<48} {value:>20}", flush=True)


if __name__ == "__main__":
    main()
