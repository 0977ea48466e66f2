"""`segflow monitor`: how a training goes, while it goes."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segflow.cli import options

if TYPE_CHECKING:
    from rich.console import Console

Place = Annotated[
    Path, typer.Argument(help="Folder of a project or of logs, or the model file that is being trained; newest log.")
]
Once = Annotated[bool, typer.Option("--once", help="Print how things stand and exit; so do pipes and --json.")]
Every = Annotated[float, typer.Option(help="Seconds between two looks at the log.", min=0.05)]


def monitor(
    place: Place = Path(),
    *,
    once: Once = False,
    every: Every = 1.0,
    as_json: options.Json = False,
) -> None:
    """Watch a training: epoch, time left, loss, validation scores and classes, until it ends or Ctrl-C.

    Leaving does not stop the training.
    """
    from rich.console import Console

    from segflow.cli.training_screen import training_screen
    from segflow.flows.train.monitor import find_log, read_state

    folder = find_log(place)
    if as_json:
        typer.echo(json.dumps(read_state(folder).as_dict(), indent=2))
        return
    console = Console(highlight=False)
    if once or not console.is_terminal:
        console.print(training_screen(read_state(folder)))
        return
    _follow(folder, console, every)


def _follow(folder: Path, console: "Console", every: float) -> None:
    """Draw the state again and again until training has ended."""
    from rich.live import Live

    from segflow.cli.training_screen import training_screen
    from segflow.flows.train.monitor import read_state

    state = read_state(folder)
    try:
        with Live(training_screen(state), console=console, auto_refresh=False) as live:
            while not state.ended:
                time.sleep(every)
                state = read_state(folder)
                live.update(training_screen(state), refresh=True)
    except KeyboardInterrupt:
        return
