"""`segflow train`: a model from labelled scenes."""

import json
from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path,
    typer.Argument(help="YAML file that names scenes, labels, network and schedule, or the name of a shipped model."),
]
Assign = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a line of the file: --set epochs=5.", metavar="KEY=VALUE"),
]
Start = Annotated[
    str | None,
    typer.Option("--from", help="Start from the weights of a model of the same network and bands: name or file."),
]
Recipe = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        help="Network and schedule by name, in place of the file's: fcn8s-kitti-road, unet-resnet50-320, …",
        metavar="NAME",
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on after the last epoch of a training that was stopped; same settings and data."),
]


def train(
    config: Config, *, recipe: Recipe = None, assign: Assign = None, start: Start = None, resume: Resume = False
) -> None:
    """Train a model on labelled scenes and package it as one .safetensors file with its scores.

    Log, TensorBoard events and checkpoints lie in OUT.training/ beside the model;
    `tensorboard --logdir OUT.training` draws them.
    """
    from segflow.cli.console import watch
    from segflow.configs.training_files import load_training
    from segflow.flows.train.train import train_model

    started = [f"start={json.dumps(start)}"] if start else []
    settings = load_training(config, [*(assign or []), *started], recipe=recipe)
    with watch() as progress:
        typer.echo(train_model(settings, progress, resume=resume))
