"""`segflow evaluate` and `segflow sample`: how good a map is, and how that may be found out."""

import json
from pathlib import Path
from typing import Annotated

import typer

from segflow.cli import options
from segflow.configs.run import RunSettings

_PIPE = 120  # columns where no terminal says how wide it is

Map = Annotated[
    Path, typer.Argument(help="A class raster of any tool, or a folder of products, OUT/SCENE.", show_default=False)
]
Reference = Annotated[
    str,
    typer.Argument(
        help="The truth: a label raster on the map's grid, a vector file of polygons, "
        "or reference points (vector file, or CSV with lon, lat or x, y).",
        show_default=False,
    ),
]
ClassField = Annotated[
    str | None,
    typer.Option("--class-field", help="Field of a vector reference that says the class. [default for points: class]"),
]
ClassValue = Annotated[
    list[str] | None,
    typer.Option(
        "--class-value", help="What an entry or value of the reference means: water=2, or 7=255 to ignore it."
    ),
]
Background = Annotated[
    int, typer.Option(help="Class value of pixels outside all polygons of the reference; 255 ignores them.")
]
Resample = Annotated[
    str | None,
    typer.Option("--resample-reference", help="nearest: bring a reference raster onto the map's grid."),
]
Tile = Annotated[
    int | None, typer.Option(help="Side of the map's tiles [px], for accuracy by distance to their edges.")
]
Tolerance = Annotated[float, typer.Option(help="Tolerance of boundary F1 [px].")]
Buffer = Annotated[float, typer.Option(help="Tolerance of relaxed precision, recall and F1 [px].")]
Seed = Annotated[int, typer.Option(help="Seed of what is drawn at random.")]
OutFolder = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder of the report. [default: beside the map]", metavar="DIR")
]
AllowShift = Annotated[bool, options.option_of(RunSettings, "allow_datum_shift")]
Sidecars = Annotated[bool, options.option_of(RunSettings, "sidecars")]
MaxPixels = Annotated[int | None, options.option_of(RunSettings, "max_pixels")]
MaxBlock = Annotated[int | None, options.option_of(RunSettings, "max_block")]
Points = Annotated[int, typer.Option(help="Number of points in all; each class gets at least 50 where that allows.")]
PointsFile = Annotated[
    Path | None, typer.Option("--out", "-o", help="GeoPackage to write. [default: NAME_sample.gpkg beside the map]")
]


def evaluate(
    map_: Map,
    reference: Reference,
    *,
    class_field: ClassField = None,
    class_value: ClassValue = None,
    background: Background = 255,
    resample: Resample = None,
    tile: Tile = None,
    tolerance: Tolerance = 2.0,
    buffer: Buffer = 3.0,
    seed: Seed = 0,
    allow_datum_shift: AllowShift = False,
    sidecars: Sidecars = False,
    max_pixels: MaxPixels = None,
    max_block: MaxBlock = None,
    out: OutFolder = None,
    as_json: options.Json = False,
) -> None:
    """Compare a map with the truth: scores, boundaries, calibration, areas; as table, JSON and HTML.

    Against a raster or polygons every pixel counts; points drawn by `segflow sample` give
    accuracies and areas with 95 % confidence intervals.
    """
    from segflow.cli.console import watch
    from segflow.flows.evaluate.evaluated_map import parse_class_values
    from segflow.flows.evaluate.evaluation import run_evaluation
    from segflow.flows.evaluate.reference import EvaluateSettings

    settings = EvaluateSettings(
        class_field=class_field,
        class_values=parse_class_values(class_value or []),
        background=background,
        resample=resample,
        tile=tile,
        tolerance=tolerance,
        buffer=buffer,
        seed=seed,
        allow_datum_shift=allow_datum_shift,
        sidecars=sidecars,
        max_pixels=max_pixels,
        max_block=max_block,
    )
    with watch() as progress:
        done = run_evaluation(map_, reference, settings, out, progress)
    if as_json:
        typer.echo(json.dumps(done.result, indent=2, ensure_ascii=False))
        return
    for name, value in done.figures:
        typer.echo(f"{name:28} {value}")
    for note in done.notes:
        typer.echo(f"note: {note}")
    for table in done.tables:
        _print(table.title, table.columns, table.rows)
    typer.echo(f"report  {done.report}\nJSON    {done.json}")


def sample(
    map_: Map,
    *,
    points: Points = 500,
    seed: Seed = 0,
    sidecars: Sidecars = False,
    max_pixels: MaxPixels = None,
    max_block: MaxBlock = None,
    out: PointsFile = None,
    as_json: options.Json = False,
) -> None:
    """Draw reference points at random within each class of a map, for somebody to fill in their true class.

    Open the GeoPackage over imagery in QGIS, fill in the field `class` (name or value) without
    looking at the map, then run `segflow evaluate MAP POINTS.gpkg`.
    """
    from segflow.cli.console import watch
    from segflow.flows.evaluate.evaluation import run_sample
    from segflow.flows.evaluate.reference import EvaluateSettings

    with watch() as progress:
        drawing = EvaluateSettings(sidecars=sidecars, max_pixels=max_pixels, max_block=max_block)
        path, drawn = run_sample(map_, points, out, seed, progress, drawing)
    if as_json:
        typer.echo(json.dumps({"points": dict(drawn), "file": str(path)}, indent=2, ensure_ascii=False))
        return
    for name, count in drawn:
        typer.echo(f"{name:20} {count:6,} points")
    typer.echo(f"points  {path}")


def _print(title: str, columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for index, name in enumerate(columns):
        drawn.add_column(name, justify="right" if index else "left")
    for row in rows:
        drawn.add_row(*row)
    console = Console(markup=False, highlight=False)
    console.print(drawn, width=None if console.is_terminal else _PIPE)
