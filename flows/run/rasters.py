"""The raster stage: canvas → class, confidence and probability rasters, each pixel compared with the journal."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segflow import __version__
from segflow.errors import DamagedError
from segflow.flows.progress import Progress, stage
from segflow.flows.run.plan import RunPlan
from segflow.flows.run.publish import restore
from segflow.flows.run.store import Work
from segflow.io.raster.cogs import RasterStyle, write_cog
from segflow.io.storage.addresses import Address
from segflow.io.storage.files import sha256_file, write_text
from segflow.io.work.canvas import Canvas, Layer, crc32
from segflow.io.work.json_files import read_json
from segflow.tiling import Window

PROBABILITY_SCALE = 1 / 200  # of a step of the probability raster
CONFIDENCE_SCALE = 1 / 100
RECORD = "rasters.json"  # in the work folder: the rasters that stand for the work
AHEAD = 4  # tiles that are on their way from object storage while one is written
PASSES = 2  # over each raster: written, then read back


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterLayer:
    """One layer of the canvas and the raster it becomes.

    Attributes
    ----------
    name
        Its name on the canvas.
    position
        Its place in a tile's checksum.
    path
        Where the raster goes.
    style
        What the raster says about itself.
    """

    name: Layer
    position: int
    path: Path
    style: RasterStyle


def raster_layers(plan: RunPlan) -> tuple[RasterLayer, ...]:
    """Give the rasters of a run in the order in which they are written."""
    spec = plan.model.spec
    tags = {
        "TIFFTAG_SOFTWARE": f"segflow {__version__}",
        "SEGFLOW_SCENE": plan.name,
        "SEGFLOW_MODEL": f"{spec.name} {spec.version}",
        "SEGFLOW_RUN": plan.key,
    }
    if plan.scene.acquired:
        tags["SEGFLOW_ACQUIRED"] = plan.scene.acquired
    classes = RasterStyle(
        descriptions=("class",), overviews="mode", colours={c.value: c.rgb for c in spec.classes}, tags=tags
    )
    confidence = RasterStyle(
        descriptions=("probability of the class",), overviews="average", scale=CONFIDENCE_SCALE, tags=tags
    )
    probabilities = RasterStyle(
        descriptions=tuple(c.name for c in spec.classes), overviews="average", scale=PROBABILITY_SCALE, tags=tags
    )
    paths = plan.products
    layers = (
        RasterLayer(name="classes", position=0, path=paths.classes, style=classes),
        RasterLayer(name="confidence", position=1, path=paths.confidence, style=confidence),
        RasterLayer(name="probabilities", position=2, path=paths.probabilities, style=probabilities),
    )
    return layers if plan.settings.probabilities else layers[:2]


@dataclass(frozen=True, slots=True, kw_only=True)
class RastersDone:
    """Rasters that are whole.

    Attributes
    ----------
    digests
        SHA-256 by file name.
    damaged
        What was wrong with tiles that were left empty, by tile index.
    """

    digests: dict[str, str]
    damaged: dict[int, str]


def write_rasters(work: Work, progress: Progress) -> RastersDone:
    """Write the rasters of a run and record that they stand for its work.

    Raises
    ------
    DamagedError
        If the canvas or a raster does not read back as it was written.
    OutputError
        If a raster cannot be written.
    """
    plan = work.plan
    layers = raster_layers(plan)
    with stage(progress, "rasters", PASSES * plan.scene.grid.window.size * len(layers)):
        for layer in layers:
            _write_raster(work, layer, progress.advance)
    done = RastersDone(digests={layer.path.name: sha256_file(layer.path) for layer in layers}, damaged=work.damaged)
    record = {"rasters": done.digests, "damaged": {str(index): text for index, text in done.damaged.items()}}
    write_text(plan.work / RECORD, json.dumps(record, indent=1, sort_keys=True))
    return done


def find_rasters(plan: RunPlan) -> RastersDone | None:
    """Give the rasters that an earlier run of the same key finished, if they are unchanged; else None."""
    record = read_json(plan.work / RECORD)
    if record is None:
        return None
    done = RastersDone(
        digests=record["rasters"], damaged={int(index): text for index, text in record["damaged"].items()}
    )
    if done.damaged and plan.settings.on_tile_error == "fail":
        return None
    folder = plan.products.folder
    for name in done.digests:
        restore(plan.products, name)
    sound = all((folder / name).is_file() and sha256_file(folder / name) == d for name, d in done.digests.items())
    return done if sound else None


def _write_raster(work: Work, layer: RasterLayer, report: Callable[[int], None]) -> None:
    tiles = work.plan.tiles
    expected = {tile.core: int(work.journal.done[tile.index].split("-")[layer.position], 16) for tile in tiles}
    windows = [tile.core for tile in tiles]

    def read(window: Window) -> np.ndarray:
        pixels = fetch(window)
        if crc32(pixels) != expected[window]:
            msg = f"{work.canvas.path}: a tile changed after it was written: run again to map it anew"
            raise DamagedError(msg)
        return pixels

    def check(window: Window, pixels: np.ndarray) -> None:
        if crc32(pixels) != expected[window]:
            msg = f"{layer.path} does not read back as it was written: check the disk and its free space, run again"
            raise DamagedError(msg)

    with _reading(work.canvas, layer.name, windows) as fetch:
        write_cog(
            layer.path,
            work.plan.scene.grid,
            windows=windows,
            read=read,
            check=check,
            descriptions=layer.style.descriptions,
            overviews=layer.style.overviews,
            colours=layer.style.colours,
            scale=layer.style.scale,
            tags=layer.style.tags,
            progress=report,
        )


@contextmanager
def _reading(canvas: Canvas, name: Layer, windows: Sequence[Window]) -> Iterator[Callable[[Window], np.ndarray]]:
    """Give what reads `windows` of a layer, each once and in order: ahead of the caller where they come from afar."""
    if not isinstance(canvas.path, Address):
        yield lambda window: canvas.read(name, window)
        return
    with ThreadPoolExecutor(AHEAD, "segflow-fetch") as pool:
        waiting = iter(windows)
        coming: deque[Future[np.ndarray]] = deque()

        def fetch(_: Window) -> np.ndarray:
            for window in waiting:
                coming.append(pool.submit(canvas.read, name, window))
                if len(coming) > AHEAD:
                    break
            return coming.popleft().result()

        try:
            yield fetch
        finally:
            pool.shutdown(cancel_futures=True)
