"""`segflow retrain` and `segflow shelf`: new labels become a model, which goes into use only if it is better."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from segflow.cli import options
from segflow.cli.train import Assign

_FAILED = 1  # exit codes, as those of `segflow run`
_DAMAGED = 3

Training = Annotated[Path, typer.Argument(help="Folder of a project, or YAML file of a training.", show_default=False)]
Shelf = Annotated[
    Path, typer.Option("--shelf", help="Folder of the models: the one in use, those before it, the ledger.")
]
ShelfFolder = Annotated[Path, typer.Argument(help="Folder of the models.", show_default=False)]
Base = Annotated[str | None, typer.Option("--base", help="Model in use as long as the shelf holds none: name or file.")]
FromCurrent = Annotated[
    bool, typer.Option("--from-current", help="Start training from the weights of the model in use.")
]
LeastScenes = Annotated[int, typer.Option(help="Kept-out scenes that are needed to compare.", min=1)]
LeastGain = Annotated[float, typer.Option(help="Mean IoU must rise by more than this.", min=0, max=1)]
MostLoss = Annotated[float, typer.Option(help="IoU that a single class may lose.", min=0, max=1)]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", help="Then map this with the model in use: a file, a glob, a list; may be repeated."),
]

shelf_app = typer.Typer(
    help="Show a shelf of models, put one into use, or go back to the one before.", no_args_is_help=True
)


def retrain(
    training: Training,
    *,
    shelf: Shelf = Path("shelf"),
    base: Base = None,
    assign: Assign = None,
    from_current: FromCurrent = False,
    least_scenes: LeastScenes = 3,
    least_gain: LeastGain = 0.0,
    most_loss: MostLoss = 0.02,
    map_: Map = None,
    out: options.Out = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Train on the labels there are, compare with the model in use on kept-out scenes, promote it only if better.

    The same labels, scenes and settings are trained on once; a retraining that was stopped goes on where it was.
    SHELF/current.safetensors is always the model in use: `segflow run -m SHELF/current.safetensors`.
    """
    from segflow.cli.console import watch
    from segflow.configs.loader import load_settings
    from segflow.configs.retrain import RetrainSettings
    from segflow.configs.run import RunSettings
    from segflow.flows.retrain.retrain import map_with_current
    from segflow.flows.retrain.retrain import retrain as retrain_model

    given: dict[str, Any] = {
        "training": str(training),
        "assign": tuple(assign or ()),
        "shelf": str(shelf),
        "base": base,
        "from_current": from_current,
        "rule": {"least_scenes": least_scenes, "least_gain": least_gain, "most_loss": most_loss},
    }
    settings = load_settings(RetrainSettings, options=given)
    run = load_settings(RunSettings, file=config, environment=os.environ, options={"out": out})
    with watch() as progress:
        result = retrain_model(settings, progress)
    if not as_json:
        typer.echo(result.describe())
    with watch() as progress:
        outcomes = map_with_current(result.current, map_, run, progress) if map_ else ()
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
