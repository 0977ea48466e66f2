"""`segflow run`: one scene in, a map that a GIS opens out.

scene → plan → tiles on the canvas → rasters → vectors → report → item.
Every stage takes up what an earlier run left; the item comes last and says that all is there.
"""

from collections.abc import Callable
from dataclasses import replace

from distributed import Client

from segflow.configs.run import RunSettings
from segflow.errors import OutputExistsError
from segflow.flows.inference.infer import InferenceTimes, infer
from segflow.flows.inference.store import clear_canvas, open_work
from segflow.flows.planning.plan import RunPlan, plan_run
from segflow.flows.progress import Progress, Silence, Stopwatch
from segflow.flows.run.catalogue import remove_stale, settings_digest, write_catalogue
from segflow.flows.run.item import read_item
from segflow.flows.run.nodata import count_causes
from segflow.flows.run.output_hold import OutputHold, hold_output
from segflow.flows.run.publish import publish
from segflow.flows.run.rasters import RastersDone, find_rasters, write_rasters
from segflow.flows.run.report import list_moves
from segflow.flows.run.result import RunResult
from segflow.flows.run.scene_lists import describe_path, guess_name
from segflow.flows.run.scene_state import StateKeeper, keep_state
from segflow.flows.run.vectors import write_vectors
from segflow.io.inputs.kinds import ScenePath

ClientSource = Client | Callable[[], Client] | None


def segment_scene(
    path: ScenePath, settings: RunSettings, progress: Progress | None = None, *, client: ClientSource = None
) -> RunResult:
    """Map one scene.

    Parameters
    ----------
    path
        A GeoTIFF, or the parts of a mosaic.
    settings
        What to do with it.
    progress
        Who watches; None for nobody.
    client
        A cluster that is there, or what gives one when there are tiles to map; None: as the settings say.

    Raises
    ------
    SegflowError
        What went wrong, in one line. What was done is kept, and the same call goes on from there.
    """
    watcher = progress or Silence()
    with keep_state(settings, guess_name(path, settings), describe_path(path)) as state:
        plan = plan_run(path, settings)
        state.planned(plan)
        for warning in plan.warnings:
            watcher.note(f"warning: {warning}")
        with hold_output(plan) as hold:
            return find_result(plan) or make_products(plan, watcher, hold, state, client)


def make_products(
    plan: RunPlan, progress: Progress, hold: OutputHold, state: StateKeeper, client: ClientSource = None
) -> RunResult:
    """Go through the stages that are not done yet."""
    clock = Stopwatch()
    remove_stale(plan)
    rasters = find_rasters(plan)
    reused, times = len(plan.tiles), InferenceTimes()
    state.running(reused)
    if rasters is None:
        rasters, reused, times = _make_rasters(plan, progress, clock, state, client)
    with clock.measure("vectors"):
        contents = write_vectors(plan, progress)
    with clock.measure("nodata"):
        contents = replace(contents, nodata=count_causes(plan, rasters.damaged.keys(), contents.summary))
    with clock.measure("report"):
        write_catalogue(plan, rasters, contents)
    if plan.products.address is not None:
        with clock.measure("upload"):
            publish(plan.products, hold, progress)
    return RunResult.of(
        plan,
        reused=reused,
        damaged=len(rasters.damaged),
        nodata=contents.nodata,
        length_km=contents.length_km(plan),
        moved=tuple(f"{classes} {amount}" for classes, amount in list_moves(plan, contents)),
        seconds=clock.seconds,
        inference=times,
    )


def find_result(plan: RunPlan) -> RunResult | None:
    """Give the result of an earlier run of the same inputs and settings; None where there is none.

    Raises
    ------
    OutputExistsError
        If the folder holds products of other inputs and they may not be replaced.
    """
    item = read_item(plan.products.place)
    if item is None:
        return None
    if item.key != plan.key and not plan.settings.overwrite:
        msg = (
            f"{plan.products.place} holds products of another scene, model or setting "
            f"(run {item.key}, this is {plan.key}): choose another --out, or replace them with --overwrite"
        )
        raise OutputExistsError(msg)
    same = item.key == plan.key and item.settings == settings_digest(plan) and item.lists(plan.products)
    if not same or not item.complete:
        return None
    if item.damaged and plan.settings.on_tile_error == "fail":
        return None
    return RunResult.of(
        plan, reused=len(plan.tiles), damaged=len(item.damaged), nodata=item.nodata, length_km=item.length_km
    )


def _make_rasters(
    plan: RunPlan, progress: Progress, clock: Stopwatch, state: StateKeeper, client: ClientSource
) -> tuple[RastersDone, int, InferenceTimes]:
    """Map the tiles that are pending and write the rasters; also give how many tiles were done before."""
    with open_work(plan) as work:
        reused = len(work.journal.done)
        state.running(reused)
        if reused:
            progress.note(f"{plan.name}: {reused} of {len(plan.tiles)} tiles were done before")
        with clock.measure("infer"):
            times = infer(work, progress, _open(client) if work.pending else None)
        with clock.measure("rasters"):
            rasters = write_rasters(work, progress)
    if not rasters.damaged:
        clear_canvas(plan)
    return rasters, reused, times


def _open(client: ClientSource) -> Client | None:
    """Give the client of a cluster that is there or is opened for whoever asks first; None where there is none."""
    return client if client is None or isinstance(client, Client) else client()
