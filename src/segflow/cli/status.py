"""`segflow status`: how it stands with every scene of an output."""

import json
from typing import Annotated

import typer

from segflow.cli import options
from segflow.configs.run import RunSettings

Output = Annotated[str, typer.Argument(help="Output folder or s3:// address, as --out of run.", show_default=False)]
Work = Annotated[str | None, options.option_of(RunSettings, "work")]


def status(out: Output = "maps", *, work: Work = None, as_json: options.Json = False) -> None:
    """Say what is done, running, failed, stopped or pending, scene by scene; reads, and disturbs nobody."""
    from segflow.flows.many.status import describe_status, read_status, status_dict

    found = read_status(out, work)
    typer.echo(json.dumps([status_dict(each) for each in found], indent=2) if as_json else describe_status(found))
