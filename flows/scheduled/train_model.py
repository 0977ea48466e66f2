"""The flow that trains a model."""

from pathlib import Path
from typing import Annotated, Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from segflow.configs.training import TrainSettings
from segflow.configs.training_files import load_training
from segflow.flows.scheduled.artifacts import artifact_key, show_link, show_table
from segflow.flows.scheduled.bounds import wait_for_server
from segflow.flows.scheduled.common import (
    RETRIES,
    RETRY_DELAYS,
    flow_progress,
    run_parameter,
    short_name,
    worth_another_try,
)
from segflow.flows.scheduled.parameters import described

Training = Annotated[str, described("Folder of a project or YAML file of a training, as the worker sees it.")]
Assign = Annotated[
    list[str] | None,
    described("Lines of the training to override, such as epochs=5 or out=/models/forest.safetensors."),
]
Recipe = Annotated[str | None, described("Network and schedule by name, in place of the training's own.")]


def _title() -> str:
    recipe = run_parameter("recipe")
    return f"train {short_name(run_parameter('training'))}" + (f" as {recipe}" if recipe else "")


@flow(name="train-model", flow_run_name=_title)
def train_model(training: Training, assign: Assign = None, recipe: Recipe = None) -> str:
    """Train a model on labelled scenes and package it with its scores on scenes that were kept out.

    A try that fails and a flow that is killed go on after the last epoch. A training that has ended is not done again,
    unless settings, scenes or labels have changed: then it begins anew.

    Returns
    -------
    Path of the model file.

    Raises
    ------
    SegflowError
        What went wrong, in one line.
    """
    settings = load_training(training, tuple(assign or ()), recipe=recipe)
    model = train(settings)
    wait_for_server(f"the model is trained: {model}")
    return model


@task(
    name="train",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=worth_another_try,
    cache_policy=NO_CACHE,
)
def train(settings: TrainSettings) -> str:
    """Train as `segflow train` does, going on where this very training was stopped, and show scores and report."""
    from segflow.flows.models.lookup import find_model  # noqa: PLC0415  # torch, which deploying needs not
    from segflow.flows.train.train import train_model as train_plainly  # noqa: PLC0415

    with flow_progress(artifact_key("progress", settings.name)) as progress:
        model = train_plainly(settings, progress, resume="if-same")
    metrics = find_model(str(model)).spec.metrics
    key, report = settings.name, settings.log_folder / "training.html"
    problems = [
        show_table(
            artifact_key("scores", key), score_rows(metrics), f"Scores of {key} on scenes it has not learnt from"
        ),
        show_link(artifact_key("training", key), report, f"Training of {key}, on the worker's machine"),
    ]
    for problem in filter(None, problems):
        get_run_logger().warning("not shown: %s", problem)
    return str(Path(model).absolute())


def score_rows(metrics: Any) -> list[dict[str, Any]]:  # noqa: ANN401  # as a spec holds them
    """Give the scores on validation and test scenes as rows: the means, then each class."""
    rows: list[dict[str, Any]] = []
    for part in ("validation", "test"):
        found = metrics.get(part, {})
        rows.append({"scenes": part, "class": "mean", "IoU": found.get("mean_iou"), "F1": None})
        rows += [
            {"scenes": part, "class": name, "IoU": value, "F1": found.get("f1", {}).get(name)}
            for name, value in found.get("iou", {}).items()
        ]
    return rows
