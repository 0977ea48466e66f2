"""Rasters are valid COGs on exactly the grid they were given, or not there."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from rasterio.crs import CRS
from rio_cogeo import cog_validate

from segflow.errors import DamagedError, OutputError, SceneError
from segflow.io.raster.cogs import write_cog
from segflow.tiling import Grid, TileGrid, Window
from tests.strategies import grids

NORTH_UP = Affine(10, 0, 300_000, 0, -10, 9_400_000)
UTM = CRS.from_epsg(32720).to_wkt()
COLOURS = {0: (10, 20, 30), 1: (40, 50, 60), 7: (1, 2, 3)}

GRIDS = {
    "north-up": (NORTH_UP, "EPSG:32720"),
    "rotated": (Affine(3.1, 0.7, 500_000.123, 0.9, -2.8, 4e6), "EPSG:32631"),
    "south-up": (Affine(10, 0, 5e5, 0, 10, 4e6), "EPSG:32631"),
    "geographic": (Affine(1e-4, 0, 5.1, 0, -1.3e-4, 50), "EPSG:4326"),
    "non-square": (Affine(30, 0, 5e5, 0, -10, 4e6), "EPSG:2193"),
    "identity": (Affine.identity(), None),
    "no CRS": (Affine(2, 0, 7, 0, -2, 9), None),
    "Esri code": (NORTH_UP, "ESRI:102039"),
    "IGNF code": (NORTH_UP, "IGNF:LAMB93"),
    "compound": (NORTH_UP, "EPSG:7415"),
    "custom": (NORTH_UP, "+proj=laea +lat_0=12.3 +lon_0=4.56 +ellps=bessel +units=m"),
    "local": (NORTH_UP, 'LOCAL_CS["Site",UNIT["metre",1]]'),
}

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def as_scene_says(path: Path, grid: Grid) -> Grid:
    """Give the grid as a GeoTIFF scene of it would say it, which is where segflow's grids come from."""
    crs = None if grid.crs is None else CRS.from_user_input(grid.crs)
    profile = {"height": grid.height, "width": grid.width, "count": 1, "dtype": "uint8", "crs": crs}
    with rasterio.open(path, "w", driver="GTiff", transform=grid.transform, **profile) as dataset:
        dataset.write(np.zeros((1, *grid.shape), np.uint8))
    with rasterio.open(path) as dataset:
        return Grid(
            height=grid.height,
            width=grid.width,
            transform=dataset.transform,
            crs=dataset.crs.to_wkt() if dataset.crs else None,
        )


def write(path: Path, grid: Grid, pixels: np.ndarray, *, core: int = 512, check: Callable | None = None, **style):
    """Write an array; its bytes are compared on the way back, as in a real run."""

    def compare(window: Window, found: np.ndarray) -> None:
        np.testing.assert_array_equal(found, pixels[..., *window.slices].reshape(found.shape))

    options = {"descriptions": ("class",), "overviews": "mode", **style}
    tiles = TileGrid(height=grid.height, width=grid.width, core=core, margin=0, stride=1)
    write_cog(
        path,
        grid,
        windows=(tile.core for tile in tiles),
        read=lambda window: pixels[..., *window.slices],
        check=check or compare,
        **options,
    )


def noise(shape: tuple[int, ...], values: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, values, shape, np.uint8)


@pytest.mark.parametrize("name", GRIDS)
def test_grid_is_the_scenes(tmp_path, name):
    transform, crs = GRIDS[name]
    grid = as_scene_says(tmp_path / "scene.tif", Grid(height=700, width=900, transform=transform, crs=crs))
    pixels = np.zeros(grid.shape, np.uint8)
    pixels[611, 733] = 1
    write(tmp_path / "map.tif", grid, pixels, colours=COLOURS)

    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.shape == grid.shape
        assert dataset.transform == grid.transform
        assert (dataset.crs.to_wkt() if dataset.crs else None) == grid.crs
        np.testing.assert_array_equal(dataset.read(1), pixels)
    assert cog_validate(tmp_path / "map.tif") == (True, [], [])


@settings(max_examples=15)
@given(grid=grids())
def test_any_grid_comes_back(tmp_path_factory, grid):
    folder = tmp_path_factory.mktemp("grid")
    write(folder / "map.tif", grid, noise(grid.shape))

    with rasterio.open(folder / "map.tif") as dataset:
        assert (dataset.shape, dataset.transform) == (grid.shape, grid.transform)
        np.testing.assert_array_equal(dataset.read(1), noise(grid.shape))


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (511, 513), (512, 512), (1025, 1), (3, 2000), (1300, 700)])
def test_any_shape_is_a_valid_cog(tmp_path, shape):
    grid = Grid(height=shape[0], width=shape[1], transform=NORTH_UP, crs=UTM)
    write(tmp_path / "map.tif", grid, noise(shape))

    assert cog_validate(tmp_path / "map.tif", quiet=True)[:2] == (True, [])
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert bool(dataset.overviews(1)) == (max(shape) > 512 and min(shape) > 1)
        assert dataset.profile["compress"] == "deflate"
        np.testing.assert_array_equal(dataset.read(1), noise(shape))


def test_raster_says_what_it_is(tmp_path):
    grid = Grid(height=600, width=600, transform=NORTH_UP, crs=UTM)
    write(tmp_path / "map.tif", grid, noise(grid.shape), colours=COLOURS, tags={"SEGFLOW_RUN": "abc"})

    with rasterio.open(tmp_path / "map.tif") as dataset:
        colours = dataset.colormap(1)

        assert {value: colours[value][:3] for value in COLOURS} == COLOURS
        assert colours[255] == (0, 0, 0, 0)
        assert dataset.nodata == 255
        assert dataset.descriptions == ("class",)
        assert dataset.tags()["SEGFLOW_RUN"] == "abc"
        assert dataset.block_shapes == [(512, 512)]
        assert dataset.scales == (1.0,)


def test_mode_overviews_show_the_majority(tmp_path):
    grid = Grid(height=1024, width=1024, transform=NORTH_UP, crs=UTM)
    pixels = np.full(grid.shape, 2, np.uint8)
    pixels[::2, ::2] = 0  # a quarter of every 2×2 block
    write(tmp_path / "map.tif", grid, pixels)

    with rasterio.open(tmp_path / "map.tif", overview_level=0) as overview:
        assert (overview.read(1) == 2).all()


def test_average_overviews_leave_nodata_out(tmp_path):
    grid = Grid(height=1024, width=1024, transform=NORTH_UP, crs=UTM)
    pixels = np.full(grid.shape, 80, np.uint8)
    pixels[:, ::2] = 255
    pixels[:512] = 255
    write(tmp_path / "map.tif", grid, pixels, overviews="average")

    with rasterio.open(tmp_path / "map.tif", overview_level=0) as overview:
        found = overview.read(1)

        assert (found[:256] == 255).all()
        assert (found[256:] == 80).all()


@pytest.mark.parametrize("count", [2, 3, 4, 7])
def test_probabilities_are_bands_of_classes(tmp_path, count):
    grid = Grid(height=600, width=700, transform=NORTH_UP, crs=UTM)
    names = tuple(f"class {index}" for index in range(count))
    pixels = noise((count, *grid.shape), 201)
    write(tmp_path / "map.tif", grid, pixels, descriptions=names, overviews="average", scale=1 / 200)

    assert cog_validate(tmp_path / "map.tif") == (True, [], [])
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.descriptions == names
        assert dataset.scales == (1 / 200,) * count
        assert "alpha" not in {interpretation.name for interpretation in dataset.colorinterp}
        assert dataset.nodata == 255
        np.testing.assert_array_equal(dataset.read(), pixels)


def test_bytes_depend_on_the_content_alone(tmp_path):
    grid = Grid(height=2300, width=1700, transform=NORTH_UP, crs=UTM)
    pixels = noise((46, 34)).repeat(50, axis=0).repeat(50, axis=1)
    contents = set()
    for name, core in (("a.tif", 512), ("b.tif", 512), ("c.tif", 1024), ("d.tif", 700)):
        write(tmp_path / name, grid, pixels, core=core, colours=COLOURS, tags={"B": "1", "A": "2"})
        contents.add((tmp_path / name).read_bytes())

    assert len(contents) == 1


def test_progress_counts_every_pixel_twice(tmp_path):
    grid = Grid(height=700, width=900, transform=NORTH_UP, crs=UTM)
    counts = []
    write(tmp_path / "map.tif", grid, noise(grid.shape), progress=counts.append)

    assert sum(counts) == 2 * 700 * 900


@pytest.mark.parametrize("error", [DamagedError("differs"), SceneError("gone"), KeyboardInterrupt()])
@pytest.mark.parametrize("stage", ["read", "check"])
def test_error_leaves_the_old_raster_and_no_leftovers(tmp_path, error, stage):
    grid = Grid(height=700, width=900, transform=NORTH_UP, crs=UTM)
    (tmp_path / "map.tif").write_text("old")

    def fail(*_: object) -> np.ndarray:
        raise error

    with pytest.raises(type(error)):
        write_cog(
            tmp_path / "map.tif",
            grid,
            windows=[grid.window],
            read=fail if stage == "read" else lambda window: noise(window.shape),
            check=fail,
            descriptions=("class",),
            overviews="mode",
        )

    assert (tmp_path / "map.tif").read_text() == "old"
    assert names(tmp_path) == ["map.tif"]


def test_folder_that_is_missing_is_one_clear_line(tmp_path):
    grid = Grid(height=7, width=9, transform=NORTH_UP, crs=UTM)
    with pytest.raises(OutputError, match=r"missing/map\.tif cannot be written .*check the disk space") as caught:
        write(tmp_path / "missing" / "map.tif", grid, noise(grid.shape))

    assert "\n" not in str(caught.value)


CHILD = """
import resource, signal, sys, time
import numpy as np
from affine import Affine
from pathlib import Path
from segflow.errors import DamagedError, SegflowError
from segflow.io.raster.cogs import write_cog
from segflow.tiling import Grid, TileGrid

path, side, mode = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
grid = Grid(height=side, width=side, transform=Affine(10, 0, 5e5, 0, -10, 4e6), crs=None)
rng = np.random.default_rng(0)
block = rng.integers(0, 4, (64, 64), np.uint8).repeat(32, axis=0).repeat(32, axis=1)
if mode == "noise":
    block = rng.integers(0, 101, block.shape, np.uint8)

def read(window):
    if mode == "stop" and window.rows.start:
        print("half", flush=True)
        time.sleep(60)
    return block[: len(window.rows), : len(window.cols)]

def check(window, found):
    if mode == "stop check":
        print("half", flush=True)
        time.sleep(60)
    if not np.array_equal(found[0], block[: len(window.rows), : len(window.cols)]):
        raise DamagedError(f"{path} differs")

if mode.startswith("limit"):
    size = int(mode.split()[1])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
tiles = TileGrid(height=side, width=side, core=2048, margin=0, stride=1)
try:
    write_cog(path, grid, windows=[t.core for t in tiles], read=read, check=check, descriptions=("c",),
              overviews="average" if mode == "noise" else "mode")
except SegflowError as error:
    print(type(error).__name__, error)
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def child(path: Path, side: int, mode: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-c", CHILD, str(path), str(side), mode]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    out, problems = process.communicate()

    assert process.returncode == 0, problems
    return out


@pytest.mark.parametrize("share", [0.001, 0.3, 0.7, 0.95, 0.999])
def test_full_disk_is_told_and_leaves_nothing(tmp_path, share):
    whole = tmp_path / "whole.tif"
    finish(child(whole, 3000, "plain"))
    size = whole.stat().st_size
    whole.unlink()
    out = finish(child(tmp_path / "map.tif", 3000, f"limit {int(share * size)}"))

    assert out.startswith(("OutputError", "DamagedError"))
    assert "map.tif" in out
    assert names(tmp_path) == []


@pytest.mark.parametrize("mode", ["stop", "stop check"])
def test_killed_run_leaves_no_raster_and_the_next_run_cleans_up(tmp_path, mode):
    process = child(tmp_path / "map.tif", 3000, mode)
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert not (tmp_path / "map.tif").exists()
    assert names(tmp_path) != []
    finish(child(tmp_path / "map.tif", 3000, "plain"))
    assert names(tmp_path) == ["map.tif"]


@pytest.mark.release
@pytest.mark.parametrize("mode", ["plain", "noise"])
def test_memory_does_not_grow_with_the_raster(tmp_path, mode):
    peaks = {}
    for side in (5_000, 20_000):
        out = finish(child(tmp_path / "map.tif", side, mode))
        assert out.startswith("peak")
        peaks[side] = int(out.split()[1])

    assert peaks[20_000] < 400  # MiB; 250 MiB were seen
    assert peaks[20_000] < 1.3 * peaks[5_000]
