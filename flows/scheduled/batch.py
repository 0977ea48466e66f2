"""The flow that maps many scenes over one cluster."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger
from pydantic import Field

from segflow.configs.run import RunSettings
from segflow.errors import FlowError
from segflow.flows.scheduled.artifacts import artifact_key, show_table
from segflow.flows.scheduled.bounds import wait_for_server
from segflow.flows.scheduled.common import (
    LASTING,
    RETRIES,
    RETRY_DELAYS,
    flow_progress,
    run_parameter,
    worth_another_try,
)
from segflow.flows.scheduled.parameters import (
    Model,
    More,
    Out,
    RunDevice,
    RunPrecision,
    Scheduler,
    Workers,
    described,
    run_settings,
    run_title,
)
from segflow.flows.scheduled.products import show_products

if TYPE_CHECKING:
    from segflow.flows.batch import SceneOutcome

MOST_SHOWN = 20  # scenes of one run that get pictures and tables of their own; all stand in the run's table
Scenes = Annotated[
    list[str],
    Field(min_length=1),
    described("Files, globs, a CSV with a column scene, a STAC ItemCollection or a folder of a catalogue."),
]
Together = Annotated[int, Field(ge=1), described("Scenes that are mapped side by side.")]


def _title() -> str:
    return run_title(run_parameter("scenes").strip("[]'\""), run_parameter("model"))


@flow(name="segment-batch", flow_run_name=_title)
def segment_batch(
    scenes: Scenes,
    model: Model = "forest-amazon-s2",
    out: Out = "maps",
    together: Together = 1,
    workers: Workers = 0,
    scheduler: Scheduler = None,
    device: RunDevice = "auto",
    precision: RunPrecision = "auto",
    more: More = None,
) -> dict[str, int]:
    """Map many scenes over one cluster; those that are mapped already take no time.

    A scene that fails does not stop the others; the run fails at the end, names it, and tries again.

    Returns
    -------
    Number of scenes that were ``mapped``, that were ``done before``, and that have tiles ``left empty``.

    Raises
    ------
    FlowError
        If scenes failed.
    """
    settings = run_settings(
        more,
        model=model,
        out=out,
        together=together,
        workers=workers,
        scheduler=scheduler,
        device=device,
        precision=precision,
    )
    counts = map_scenes(scenes, settings)
    wait_for_server(f"{sum(counts.values())} scenes are mapped, their products are in {out}")
    return counts


@task(
    name="map-scenes",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=worth_another_try,
    cache_policy=NO_CACHE,
)
def map_scenes(scenes: Sequence[str], settings: RunSettings) -> dict[str, int]:
    """Map scenes as `segflow run` does and show them; another try maps only what failed."""
    from segflow.flows.batch import segment_batch as map_all  # noqa: PLC0415  # torch, which deploying needs not

    log = get_run_logger()
    shown = 0

    def hear(outcome: "SceneOutcome") -> None:
        nonlocal shown
        log.log(30 if outcome.error else 20, "%s", outcome.describe())
        if outcome.result is None or outcome.result.finished_before or shown >= MOST_SHOWN:
            return
        shown += 1
        for problem in show_products(outcome.result.folder):
            log.warning("not shown: %s", problem)

    with flow_progress(artifact_key("progress", settings.name or "batch")) as progress:
        outcomes = map_all(scenes, settings, progress, tell=hear)
    show_table("scenes", [outcome_row(outcome) for outcome in outcomes], "What became of every scene")
    raise_failures(outcomes)
    return count_outcomes(outcomes)


def outcome_row(outcome: "SceneOutcome") -> dict[str, Any]:
    """Give what became of a scene as a row of a table."""
    result = outcome.result
    if result is None:
        return {"scene": outcome.name, "state": "failed", "folder": "", "message": outcome.describe()}
    state = "done before" if result.finished_before else "mapped"
    message = f"{result.damaged} tiles left empty" if result.damaged else ""
    return {"scene": outcome.name, "state": state, "folder": str(result.folder), "message": message}


def count_outcomes(outcomes: Sequence["SceneOutcome"]) -> dict[str, int]:
    """Give how many scenes were mapped and done before, and how many of either have tiles that were left empty."""
    states = Counter(outcome_row(outcome)["state"] for outcome in outcomes)
    damaged = sum(outcome.damaged for outcome in outcomes)
    return {"mapped": states["mapped"], "done before": states["done before"], "left empty": damaged}


def raise_failures(outcomes: Sequence["SceneOutcome"]) -> None:
    """Raise what went wrong with scenes, from the error that another try may cure if there is one.

    Raises
    ------
    FlowError
        If a scene failed.
    """
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if not failed:
        return
    failed.sort(key=lambda outcome: isinstance(outcome.error, LASTING))
    msg = f"{len(failed)} of {len(outcomes)} scenes failed: {failed[0].describe()}"
    raise FlowError(msg) from failed[0].error
