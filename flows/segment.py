"""`segflow run`: one scene in, a map that a GIS opens out.

scene → plan → tiles on the canvas → rasters → vectors → report → item.
Every stage takes up what an earlier run left; the item comes last and says that all is there.
"""

import os

from segflow.configs.run import RunSettings
from segflow.errors import OutputExistsError
from segflow.flows.catalogue import remove_stale, settings_digest, write_catalogue
from segflow.flows.infer import InferenceTimes, infer
from segflow.flows.item import read_item
from segflow.flows.plan import RunPlan, plan_run
from segflow.flows.progress import Progress, Silence, Stopwatch
from segflow.flows.rasters import RastersDone, find_rasters, write_rasters
from segflow.flows.result import RunResult
from segflow.flows.store import clear_canvas, open_work
from segflow.flows.vectors import write_vectors
from segflow.io.files import check_writable
from segflow.io.locks import output_lock


def segment_scene(path: str | os.PathLike[str], settings: RunSettings, progress: Progress | None = None) -> RunResult:
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
    watcher = progress or Silence()
    plan = plan_run(path, settings)
    for warning in plan.warnings:
        watcher.note(f"warning: {warning}")
    check_writable(plan.products.folder)
    with output_lock(plan.work.parent / f"{plan.name}.lock"):
        return find_result(plan) or make_products(plan, watcher)


def make_products(plan: RunPlan, progress: Progress) -> RunResult:
    """Go through the stages that are not done yet."""
    clock = Stopwatch()
    remove_stale(plan)
    rasters = find_rasters(plan)
    reused, times = len(plan.tiles), InferenceTimes()
    if rasters is None:
        rasters, reused, times = _make_rasters(plan, progress, clock)
    with clock.measure("vectors"):
        contents = write_vectors(plan, progress)
    with clock.measure("report"):
        write_catalogue(plan, rasters, contents)
    return RunResult.of(plan, reused=reused, damaged=len(rasters.damaged), seconds=clock.seconds, inference=times)


def find_result(plan: RunPlan) -> RunResult | None:
    """Give the result of an earlier run of the same inputs and settings; None where there is none.

    Raises
    ------
    OutputExistsError
        If the folder holds products of other inputs and they may not be replaced.
    """
    item = read_item(plan.products.folder)
    if item is None:
        return None
    if item.key != plan.key and not plan.settings.overwrite:
        msg = (
            f"{plan.products.folder} holds products of another scene, model or setting "
            f"(run {item.key}, this is {plan.key}): choose another --out, or replace them with --overwrite"
        )
        raise OutputExistsError(msg)
    if item.key != plan.key or item.settings != settings_digest(plan) or not item.complete:
        return None
    if item.damaged and plan.settings.on_tile_error == "fail":
        return None
    return RunResult.of(plan, reused=len(plan.tiles), damaged=len(item.damaged))


def _make_rasters(plan: RunPlan, progress: Progress, clock: Stopwatch) -> tuple[RastersDone, int, InferenceTimes]:
    """Map the tiles that are pending and write the rasters; also give how many tiles were done before."""
    with open_work(plan) as work:
        reused = len(work.journal.done)
        if reused:
            progress.note(f"{plan.name}: {reused} of {len(plan.tiles)} tiles were done before")
        with clock.measure("infer"):
            times = infer(work, progress)
        with clock.measure("rasters"):
            rasters = write_rasters(work, progress)
    if not rasters.damaged:
        clear_canvas(plan)
    return rasters, reused, times
