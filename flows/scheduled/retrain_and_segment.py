"""The flow that turns new labels into a model, and the model into maps, if it is better than the one in use."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger
from pydantic import Field

from segflow.configs.loader import load_settings
from segflow.configs.retrain import RetrainSettings
from segflow.configs.run import RunSettings
from segflow.flows.scheduled.artifacts import artifact_key, show_link, show_table, show_text
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
    More,
    Out,
    RunDevice,
    RunPrecision,
    Scheduler,
    Together,
    Workers,
    described,
    run_settings,
)
from segflow.flows.scheduled.train_model import Assign, Training

if TYPE_CHECKING:
    from segflow.flows.retrain.candidate import Candidate
    from segflow.flows.retrain.retrain import RetrainResult

Shelf = Annotated[str, described("Folder of the models: the one in use, those before it, the ledger.")]
Scenes = Annotated[
    list[str] | None,
    described("Mapped with the model in use: files, globs, a CSV, a STAC ItemCollection; none: nothing is mapped."),
]
Base = Annotated[str | None, described("Model in use as long as the shelf holds none: name or file.")]
FromCurrent = Annotated[bool, described("Whether training starts from the weights of the model in use.")]
LeastScenes = Annotated[int, Field(ge=1), described("Kept-out scenes that are needed to compare.")]
LeastGain = Annotated[float, Field(ge=0, lt=1), described("Mean IoU must rise by more than this.")]
MostLoss = Annotated[float, Field(ge=0, le=1), described("IoU that a single class may lose.")]


def _title() -> str:
    return f"retrain {short_name(run_parameter('training'))} on {short_name(run_parameter('shelf'))}"


@flow(name="retrain-and-segment", flow_run_name=_title)
def retrain_and_segment(
    training: Training,
    shelf: Shelf,
    scenes: Scenes = None,
    out: Out = "maps",
    assign: Assign = None,
    base: Base = None,
    from_current: FromCurrent = False,  # noqa: FBT002  # a box on Prefect's form
    least_scenes: LeastScenes = 3,
    least_gain: LeastGain = 0.0,
    most_loss: MostLoss = 0.02,
    together: Together = 1,
    workers: Workers = 0,
    scheduler: Scheduler = None,
    device: RunDevice = "auto",
    precision: RunPrecision = "auto",
    more: More = None,
) -> dict[str, Any]:
    """Train on the labels there are, compare with the model in use, promote only what is better, and map scenes.

    Labels, scenes and settings that were trained on before take no time, and neither do maps that are there.

    Returns
    -------
    What `segflow retrain --json` says, and numbers of maps as `segment_batch` gives them.

    Raises
    ------
    SegflowError
        What went wrong, in one line.
    """
    settings = load_settings(
        RetrainSettings,
        overrides={
            "training": training,
            "assign": tuple(assign or ()),
            "shelf": shelf,
            "base": base,
            "from_current": from_current,
            "least_scenes": least_scenes,
            "least_gain": least_gain,
            "most_loss": most_loss,
        },
        source="parameter of the flow",
    )
    run = run_settings(
        more, out=out, together=together, workers=workers, scheduler=scheduler, device=device, precision=precision
    )
    candidate = train_candidate(settings)
    result = compare_and_promote(settings, candidate)
    counts = map_with_current(result.current, scenes, run) if scenes else {}
    wait_for_server(f"{result.in_use} is in use ({result.reason}), {sum(counts.values())} scenes are mapped")
    return {**result.as_dict(), "maps": counts}


@task(
    name="train-candidate",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=worth_another_try,
    cache_policy=NO_CACHE,
)
def train_candidate(settings: RetrainSettings) -> "Candidate":
    """Train on the labels there are; another try goes on after the last epoch, what was done before takes no time."""
    from segflow.flows.retrain.candidate import train_candidate as train  # noqa: PLC0415  # torch, which deploying needs not

    with flow_progress(artifact_key("progress", short_name(settings.training))) as progress:
        candidate = train(settings, progress)
    key, name = artifact_key("training", short_name(settings.training)), short_name(settings.training)
    problem = show_link(key, candidate.report, f"Training of {name}, on the worker's machine")
    if problem is not None:
        get_run_logger().warning("not shown: %s", problem)
    return candidate


@task(
    name="compare-and-promote",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=worth_another_try,
    cache_policy=NO_CACHE,
)
def compare_and_promote(settings: RetrainSettings, candidate: "Candidate") -> "RetrainResult":
    """Compare the new model with the one in use on kept-out scenes, and promote it only if it is better."""
    from segflow.flows.retrain.retrain import judge_candidate  # noqa: PLC0415  # torch, which deploying needs not

    log, name = get_run_logger(), short_name(settings.training)
    with flow_progress(artifact_key("progress", name)) as progress:
        result = judge_candidate(settings, candidate, progress)
    log.info(result.describe())
    problems = [show_text(artifact_key("promotion", name), result.describe(), f"Whether {name} went into use")]
    if result.rows:
        title = f"{name}: the model in use and the new one on kept-out scenes"
        problems.append(show_table(artifact_key("comparison", name), result.rows, title))
    for problem in filter(None, problems):
        log.warning("not shown: %s", problem)
    return result


@task(
    name="map-with-current",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=worth_another_try,
    cache_policy=NO_CACHE,
)
def map_with_current(current: Path, scenes: Sequence[str], run: RunSettings) -> dict[str, int]:
    """Map scenes with the model in use; maps by it that are there take no time, those by models before are replaced."""
    from segflow.flows.retrain.retrain import map_with_current as map_all  # noqa: PLC0415  # torch

    with flow_progress(artifact_key("progress", "maps")) as progress:
        outcomes = map_all(current, scenes, run, progress, tell=hear_outcomes())
    show_outcomes(outcomes)
    raise_failures(outcomes)
    return count_outcomes(outcomes)
