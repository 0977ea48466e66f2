"""The command line: `segflow run | plan | train | model | verify | demo | doctor`.

A command imports what it needs when it is called, so that `segflow --help` answers at once.
"""

import json
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from segflow import __version__
from segflow.cli import (
    cluster,
    deploy,
    evaluate,
    model,
    monitor,
    options,
    project,
    retrain,
    status,
    train,
    vectorize,
    watch,
)
from segflow.cli.given import Given, takes_settings
from segflow.configs.run import RunSettings
from segflow.errors import SegflowError, SettingsError

if TYPE_CHECKING:
    from segflow.flows.many.batch import SceneOutcome

EXIT_ERROR = 1
EXIT_DAMAGED = 3
EXIT_SIGNAL = 128  # + the signal's number

MAP, MODELS, SCALE, LOOK = (
    "Map",
    "Models",
    "Many scenes, many machines",
    "First steps",
)  # panels of --help, in this order

app = typer.Typer(
    name="segflow",
    help="Turn large GeoTIFF scenes into georeferenced class maps and vectors.",
    epilog="Start with `segflow demo`, then `segflow run scene.tif`; `segflow plan scene.tif` says what would happen.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:  # typer's signature
    if wanted:
        typer.echo(f"segflow {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[  # handled by its callback
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Turn large GeoTIFF scenes into georeferenced class maps and vectors."""


@app.command(rich_help_panel=MAP)
@takes_settings
def run(scenes: options.Scenes, *, given: Given[RunSettings], as_json: options.Json = False) -> None:
    """Map scenes: class raster, confidence raster, GeoPackage, report and STAC item in OUT/SCENE/.

    Scenes may also be given as a glob, a CSV table with a column `scene`, a STAC item collection or the folder of a
    catalogue. One that fails does not stop the others.

    A run that was stopped goes on where it was; a finished one returns at once.
    Every option is also a line in the YAML file given by --config and a variable SEGFLOW_….
    """
    settings = given.load()
    from segflow.cli.console import watch
    from segflow.flows.events import log_events
    from segflow.flows.many.batch import segment_batch

    with watch() as screen, log_events(settings.log_json, screen) as progress:
        outcomes = segment_batch(scenes, settings, progress, tell=lambda outcome: _tell(outcome, as_json=as_json))
    if as_json:
        typer.echo(json.dumps([outcome.as_dict() for outcome in outcomes], indent=2))
    failed = any(outcome.error for outcome in outcomes)
    if failed or any(outcome.damaged for outcome in outcomes):
        raise typer.Exit(EXIT_ERROR if failed else EXIT_DAMAGED)


def _tell(outcome: "SceneOutcome", *, as_json: bool) -> None:
    """Print what became of a scene as soon as that is known."""
    if outcome.error is not None:
        _complain(outcome.error, outcome.describe())
    elif not as_json:
        typer.echo(outcome.describe())


@app.command(rich_help_panel=MAP)
@takes_settings
def plan(scenes: options.Scenes, *, given: Given[RunSettings], as_json: options.Json = False) -> None:
    """Show what a run would do: tiles, reads, what the margin costs, memory, time, products. Writes nothing."""
    settings = given.load()
    from segflow.flows.run.preview import preview_run

    if len(scenes) > 1 and not settings.mosaic:
        msg = f"plan looks at one scene, but {len(scenes)} were given: give one, or take them as one with --mosaic"
        raise SettingsError(msg)
    preview = preview_run(scenes if settings.mosaic else scenes[0], settings)
    typer.echo(json.dumps(preview.as_dict(), indent=2) if as_json else preview.describe())


@app.command(rich_help_panel=MAP)
def verify(
    folder: Annotated[str, typer.Argument(help="Folder of one scene's products, OUT/SCENE, or its s3:// address.")],
    *,
    seams: Annotated[
        int, typer.Option(help="Predict this many random windows across tile borders in one piece and compare.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the random windows.")] = 0,
    as_json: options.Json = False,
) -> None:
    """Check products: every file is what the STAC item says, and, with --seams, tiles left no trace."""
    from segflow.flows.run.verify import verify_products

    found = verify_products(folder, seams=seams, seed=seed)
    typer.echo(json.dumps(found.as_dict(), indent=2) if as_json else found.describe())
    if not found.sound:
        raise typer.Exit(EXIT_ERROR)


@app.command(rich_help_panel=LOOK)
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the demo scene and its map.")] = Path("demo"),
) -> None:
    """Write a demo scene, map it with the default model, score the map and say what to open."""
    from segflow.cli.console import watch
    from segflow.flows.start.demo import run_demo

    with watch() as progress:
        result = run_demo(out, progress)
    typer.echo(result.describe())


@app.command(rich_help_panel=LOOK)
def doctor(*, as_json: options.Json = False) -> None:
    """Say what is installed and what is not: versions, GPUs, drivers, Prefect and Dask."""
    from segflow.flows.start.doctor import examine

    report = examine()
    typer.echo(json.dumps(report.as_dict(), indent=2) if as_json else report.describe())
    if not report.healthy:
        raise typer.Exit(EXIT_ERROR)


app.command(rich_help_panel=MAP)(vectorize.vectorize)
app.command(rich_help_panel=MAP)(evaluate.evaluate)
app.command(rich_help_panel=MAP)(evaluate.sample)
app.command(rich_help_panel=MODELS)(train.train)
app.command(rich_help_panel=MODELS)(monitor.monitor)
app.command(rich_help_panel=MODELS)(retrain.retrain)
app.add_typer(project.app, name="project", rich_help_panel=MODELS)
app.add_typer(model.app, name="model", rich_help_panel=MODELS)
app.add_typer(retrain.shelf_app, name="shelf", rich_help_panel=MODELS)
app.command(rich_help_panel=SCALE)(watch.watch)
app.command(rich_help_panel=SCALE)(status.status)
app.command(rich_help_panel=SCALE)(deploy.deploy)
app.command(rich_help_panel=SCALE)(cluster.scheduler)
app.command(rich_help_panel=SCALE)(cluster.worker)
app.add_typer(cluster.tls, name="tls", rich_help_panel=SCALE)


def _complain(error: Exception, message: str | None = None) -> None:
    if "--debug" in sys.argv:
        traceback.print_exception(error)
    typer.echo(f"segflow: {' '.join((message or str(error)).split())}", err=True)


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(EXIT_SIGNAL + number)


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 1 error, 2 usage, 3 damaged tiles, 128 + n on signal n (130 on Ctrl-C)."""
    signal.signal(signal.SIGTERM, _terminate)
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(args=arguments)
    except SegflowError as error:
        _complain(error)
        sys.exit(EXIT_ERROR)
    sys.exit(0)
