"""The inference stage: tiles that are not done yet, through Dask, into the journal."""

import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

from segflow.flows.cluster import open_cluster
from segflow.flows.progress import Progress, stage
from segflow.flows.store import Work
from segflow.flows.tasks import run_bounded
from segflow.flows.tiles import TileJob, predict_tiles
from segflow.segmentation.memory import tune_malloc

TILES_PER_TASK = 4  # enough to keep the pipeline inside a task full, few enough to lose little


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


def infer(work: Work, progress: Progress) -> InferenceTimes:
    """Map all tiles that are pending, and write each into the journal when its core is on the canvas.

    Raises
    ------
    TileError
        If a tile cannot be read and the settings do not say to leave such tiles empty.
    ClusterError
        If the cluster does not come up or workers die again and again.
    """
    pending = work.pending
    tiles, settings = work.plan.tiles, work.plan.settings
    if not pending:
        return InferenceTimes()
    job = tile_job(work)
    tune_malloc()  # before the worker's threads start
    network = tasks = 0.0
    with (
        stage(progress, "infer", sum(tiles[index].core.size for index in pending)),
        open_cluster(settings.workers, settings.scheduler) as client,
    ):
        started = time.perf_counter()
        for indices, done in run_bounded(client, predict_tiles, job, _runs(pending)):
            work.record(done.checksums, done.damaged)
            for index, problem in done.damaged.items():
                progress.note(f"tile {index} is left empty: {problem}")
            network += done.network_seconds
            tasks += done.seconds
            progress.advance(sum(tiles[index].core.size for index in indices))
        elapsed = time.perf_counter() - started
    return InferenceTimes(network=network, tasks=tasks, stage=elapsed)


def tile_job(work: Work) -> TileJob:
    """Give what every worker needs to know."""
    plan, settings = work.plan, work.plan.settings
    return TileJob(
        scene=plan.scene.path,
        bands=plan.bands,
        model=plan.model.path,
        model_digest=plan.model.digest,
        tiles=plan.tiles,
        canvas=work.canvas.path,
        device=settings.device,
        precision=settings.precision,
        batch=settings.batch,
        threads=None if settings.scheduler else max(1, (os.cpu_count() or 1) // max(1, settings.workers)),
        probabilities=settings.probabilities,
        skip_damaged=settings.on_tile_error == "nodata",
        sidecars=settings.sidecars,
        remote=settings.allow_remote,
    )


def _runs(pending: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    queue = iter(pending)
    while run := tuple(itertools.islice(queue, TILES_PER_TASK)):
        yield run
