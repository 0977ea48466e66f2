"""A large scene of real pixels: images of forest-amazon, randomly turned, side by side on a 10 m UTM grid.

    python bench/mosaic_scene.py FOLDER [--side 6000] [--data FOLDER_OF_FOREST_AMAZON]

The scene is written once and found again by its name. Real pixels matter: compression, polygons
and confidence of noise or zeros would tell nothing about maps.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segflow.io.storage.files import replace_file

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "tests"))  # the tests make the same scenes; the root itself must stay off the path

from mosaics import write_mosaic  # noqa: E402  # found by the line above

SIDE = 6000  # px; several thousand, and not a multiple of any core


def default_data() -> Path:
    """Give where the real scenes lie: as the tests look for them."""
    return Path(os.environ.get("SEGFLOW_SHARED_DATA") or ROOT.parent / "shared" / "data")


def mosaic_scene(folder: Path, side: int = SIDE, data: Path | None = None) -> Path:
    """Give the mosaic of ``side × side`` pixels in `folder`, written if it is not there."""
    images = sorted(((data or default_data()) / "forest-amazon" / "images").glob("*.tif"))
    if not images:
        sys.exit(f"no images in {data or default_data()}/forest-amazon/images: set SEGFLOW_SHARED_DATA or --data")
    path = folder / f"mosaic_{side}.tif"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as unfinished:
            write_mosaic(unfinished, images, (side, side))
    return path


@contextmanager
def scratch(folder: Path | None) -> Iterator[Path]:
    """Give a folder for what a bench writes: as asked, else a temporary one."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="segflow-bench-") as temporary:
        yield Path(temporary)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Give a parser of the options that all benches know."""
    options = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    options.add_argument("--scratch", type=Path, help="folder for scenes and maps, kept [default: a temporary one]")
    options.add_argument("--data", type=Path, help="folder that holds forest-amazon/ [default: SEGFLOW_SHARED_DATA]")
    options.add_argument("--side", type=int, default=SIDE, help="side of the mosaic [px]")
    options.add_argument("--json", action="store_true", help="print one line of JSON instead of lines to read")
    return options


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--side", type=int, default=SIDE)
    arguments.add_argument("--data", type=Path)
    chosen = arguments.parse_args()
    print(mosaic_scene(chosen.folder, chosen.side, chosen.data))
