"""Polygons of a large class raster: `segflow vectorize` beside what else one would run.

    python bench/vectors.py [--side 12000] [--large 24000] [--scratch FOLDER] [--data FOLDER] [--json]

The raster is the map that the shipped model makes of the mosaic of real scenes, turned and mirrored side by side: its
objects are as many and as ragged as those of a real map. Each contender runs in a process of its own, one
after the other, on the same files, to a GeoPackage; memory is the peak of the process and all it starts.

- ``whole``: rasterio.features.shapes, shapely and pyogrio on the whole raster in one process
- ``gdal``: the command gdal_polygonize (Debian's python3-gdal), if it is there
- ``segflow``: segflow vectorize, with confidences, areas on the ellipsoid, and the file read back
- ``segflow, large``: the same at twice the side
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from mosaic_scene import mosaic_scene, parser, scratch
from process_tree import watch_command  # beside the tests, as `mosaic_scene` arranges

SIDE, LARGE = 12_000, 24_000  # px
MAPPED = 2048  # px; side of the map that is repeated
MEGA = 1e6

WHOLE = """
import sys
import numpy as np, pyogrio, rasterio, rasterio.features, shapely, shapely.geometry
with rasterio.open(sys.argv[1]) as dataset:
    labels, transform, crs = dataset.read(1), dataset.transform, dataset.crs.to_wkt()
found = list(rasterio.features.shapes(labels, mask=labels != 255, connectivity=4, transform=transform))
geometry = np.array([shapely.geometry.shape(shape) for shape, _ in found], object)
values = np.array([value for _, value in found], np.int32)
wkb = shapely.to_wkb(geometry)
pyogrio.raw.write(sys.argv[2], wkb, [values], ["class_id"], driver="GPKG", geometry_type="Polygon", crs=crs)
"""


def mapped_scene(folder: Path, data: Path | None) -> dict[str, np.ndarray]:
    """Give the model's map of real scenes: classes and confidences."""
    scene = mosaic_scene(folder, MAPPED, data)
    command = [sys.executable, "-m", "segflow.cli", "run", str(scene), "--out", str(folder / "maps"), "--no-vectors"]
    subprocess.run([*command, "--device", "cpu"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = {}
    for name in ("classes", "confidence"):
        with rasterio.open(folder / "maps" / scene.stem / f"{scene.stem}_{name}.tif") as dataset:
            found[name] = dataset.read(1)
    return found


def write_maps(folder: Path, side: int, cell: dict[str, np.ndarray]) -> Path:
    """Write the map of a large scene, and give the path of its class raster."""
    path = folder / f"map_{side}_classes.tif"
    if path.exists():
        return path
    for name, pixels in cell.items():
        rng = np.random.default_rng(0)
        profile = {
            "driver": "GTiff",
            "dtype": "uint8",
            "count": 1,
            "height": side,
            "width": side,
            "crs": "EPSG:32720",
            "transform": rasterio.Affine(10, 0, 300_000, 0, -10, 9_400_000),
            "tiled": True,
            "blockxsize": 512,
            "blockysize": 512,
            "compress": "deflate",
            "nodata": 255,
        }
        with rasterio.open(folder / f"map_{side}_{name}.tif", "w", **profile) as dataset:
            for top in range(0, side, MAPPED):
                for left in range(0, side, MAPPED):
                    turned = np.rot90(pixels, int(rng.integers(4)))
                    turned = (turned[::-1] if rng.integers(2) else turned)[: side - top, : side - left]
                    window = rasterio.windows.Window(left, top, turned.shape[1], turned.shape[0])
                    dataset.write(np.ascontiguousarray(turned), 1, window=window)
    return path


def contenders(folder: Path, raster: Path) -> dict[str, list[str]]:
    """Give the commands to run on a raster."""
    whole, gdal, ours = (str(folder / f"{name}.gpkg") for name in ("whole", "gdal", "segflow"))
    polygonize = shutil.which("gdal_polygonize.py") or shutil.which("gdal_polygonize")
    commands = {"whole": [sys.executable, "-c", WHOLE, str(raster), whole]}
    if polygonize:
        commands["gdal"] = [polygonize, "-q", str(raster), "-f", "GPKG", gdal]
    commands["segflow"] = segflow(raster, ours)
    return commands


def segflow(raster: Path, out: str) -> list[str]:
    """Give our own command."""
    return [sys.executable, "-m", "segflow.cli", "vectorize", str(raster), "--out", out, "--overwrite", "--json"]


def measure(command: list[str]) -> dict[str, float]:
    """Run a command and give wall time and peak memory."""
    for place in command:
        if place.endswith(".gpkg"):
            Path(place).unlink(missing_ok=True)
    watched = watch_command(command)
    return {"wall_s": round(watched.seconds, 2), "peak_mib": round(watched.peak / 2**20, 1)}


def compare(folder: Path, side: int, large: int, data: Path | None) -> dict[str, Any]:
    """Run all, and compare ours with the others."""
    cell = mapped_scene(folder, data)
    raster = write_maps(folder, side, cell)
    runs = {name: measure(command) for name, command in contenders(folder, raster).items()}
    found: dict[str, Any] = {"side_px": side, "mpx_per_s": round(side**2 / runs["segflow"]["wall_s"] / MEGA, 2)}
    ours = runs["segflow"]
    for name in ("whole", "gdal"):
        if name in runs:
            found[f"faster_than_{name}"] = round(runs[name]["wall_s"] / ours["wall_s"], 2)
            found[f"memory_of_{name}_over_ours"] = round(runs[name]["peak_mib"] / ours["peak_mib"], 2)
    if large:
        runs["segflow, large"] = measure(segflow(write_maps(folder, large, cell), str(folder / "large.gpkg")))
        found["large_px"] = large
        found["memory_large_over_side"] = round(runs["segflow, large"]["peak_mib"] / ours["peak_mib"], 2)
    return {**found, "runs": runs}


def main() -> None:
    """Make the rasters, run all contenders, print what was found."""
    options = parser(__doc__)
    options.set_defaults(side=SIDE)
    options.add_argument("--large", type=int, default=LARGE, help="side of the larger raster; 0: none [px]")
    chosen = options.parse_args()
    with scratch(chosen.scratch) as folder:
        found = compare(folder, chosen.side, chosen.large, chosen.data)
    if chosen.json:
        print(json.dumps(found))
        return
    for name, run in found.pop("runs").items():
        print(f"{name:>26} {run['wall_s']:>8.1f} s {run['peak_mib']:>8.0f} MiB")
    for name, value in found.items():
        print(f"{name:>26} {value}")


if __name__ == "__main__":
    main()
