"""`segflow watch`: scenes that come into a folder are mapped, each content once."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segflow.cli import options
from segflow.cli.given import Given, Subset, takes_settings
from segflow.configs.run import RunSettings

if TYPE_CHECKING:
    from segflow.flows.many.watch import WatchPass

Folder = Annotated[Path, typer.Argument(help="Folder that GeoTIFFs come into.", show_default=False)]
Every = Annotated[float, typer.Option(min=1, help="Pause between two looks [s].", rich_help_panel="Watch")]
Once = Annotated[bool, typer.Option("--once", help="Look once and end.", rich_help_panel="Watch")]
Settle = Annotated[
    float,
    typer.Option(min=0, help="Take a file once nobody has changed it for so long [s].", rich_help_panel="Watch"),
]

EXIT_ERROR, EXIT_DAMAGED = 1, 3


@takes_settings
def watch(
    folder: Folder,
    *,
    every: Every = 60.0,
    once: Once = False,
    settle: Settle = 5.0,
    given: Annotated[Given[RunSettings], Subset(without=("name", "mosaic"))],
    as_json: options.Json = False,
) -> None:
    """Map GeoTIFFs that come into a folder: new and changed ones, each content once, whatever it is called.

    A file that is still being written waits until it is whole. Two watches of one output take turns.
    """
    settings = given.load()
    from segflow.cli.console import watch as follow
    from segflow.flows.events import log_events
    from segflow.flows.many.batch import SceneOutcome
    from segflow.flows.many.watch import watch_folder, watch_once

    def tell(outcome: SceneOutcome) -> None:
        if not as_json:
            typer.echo(outcome.describe(), err=outcome.error is not None)

    with follow() as screen, log_events(settings.log_json, screen) as progress:
        if not once:
            for found in watch_folder(folder, settings, progress, every=every, settle=settle, tell=tell):
                if as_json and found.mapped:
                    typer.echo(json.dumps(_plain(found)))
            return
        found = watch_once(folder, settings, progress, settle=settle, tell=tell)
    typer.echo(json.dumps(_plain(found), indent=2) if as_json else f"{folder}: {found.describe()}")
    if not as_json:
        for path, reason in found.waiting.items():
            typer.echo(f"{path} waits: {reason}")
    if any(outcome.error for outcome in found.mapped):
        raise typer.Exit(EXIT_ERROR)
    if any(outcome.damaged for outcome in found.mapped):
        raise typer.Exit(EXIT_DAMAGED)


def _plain(found: "WatchPass") -> dict[str, Any]:
    """Give a look as plain values for JSON."""
    scenes = [{"name": outcome.name, **outcome.as_dict()} for outcome in found.mapped]
    others = {"same": found.same, "waiting": found.waiting, "known": found.known, "busy": found.busy}
    return {"mapped": scenes, **others}
