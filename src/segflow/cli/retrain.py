"""`segflow retrain` and `segflow shelf`: new labels become a model, which goes into use only if it is better."""

import json
from pathlib import Path
from typing import Annotated

import typer

from segflow.cli import options
from segflow.cli.given import Given, Subset, takes_settings
from segflow.cli.train import Assign
from segflow.configs.retrain import RetrainSettings
from segflow.configs.run import RunSettings

_FAILED = 1  # exit codes, as those of `segflow run`
_DAMAGED = 3

Training = Annotated[Path, typer.Argument(help="Folder of a project, or YAML file of a training.", show_default=False)]
ShelfFolder = Annotated[Path, typer.Argument(help="Folder of the models.", show_default=False)]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", help="Then map this with the model in use: a file, a glob, a list; may be repeated."),
]

shelf_app = typer.Typer(
    help="Show a shelf of models, put one into use, or go back to the one before.", no_args_is_help=True
)


@takes_settings
def retrain(
    training: Training,
    *,
    assign: Assign = None,
    map_: Map = None,
    given: Annotated[Given[RetrainSettings], Subset(without=("training", "assign"), config=False)],
    run: Annotated[Given[RunSettings], Subset(only=("out",))],
    as_json: options.Json = False,
) -> None:
    """Train on the labels there are, compare with the model in use on kept-out scenes, promote it only if better.

    The same labels, scenes and settings are trained on once; a retraining that was stopped goes on where it was.
    SHELF/current.safetensors is always the model in use: `segflow run -m SHELF/current.safetensors`.
    """
    from segflow.cli.console import watch
    from segflow.flows.retrain.retrain import map_with_current
    from segflow.flows.retrain.retrain import retrain as retrain_model

    settings = given.load({"training": str(training), "assign": tuple(assign or ())})
    maps = run.load()
    with watch() as progress:
        result = retrain_model(settings, progress)
    if not as_json:
        typer.echo(result.describe())
    with watch() as progress:
        outcomes = map_with_current(result.current, map_, maps, progress) if map_ else ()
    if as_json:
        typer.echo(json.dumps({**result.as_dict(), "maps": [each.as_dict() for each in outcomes]}, indent=2))
    for outcome in () if as_json else outcomes:
        typer.echo(outcome.describe(), err=outcome.error is not None)
    if any(outcome.error is not None for outcome in outcomes):
        raise typer.Exit(_FAILED)
    if any(outcome.damaged for outcome in outcomes):
        raise typer.Exit(_DAMAGED)


@shelf_app.command()
def show(folder: ShelfFolder, *, as_json: options.Json = False) -> None:
    """Show the ledger of a shelf and the model in use; changes nothing."""
    from segflow.flows.retrain.shelf import show_shelf

    state = show_shelf(folder)
    typer.echo(json.dumps(state.as_dict(), indent=2, ensure_ascii=False) if as_json else state.describe())


@shelf_app.command()
def use(
    folder: ShelfFolder,
    model: Annotated[str, typer.Argument(help="Shipped model by name, or a .safetensors file.", show_default=False)],
    *,
    as_json: options.Json = False,
) -> None:
    """Put a model into use by hand, whatever its scores; the folder is made if it is not there."""
    from segflow.flows.retrain.shelf import put_into_use

    state = put_into_use(folder, model)
    typer.echo(json.dumps(state.as_dict(), indent=2, ensure_ascii=False) if as_json else state.describe())


@shelf_app.command()
def back(folder: ShelfFolder, *, as_json: options.Json = False) -> None:
    """Put the model into use that was before the one in use; the same labels will not bring the other one back."""
    from segflow.flows.retrain.shelf import take_back

    state = take_back(folder)
    typer.echo(json.dumps(state.as_dict(), indent=2, ensure_ascii=False) if as_json else state.describe())
