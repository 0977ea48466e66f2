"""`segflow run`: one scene in, a map that a GIS opens out.

scene → plan → tiles on the canvas → rasters → vectors → report → item.
Every stage takes up what an earlier run left; the item comes last and says that all is there.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from segflow.configs.run import RunSettings
from segflow.errors import OutputExistsError
from segflow.flows.infer import InferenceTimes, infer
from segflow.flows.plan import RunPlan, plan_run
from segflow.flows.products import (
    Products,
    read_item,
    settings_digest,
    write_catalogue,
    write_rasters,
    write_summary,
    write_vectors,
)
from segflow.flows.progress import Progress, Silence
from segflow.flows.store import clear_canvas, open_work
from segflow.io.files import check_writable
from segflow.io.locks import output_lock


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run made.

    Attributes
    ----------
    folder
        Where the products lie.
    key
        Key of the run.
    tiles, reused
        Number of tiles, and of those that an earlier run had done.
    damaged
        Number of tiles that were left empty because they could not be read.
    seconds
        Wall time of each stage that ran [s]; empty when everything was there already.
    inference
        Where the time of the inference stage went.
    """

    folder: Path
    key: str
    tiles: int
    reused: int
    damaged: int
    seconds: dict[str, float]
    inference: InferenceTimes

    @property
    def finished_before(self) -> bool:
        """Whether an earlier run had made all products."""
        return not self.seconds


def segment_scene(
    path: str | os.PathLike[str], settings: RunSettings, progress: Progress | None = None
) -> RunResult:
    """Map one scene.

    Parameters
    ----------
    path
        A GeoTIFF.
    settings
        What to do with it.
    progress
        Who watches; None for nobody.

    Raises
    ------
    SegflowError
        What went wrong, in one line. What was done is kept, and the same call goes on from there.
    """
    progress = progress or Silence()
    plan = plan_run(path, settings)
    for warning in plan.warnings:
        progress.note(warning)
    check_writable(plan.folder.parent)
    with output_lock(plan.work.parent / f"{plan.name}.lock"):
        finished = _finished(plan)
        return finished or _make(plan, progress)


def _make(plan: RunPlan, progress: Progress) -> RunResult:
    seconds: dict[str, float] = {}

    def timed(name: str, started: float) -> None:
        seconds[name] = time.perf_counter() - started

    with open_work(plan) as work:
        reused = len(work.journal.done)
        if reused:
            progress.note(f"{plan.name}: {reused} of {len(plan.tiles)} tiles were done before")
        products = Products(plan=plan, damaged=dict(work.journal.damaged))
        started = time.perf_counter()
        times = infer(work, progress)
        timed("infer", started)
        products = Products(plan=plan, damaged=dict(work.journal.damaged))
        started = time.perf_counter()
        write_rasters(products, work, progress)
        timed("rasters", started)
        started = time.perf_counter()
        summary = write_summary(products, progress)
        if plan.settings.vectors:
            write_vectors(products, progress)
        timed("vectors", started)
        started = time.perf_counter()
        write_catalogue(products, summary)
        timed("report", started)
    if not products.damaged:
        clear_canvas(plan)
    return RunResult(
        folder=plan.folder,
        key=plan.key,
        tiles=len(plan.tiles),
        reused=reused,
        damaged=len(products.damaged),
        seconds=seconds,
        inference=times,
    )


def _finished(plan: RunPlan) -> RunResult | None:
    """Give the result of an earlier run of the same inputs and settings; None where there is none.

    Raises
    ------
    OutputExistsError
        If the folder holds products of other inputs and they may not be replaced.
    """
    item = read_item(plan.folder / f"{plan.name}.json")
    if item is None:
        return None
    if item.key != plan.key:
        if plan.settings.overwrite:
            return None
        msg = (
            f"{plan.folder} holds products of another scene, model or setting (run {item.key}, this is {plan.key}): "
            "choose another --out, or replace them with --overwrite"
        )
        raise OutputExistsError(msg)
    if item.settings != settings_digest(plan) or not item.complete:
        return None
    if item.damaged and plan.settings.on_tile_error == "fail":
        return None
    return RunResult(
        folder=plan.folder,
        key=plan.key,
        tiles=len(plan.tiles),
        reused=len(plan.tiles),
        damaged=item.damaged,
        seconds={},
        inference=InferenceTimes(),
    )
