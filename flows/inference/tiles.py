"""The tiles of one task, on one worker: pixels → tensors → logits → labels → canvas."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from segflow.errors import SceneError, TileError
from segflow.flows.cluster.in_flight import worker_name
from segflow.flows.inference.pipeline import prefetch, writer
from segflow.io.labels.areas import Area
from segflow.io.models.packages import model_digest, read_model_file
from segflow.io.scene.access import Access
from segflow.io.scene.scenes import SceneInfo, open_scene
from segflow.io.storage.addresses import Place
from segflow.io.work.canvas import Canvas, open_canvas
from segflow.segmentation.predict.batches import predict_fitting
from segflow.segmentation.predict.cuda_engine import CudaEngine
from segflow.segmentation.predict.engines import Engine, Prediction
from segflow.segmentation.predict.memory import tune_malloc
from segflow.segmentation.predict.opening import open_engine
from segflow.segmentation.spec import ModelSpec
from segflow.tiling import NODATA, Tile, TileGrid, Window

if TYPE_CHECKING:
    from concurrent.futures import Future

AHEAD = 2  # tiles that are read before they are needed, and written after they were made


@dataclass(frozen=True, slots=True, kw_only=True)
class TileJob:
    """All that a worker needs to know to map tiles of one scene; small and picklable.

    Attributes
    ----------
    scene, bands
        The scene and the numbers of its bands in the model's order.
    model, model_digest
        Path of the model and the digest that its file must have.
    tiles
        The tiling.
    area
        What is mapped; None: all of the scene.
    canvas
        Folder of the canvas, or its address.
    device, precision, batch, threads
        How the network runs; `batch` None: as many tiles as fit; `threads` None: torch's own choice.
    probabilities
        Whether class probabilities are written too.
    skip_damaged
        Whether a tile that cannot be read becomes nodata instead of an error.
    access
        How the scene may be opened.
    """

    scene: SceneInfo
    bands: tuple[int, ...]
    model: str
    model_digest: str
    tiles: TileGrid
    area: Area | None
    canvas: Place
    device: str
    precision: str
    batch: int | None
    threads: int | None
    probabilities: bool
    skip_damaged: bool
    access: Access


@dataclass(frozen=True, slots=True, kw_only=True)
class TilesDone:
    """What a worker answers: checksums of the cores it wrote, and where the time went.

    Attributes
    ----------
    checksums
        Checksum of each core on the canvas, by tile index.
    damaged
        What was wrong with tiles that were left empty, by tile index.
    tile_seconds
        Time from one tile's prediction to the next one's, by tile index [s].
    network_seconds, seconds
        Time inside the network, and in all [s].
    worker
        Who did it.
    """

    checksums: dict[int, str]
    damaged: dict[int, str]
    tile_seconds: dict[int, float]
    network_seconds: float
    seconds: float
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A tile with its pixels, ready for the network; `problem` where they could not be read."""

    tile: Tile
    pixels: np.ndarray  # (bands, height, width)
    valid: np.ndarray  # (height, width) bool
    problem: str = ""

    @property
    def empty(self) -> bool:
        """Whether the core holds no valid pixel, so that the network need not see it."""
        return not self.valid[self.tile.core_in_read.slices].any()


def predict_tiles(job: TileJob, indices: tuple[int, ...]) -> TilesDone:
    """Map some tiles of a scene onto the canvas.

    On a CPU a reader thread stays `AHEAD` tiles in front of the network and a writer thread behind it,
    so that the network does not wait for files; a GPU gets several of both, see `segflow.flows.inference.gpu_tiles`.

    Raises
    ------
    TileError
        If a tile cannot be read and `job.skip_damaged` is not set.
    ModelError
        If the model's file is not the one that the run was planned with.
    """
    started = time.perf_counter()
    engine = load_engine(job.model, job.model_digest, job.device, job.precision, job.threads, job.probabilities)
    network_before = engine.seconds
    if isinstance(engine, CudaEngine):
        from segflow.flows.inference.gpu_tiles import predict_on_gpu  # noqa: PLC0415  # it builds upon this module

        mapped = predict_on_gpu(job, indices, engine)
    else:
        mapped = _predict_on_cpu(job, indices, engine)
    return TilesDone(
        checksums=mapped.checksums,
        damaged=mapped.damaged,
        tile_seconds=mapped.tile_seconds,
        network_seconds=engine.seconds - network_before,
        seconds=time.perf_counter() - started,
        worker=worker_name(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """Tiles that are on the canvas; attributes as in `TilesDone`."""

    checksums: dict[int, str]
    damaged: dict[int, str]
    tile_seconds: dict[int, float]


def _predict_on_cpu(job: TileJob, indices: tuple[int, ...], engine: Engine) -> Mapped:
    canvas = open_canvas(job.canvas)
    checksums: dict[int, Future[str]] = {}
    damaged: dict[int, str] = {}
    tile_seconds: dict[int, float] = {}
    before = time.perf_counter()
    with writer(AHEAD) as writing:
        for batch in _batches(prefetch(_read_tiles(job, indices), AHEAD), job.batch or engine.preferred_batch):
            for read, whole in _predict(engine, batch):
                prediction = cut_to_area(job.area, read.tile.core, whole)
                checksums[read.tile.index] = writing.submit(write_tile, canvas, read.tile, prediction)
                if read.problem:
                    damaged[read.tile.index] = read.problem
                now = time.perf_counter()
                tile_seconds[read.tile.index], before = now - before, now
    return Mapped(
        checksums={index: written.result() for index, written in checksums.items()},
        damaged=damaged,
        tile_seconds=tile_seconds,
    )


def leave_empty(job: TileJob, index: int, problem: str) -> TilesDone:
    """Write a tile that cannot be mapped as nodata, from whatever process, and call it damaged."""
    started = time.perf_counter()
    canvas, tile = open_canvas(job.canvas), job.tiles[index]
    checksum = write_tile(canvas, tile, nothing(tile.core.shape, canvas.layout.classes))
    seconds = time.perf_counter() - started
    return TilesDone(
        checksums={index: checksum},
        damaged={index: problem},
        tile_seconds={index: seconds},
        network_seconds=0.0,
        seconds=seconds,
        worker=worker_name(),
    )


_loading = threading.Lock()


def load_engine(  # the key of the cache, spelt out
    model: str,
    digest: str,
    device: str,
    precision: str,
    threads: int | None,
    probabilities: bool,  # noqa: FBT001
) -> Engine:
    """Give the engine for a model, loaded once per process.

    Raises
    ------
    ModelError
        If the file is not the one with this digest.
    """
    with _loading:
        return _load_engine(model, digest, device, precision, threads, probabilities)


@lru_cache(maxsize=2)
def _load_engine(
    model: str,
    digest: str,
    device: str,
    precision: str,
    threads: int | None,
    probabilities: bool,  # noqa: FBT001
) -> Engine:
    model_digest(model, expected=digest)
    tune_malloc()
    text, arrays = read_model_file(model)
    spec = ModelSpec.from_json(text)
    return open_engine(
        spec,
        arrays,
        device=device,
        precision=precision,
        threads=threads,
        probabilities=probabilities,
    )


def _read_tiles(job: TileJob, indices: tuple[int, ...]) -> Iterator[_Read]:
    with open_scene(job.scene, job.bands, job.access) as scene:
        for index in indices:
            tile = job.tiles[index]
            if job.area is not None and not job.area.touches(tile.core):
                yield _unread(job, tile)
                continue
            try:
                pixels, valid = scene.read_window(tile.read)
            except SceneError as error:
                if not job.skip_damaged:
                    msg = f"tile {index} of {job.scene.path}: {error} (--on-tile-error nodata leaves such tiles empty)"
                    raise TileError(msg) from error
                yield _unread(job, tile, str(error))
            else:
                yield _Read(tile=tile, pixels=pixels, valid=valid)


def _unread(job: TileJob, tile: Tile, problem: str = "") -> _Read:
    """Give a tile of which no pixel is valid."""
    shape = tile.read.shape
    pixels = np.zeros((len(job.bands), *shape), np.uint8)
    return _Read(tile=tile, pixels=pixels, valid=np.zeros(shape, bool), problem=problem)


def cut_to_area(area: Area | None, core: Window, prediction: Prediction) -> Prediction:
    """Give the prediction of a core with nodata outside the area; the network has seen what lies there."""
    return prediction if area is None else prediction.hide(~area.inside(core))


def _batches(reads: Iterator[_Read], size: int) -> Iterator[list[_Read]]:
    while batch := list(islice(reads, size)):
        yield batch


def _predict(engine: Engine, batch: list[_Read]) -> Iterator[tuple[_Read, Prediction]]:
    """Give the prediction of every read, cropped to its core; empty cores skip the network."""
    full = [read for read in batch if not read.empty]
    if full:
        pixels = np.stack([read.pixels for read in full])
        valid = np.stack([read.valid for read in full])
        prediction = predict_fitting(engine, pixels, valid)
        for index, read in enumerate(full):
            yield read, prediction.crop(index, read.tile.core_in_read)
    for read in batch:
        if read.empty:
            yield read, nothing(read.tile.core.shape, engine.classes if engine.probabilities else None)


def nothing(shape: tuple[int, int], classes: int | None) -> Prediction:
    """Give nodata: the prediction of a core without a valid pixel; `classes` None: without probabilities."""
    blank = np.full((1, *shape), NODATA, np.uint8)
    return Prediction(
        labels=blank[0],
        confidence=blank[0],
        probabilities=None if classes is None else np.repeat(blank, classes, axis=0),
    )


def write_tile(canvas: Canvas, tile: Tile, prediction: Prediction) -> str:
    """Write the core of a tile and give its checksum."""
    return canvas.write_core(tile.core, prediction.labels, prediction.confidence, prediction.probabilities)
