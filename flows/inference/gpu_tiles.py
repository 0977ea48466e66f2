"""A run of tiles on a GPU: readers ahead, the GPU in the middle, writers behind, and nobody waits for one tile.

Readers fill pinned memory strip by strip (`segflow.flows.inference.scene_readers`). The loop here takes tiles in order
as they become whole, makes batches of them and queues each on the GPU (`CudaEngine.start`), which returns at once.
Writers wait for the cores to land and put them on the canvas. What is under way is bounded at both ends: so many tiles
ahead of the GPU, `IN_FLIGHT` batches on it, so many cores behind it.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice

from segflow.errors import SceneError, TileError
from segflow.flows.inference.pipeline import Writer, writer
from segflow.flows.inference.scene_readers import STRIP, SceneReaders, scene_readers
from segflow.flows.inference.tiles import Mapped, TileJob, cut_to_area, nothing
from segflow.io.scene.scenes import open_scene
from segflow.io.work.canvas import Canvas, Layer, open_canvas
from segflow.segmentation.predict.batches import fitting_parts
from segflow.segmentation.predict.cuda_engine import CudaEngine, Flight, StagedTile
from segflow.segmentation.predict.engines import Prediction
from segflow.tiling import Tile

READERS = 16  # threads at the most; one decodes 50 to 150 Mpx/s of DEFLATE or ZSTD, a GPU maps several hundred
WRITERS = 8  # threads at the most; one packs and checks a layer of some 300 Mpx/s
IN_FLIGHT = 2  # batches: one that runs, one whose pixels go up


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Read:
    """A tile in pinned memory, whole; `problem` where it could not be read."""

    tile: Tile
    staged: StagedTile
    problem: str = ""

    @property
    def empty(self) -> bool:
        """Whether the core holds no valid pixel, so that the network need not see it."""
        return bool(self.problem) or not self.staged.valid[self.tile.core_in_read.slices].any()


def predict_on_gpu(job: TileJob, indices: Sequence[int], engine: CudaEngine) -> Mapped:
    """Map some tiles of a scene onto the canvas.

    Raises
    ------
    TileError
        If a tile cannot be read and `job.skip_damaged` is not set, or does not fit into memory.
    """
    threads = max(2, min(READERS, job.threads or READERS))
    size = job.batch or engine.fitting_batch(job.tiles.read_shape)
    engine.preferred_batch = size
    written: dict[int, list[Future[str]]] = {}
    damaged: dict[int, str] = {}
    seconds: dict[int, float] = {}
    with ExitStack() as held:
        opened = partial(open_scene, job.scene, job.bands, job.access)
        readers = held.enter_context(scene_readers(opened, threads))
        writing = held.enter_context(writer(4 * WRITERS + 4 * size, threads=min(WRITERS, threads)))
        canvas = writing.submit(open_canvas, job.canvas)  # while the first tile is read
        reads = _read_ahead(job, indices, engine, readers, ahead=2 * size + _tiles_at_once(job, threads))
        under_way: deque[list[Flight]] = deque()
        before = time.perf_counter()
        while batch := list(islice(reads, min(size, engine.preferred_batch))):
            while len(under_way) >= IN_FLIGHT:
                _wait(under_way.popleft())
            full = [read for read in batch if not read.empty]
            flights = _start(engine, full)
            if flights:
                under_way.append(flights)
            _write_behind(job, writing, canvas, engine, batch, flights, written)
            damaged.update({read.tile.index: read.problem for read in batch if read.problem})
            now = time.perf_counter()
            seconds.update({read.tile.index: (now - before) / len(batch) for read in batch})
            before = now
    return Mapped(
        checksums={index: "-".join(part.result() for part in parts) for index, parts in written.items()},
        damaged=damaged,
        tile_seconds=seconds,
    )


def _tiles_at_once(job: TileJob, threads: int) -> int:
    """Give on how many tiles the readers work at a time."""
    return 1 + threads // max(1, job.tiles.read_shape[0] // STRIP)


def _read_ahead(
    job: TileJob, indices: Sequence[int], engine: CudaEngine, readers: SceneReaders, ahead: int
) -> Iterator[_Read]:
    """Give tiles in order, each when it is whole; at most `ahead` are under way."""
    waiting = iter(indices)
    coming: deque[tuple[Tile, StagedTile, list[Future[None]]]] = deque()

    def ask() -> None:
        for index in islice(waiting, ahead - len(coming)):
            tile = job.tiles[index]
            staged = engine.stage(job.scene.dtype, len(job.bands), tile.read.shape)
            if job.area is None or job.area.touches(tile.core):
                coming.append((tile, staged, readers.read(tile.read, staged.pixels, staged.valid)))
            else:
                staged.valid[...] = False
                coming.append((tile, staged, []))

    ask()
    while coming:
        tile, staged, parts = coming.popleft()
        problem = _first_problem(parts)
        if problem is not None and not job.skip_damaged:
            hint = "(--on-tile-error nodata leaves such tiles empty)"
            msg = f"tile {tile.index} of {job.scene.path}: {problem} {hint}"
            raise TileError(msg) from problem
        yield _Read(tile=tile, staged=staged, problem="" if problem is None else str(problem))
        ask()


def _first_problem(parts: list[Future[None]]) -> SceneError | None:
    """Wait for the strips of a tile and give what was wrong with the first that could not be read."""
    problem = None
    for part in parts:
        try:
            part.result()
        except SceneError as error:
            problem = problem or error
    return problem


def _start(engine: CudaEngine, reads: list[_Read]) -> list[Flight]:
    """Queue tiles on the GPU, in as many parts as fit into its memory."""
    if not reads:
        return []
    staged = [read.staged for read in reads]
    cores = [read.tile.core_in_read for read in reads]
    parts = fitting_parts(
        engine, len(reads), lambda part: engine.start(staged[part], cores[part]), reads[0].tile.read.shape
    )
    return [flight for part in parts for flight in part]


def _wait(flights: list[Flight]) -> None:
    flights[-1].landed.synchronize()


def _write_behind(
    job: TileJob,
    writing: Writer,
    canvas: "Future[Canvas]",
    engine: CudaEngine,
    batch: list[_Read],
    flights: list[Flight],
    written: "dict[int, list[Future[str]]]",
) -> None:
    """Have every core of a batch written when it has landed, layer by layer, empty ones as nodata."""
    landing = iter(flights)
    layers: tuple[Layer, ...] = ("classes", "confidence", "probabilities")
    for read in batch:
        if read.empty:
            blank = nothing(read.tile.core.shape, engine.classes if engine.probabilities else None)
            land: Callable[[], Prediction] = partial(_given, blank)
        else:
            land = partial(_land, job, read.tile, next(landing))
        written[read.tile.index] = [
            writing.submit(_write_layer, canvas, read.tile, name, land)
            for name in layers[: 3 if engine.probabilities else 2]
        ]


def _write_layer(canvas: "Future[Canvas]", tile: Tile, name: Layer, land: Callable[[], Prediction]) -> str:
    prediction = land()
    layers = {"classes": prediction.labels, "confidence": prediction.confidence}
    if prediction.probabilities is not None:
        layers["probabilities"] = prediction.probabilities
    return canvas.result().write_layer(tile.core, name, layers[name])


def _land(job: TileJob, tile: Tile, flight: Flight) -> Prediction:
    return cut_to_area(job.area, tile.core, flight.land())


def _given(prediction: Prediction) -> Prediction:
    return prediction
