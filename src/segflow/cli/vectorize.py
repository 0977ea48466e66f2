"""`segflow vectorize`: polygons and centrelines of a class raster of any origin."""

import json
from pathlib import Path
from typing import Annotated

import typer

from segflow.cli import options
from segflow.cli.given import Given, takes_settings
from segflow.configs.vectors import VectorizeSettings

Raster = Annotated[Path, typer.Argument(help="A GeoTIFF of classes, of ours or any other tool.", show_default=False)]


@takes_settings
def vectorize(raster: Raster, *, given: Given[VectorizeSettings], as_json: options.Json = False) -> None:
    """Turn a class raster into polygons and centrelines: a styled layer per class, exact at any size.

    Objects smaller than --min-area go to the neighbour they border most, and what moved is told.
    """
    settings = given.load()
    from segflow.cli.console import watch
    from segflow.flows.vectorize.vectorize import vectorize as run

    with watch() as progress:
        done = run(raster, settings, progress)
    typer.echo(json.dumps(done.as_dict(), indent=2) if as_json else done.describe())
