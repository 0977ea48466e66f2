"""The flow that maps many scenes over one cluster."""

from collections.abc import Sequence
from typing import Annotated

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from segflow.configs.run import RunSettings
from segflow.flows.scheduled.artifacts import artifact_key
from segflow.flows.scheduled.bounds import wait_for_server
from segflow.flows.scheduled.common import (
    RETRIES,
    RETRY_DELAYS,
    flow_progress,
    run_parameter,
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

Scenes = Annotated[
    list[str],
    Field(min_length=1),
    described("Files, globs, a CSV with a column scene, a STAC ItemCollection or a folder of a catalogue."),
]


def _title() -> str:
    return run_title(run_parameter("scenes"), run_parameter("model"))


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
    from segflow.flows.many.batch import segment_batch as map_all  # noqa: PLC0415  # torch, which deploying needs not

    with flow_progress(artifact_key("progress", settings.name or "batch")) as progress:
        outcomes = map_all(scenes, settings, progress, tell=hear_outcomes())
    show_outcomes(outcomes)
    raise_failures(outcomes)
    return count_outcomes(outcomes)
