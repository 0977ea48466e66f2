"""The flow that looks into a folder and maps what is new there, each content once."""

from typing import Annotated

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger
from pydantic import Field

from segflow.configs.run import RunSettings
from segflow.flows.scheduled.artifacts import artifact_key
from segflow.flows.scheduled.bounds import wait_for_server
from segflow.flows.scheduled.common import (
    RETRIES,
    RETRY_DELAYS,
    flow_progress,
    run_parameter,
    short_name,
    worth_another_try,
)
from segflow.flows.scheduled.outcomes import count_outcomes, hear_outcomes, raise_failures, show_outcomes
from segflow.flows.scheduled.parameters import (
    Model,
    More,
    Out,
    RunDevice,
    RunPrecision,
    Scheduler,
    Together,
    Workers,
    described,
    run_settings,
    run_title,
)

Folder = Annotated[str, described("Folder where scenes come in, as the worker sees it.")]
Settle = Annotated[
    float, Field(ge=0), described("For how long nobody must have changed a file before it is taken [s].")
]


def _title() -> str:
    return run_title(run_parameter("folder"), run_parameter("model"))


@flow(name="watch-folder", flow_run_name=_title)
def watch_folder(
    folder: Folder,
    model: Model = "forest-amazon-s2",
    out: Out = "maps",
    settle: Settle = 5.0,
    together: Together = 1,
    workers: Workers = 0,
    scheduler: Scheduler = None,
    device: RunDevice = "auto",
    precision: RunPrecision = "auto",
    more: More = None,
) -> dict[str, int]:
    """Map what is new in a folder, each content once, whatever its name; its schedule says how often it looks.

    A file that is still written to waits for the next look, and two runs at once do not map anything twice.

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
    counts = map_arrivals(folder, settings, settle)
    wait_for_server(f"what was new in {folder} is mapped, its products are in {out}")
    return counts


@task(
    name="map-arrivals",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=worth_another_try,
    cache_policy=NO_CACHE,
)
def map_arrivals(folder: str, settings: RunSettings, settle: float) -> dict[str, int]:
    """Look into a folder once as `segflow watch --once` does, and show what was mapped."""
    from segflow.flows.many.watch import watch_once  # noqa: PLC0415  # torch, which deploying needs not

    log = get_run_logger()
    with flow_progress(artifact_key("progress", short_name(folder))) as progress:
        found = watch_once(folder, settings, progress, settle=settle, tell=hear_outcomes())
    log.info(found.describe())
    for path, why in found.waiting.items():
        log.info("%s waits: %s", path, why)
    for path, name in found.same.items():
        log.info("%s is not mapped again: its content was mapped as %s", path, name)
    show_outcomes(found.mapped)
    raise_failures(found.mapped)
    return count_outcomes(found.mapped)
