"""The raster stage: canvas → class, confidence and probability rasters, each pixel compared with the journal."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from segflow import __version__
from segflow.errors import DamagedError
from segflow.flows.inference.store import Work
from segflow.flows.planning.plan import RunPlan
from segflow.flows.products.pixels import model_legend
from segflow.flows.products.product import FromCanvas, Product
from segflow.flows.progress import Progress, stage
from segflow.flows.run.publish import restore
from segflow.io.raster.cogs import RasterStyle, write_cog
from segflow.io.storage.addresses import Address
from segflow.io.storage.files import sha256_file, write_text
from segflow.io.work.canvas import LAYERS, Canvas, Layer, crc32
from segflow.io.work.json_files import read_json
from segflow.tiling import Window

RECORD = "rasters.json"  # in the work folder: the rasters that stand for the work
AHEAD = 4  # tiles that are on their way from object storage while one is written
PASSES = 2  # over each raster: written, then read back


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
    rasters = plan.products.made_from(FromCanvas)
    with stage(progress, "rasters", PASSES * plan.scene.grid.window.size * len(rasters)):
        for product, source in rasters:
            _write_raster(work, product, source, progress.advance)
    paths = [plan.products.path(product) for product, _ in rasters]
    done = RastersDone(digests={path.name: sha256_file(path) for path in paths}, damaged=work.damaged)
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
    paths = [plan.products.path(product) for product, _ in plan.products.made_from(FromCanvas)]
    if not {path.name for path in paths} <= done.digests.keys():
        return None
    for product, _ in plan.products.made_from(FromCanvas):
        restore(plan.products, product)
    sound = all(path.is_file() and sha256_file(path) == done.digests[path.name] for path in paths)
    return done if sound else None


def _write_raster(work: Work, product: Product, source: FromCanvas, report: Callable[[int], None]) -> None:
    plan, path, position = work.plan, work.plan.products.path(product), LAYERS.index(source.layer)
    expected = {tile.core: int(work.journal.done[tile.index].split("-")[position], 16) for tile in plan.tiles}
    windows, written = [tile.core for tile in plan.tiles], dict(expected)

    def read(window: Window) -> np.ndarray:
        pixels = fetch(window)
        if crc32(pixels) != expected[window]:
            msg = f"{work.canvas.path}: a tile changed after it was written: run again to map it anew"
            raise DamagedError(msg)
        if source.derive is not None:
            pixels = source.derive(pixels)
            written[window] = crc32(pixels)
        return pixels

    def check(window: Window, pixels: np.ndarray) -> None:
        if crc32(pixels) != written[window]:
            msg = f"{path} does not read back as it was written: check the disk and its free space, run again"
            raise DamagedError(msg)

    style = raster_style(plan, product)
    with _reading(work.canvas, source.layer, windows) as fetch:
        write_cog(
            path,
            plan.scene.grid,
            windows=windows,
            read=read,
            check=check,
            descriptions=style.descriptions,
            overviews=style.overviews,
            colours=style.colours,
            scale=style.scale,
            tags=style.tags,
            progress=report,
        )


def raster_style(plan: RunPlan, product: Product) -> RasterStyle:
    """Give what a raster says about itself: what its pixels mean, and what they were made from."""
    if product.pixels is None:
        msg = f"product {product.name} has no pixels"
        raise ValueError(msg)
    spec = plan.model.spec
    tags = {
        "TIFFTAG_SOFTWARE": f"segflow {__version__}",
        "SEGFLOW_SCENE": plan.name,
        "SEGFLOW_MODEL": f"{spec.name} {spec.version}",
        "SEGFLOW_RUN": plan.key,
    }
    if plan.scene.acquired:
        tags["SEGFLOW_ACQUIRED"] = plan.scene.acquired
    return product.pixels.style(model_legend(spec), tags)


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
