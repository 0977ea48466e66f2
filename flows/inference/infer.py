"""The inference stage: tiles that are not done yet, through Dask, into the journal."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial

from distributed import Client

from segflow.errors import ClusterError, TileError
from segflow.flows.cluster.in_flight import count_slots
from segflow.flows.cluster.opening import open_cluster
from segflow.flows.cluster.tasks import run_tasks
from segflow.flows.cluster.worker_checks import needed_resources
from segflow.flows.inference.shared_files import check_run
from segflow.flows.inference.store import Work
from segflow.flows.inference.task_sizes import FEWEST, MOST, TileTasks
from segflow.flows.inference.tiles import TileJob, TilesDone, leave_empty, predict_tiles
from segflow.flows.planning.gpu_tiling import uses_gpu
from segflow.flows.progress import Progress, stage
from segflow.segmentation.predict.memory import tune_malloc


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceTimes:
    """Where the time of the inference stage went, summed over workers [s].

    Attributes
    ----------
    network
        Inside the network.
    tasks
        Inside tasks: reading, predicting and writing overlap.
    stage
        From the first task's submission to the last one's result.
    """

    network: float = 0.0
    tasks: float = 0.0
    stage: float = 0.0


def infer(work: Work, progress: Progress, client: Client | None = None) -> InferenceTimes:
    """Map all tiles that are pending, and write each into the journal when its core is on the canvas.

    Parameters
    ----------
    client
        Of a cluster that is open; None: one is opened as the settings say, and closed.

    Raises
    ------
    TileError
        If a tile cannot be read or kills its workers, and the settings do not say to leave such tiles empty.
    ClusterError
        If the cluster does not come up or all its workers leave.
    """
    pending = work.pending
    if not pending:
        return InferenceTimes()
    tune_malloc()  # before the worker's threads start
    with (
        stage(progress, "infer", _pixels(work, pending)),
        _cluster(work, client) as cluster,
    ):
        return map_tiles(work, progress, cluster)


def map_tiles(
    work: Work,
    progress: Progress,
    client: Client,
    call: Callable[[TileJob, tuple[int, ...]], TilesDone] = predict_tiles,
) -> InferenceTimes:
    """Map pending tiles on the workers of a cluster with `call`, and record them."""
    check_run(client, work)
    job, pending = tile_job(work), work.pending
    resources = needed_resources(client, work.plan.settings.device)
    # A GPU maps many tiles a second, and stands still while a task ends and the next one begins.
    first = MOST if uses_gpu(work.plan.settings) else FEWEST
    tasks = TileTasks(pending, count_slots(client, resources), first)
    network = inside_tasks = 0.0
    started = time.perf_counter()
    answers = run_tasks(client, call, job, tasks, resources=resources, split=_single, give_up=partial(_give_up, job))
    with closing(answers):
        for group in answers:
            _record(work, [done for _, done in group])
            for indices, done in group:
                tasks.learn(len(indices), done.seconds)
                _report(work, done, progress)
                network += done.network_seconds
                inside_tasks += done.seconds
                progress.advance(_pixels(work, indices))
    return InferenceTimes(network=network, tasks=inside_tasks, stage=time.perf_counter() - started)


def tile_job(work: Work) -> TileJob:
    """Give what every worker needs to know."""
    plan, settings = work.plan, work.plan.settings
    return TileJob(
        scene=plan.scene,
        bands=plan.bands,
        model=plan.model.path,
        model_digest=plan.model.digest,
        tiles=plan.tiles,
        area=plan.area,
        canvas=work.canvas.path,
        device=settings.device,
        precision=settings.precision,
        batch=settings.batch,
        threads=None if settings.scheduler else max(1, (os.cpu_count() or 1) // max(1, settings.workers)),
        probabilities=plan.products.reads_probabilities,
        skip_damaged=settings.on_tile_error == "nodata",
        access=plan.access,
    )


@contextmanager
def _cluster(work: Work, client: Client | None) -> Iterator[Client]:
    """Give the client that is there, or one to a cluster of our own."""
    if client is not None:
        yield client
        return
    settings = work.plan.settings
    with open_cluster(settings.workers, settings.scheduler, tls=settings.tls, device=settings.device) as own:
        yield own


def _record(work: Work, answers: list[TilesDone]) -> None:
    """Write all that came together into the journal, with one sync."""
    checksums = {index: checksum for done in answers for index, checksum in done.checksums.items()}
    work.record(checksums, {index: problem for done in answers for index, problem in done.damaged.items()})


def _report(work: Work, done: TilesDone, progress: Progress) -> None:
    """Tell the progress of every tile of a task, and what was wrong with those that are left empty."""
    for index in done.checksums:
        progress.event(
            "tile", scene=work.plan.name, tile=index, worker=done.worker, seconds=round(done.tile_seconds[index], 4)
        )
    for index, problem in done.damaged.items():
        progress.note(f"tile {index} is left empty: {problem}")


def _give_up(job: TileJob, indices: tuple[int, ...], error: ClusterError) -> TilesDone:
    """Leave a tile empty that kills its workers, or stop with its name.

    Raises
    ------
    TileError
        If the settings do not say to leave such tiles empty.
    """
    (index,) = indices
    if job.skip_damaged:
        return leave_empty(job, index, "the worker that maps it dies, again and again")
    core = job.tiles[index].core
    msg = (
        f"tile {index} of {job.scene.path} (rows {core.rows.start}–{core.rows.stop}, columns {core.cols.start}–"
        f"{core.cols.stop}) kills the worker that maps it, again and again, even alone: all other tiles that were done "
        "are kept; give workers more memory or a smaller --tile, or leave it empty with --on-tile-error nodata"
    )
    raise TileError(msg) from error


def _single(indices: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [(index,) for index in indices]


def _pixels(work: Work, indices: tuple[int, ...]) -> int:
    return sum(work.plan.tiles[index].core.size for index in indices)
