"""`segflow vectorize`: polygons and centrelines of a class raster of any origin."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from segflow.cli import options

Raster = Annotated[Path, typer.Argument(help="A GeoTIFF of classes, of ours or any other tool.", show_default=False)]
Out = Annotated[
    str | None,
    typer.Option("--out", "-o", help="File to write. [default: SCENE.gpkg beside the raster]", show_default=False),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format", help="gpkg, flatgeobuf or geoparquet. [default: by the suffix of --out]", show_default=False
    ),
]
Confidence = Annotated[
    str | None,
    typer.Option(
        "--confidence",
        help="Raster of confidences [%]. [default: SCENE_confidence.tif beside the raster]",
        show_default=False,
    ),
]
Names = Annotated[
    str | None,
    typer.Option("--names", help="Names of values: 0=other,1=forest. [default: the raster's]", show_default=False),
]
Geometry = Annotated[
    str | None,
    typer.Option(
        "--geometry",
        help="polygon, line or none by class: road=line,other=none. [default: polygon]",
        show_default=False,
    ),
]
Gap = Annotated[
    float | None,
    typer.Option("--max-gap", help="Centrelines: bridge gaps up to this between aligned ends [m].", show_default=False),
]
Length = Annotated[
    float | None,
    typer.Option("--min-length", help="Centrelines: leave out networks shorter than this [m].", show_default=False),
]
Append = Annotated[
    bool | None, typer.Option("--append", help="Add to a GeoPackage that stands there.", show_default=False)
]
Overwrite = Annotated[
    bool | None, typer.Option("--overwrite", help="Replace a file that stands there.", show_default=False)
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", help="Processes. [default: as many as there are processors]", show_default=False),
]


def vectorize(  # one parameter per option
    raster: Raster,
    *,
    out: Out = None,
    format: Format = None,  # noqa: A002  # the option's name
    confidence: Confidence = None,
    names: Names = None,
    classes: options.Classes = None,
    geometry: Geometry = None,
    min_area: options.MinArea = None,
    min_hole: options.MinHole = None,
    simplify: options.Simplify = None,
    smooth: options.Smooth = None,
    max_vertices: options.MaxVertices = None,
    max_objects: options.MaxObjects = None,
    max_gap: Gap = None,
    min_length: Length = None,
    append: Append = None,
    overwrite: Overwrite = None,
    max_pixels: options.MaxPixels = None,
    max_block: options.MaxBlock = None,
    workers: Workers = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Turn a class raster into polygons and centrelines: a styled layer per class, exact at any size.

    Objects smaller than --min-area go to the neighbour they border most, and what moved is told.
    """
    given = {key: value for key, value in locals().items() if key not in {"raster", "config", "as_json"}}
    from segflow.cli.console import watch
    from segflow.configs.loader import load_settings
    from segflow.configs.vectors import VectorizeSettings
    from segflow.flows.vectorize.vectorize import vectorize as run

    settings = load_settings(VectorizeSettings, file=config, environment=os.environ, options=given)
    with watch() as progress:
        done = run(raster, settings, progress)
    typer.echo(json.dumps(done.as_dict(), indent=2) if as_json else done.describe())
