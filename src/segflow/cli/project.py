"""`segflow project`: from a folder of GeoTIFFs and a shapefile to a training, one plain step at a time."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segflow.cli import options
from segflow.configs.training import TrainSettings
from segflow.errors import SettingsError

if TYPE_CHECKING:
    from segflow.flows.project.step import ProjectStep

app = typer.Typer(
    help="Set up a training: init, add images, add labels (or labels new), show; then `segflow train DIR`.",
    no_args_is_help=True,
)
add_app = typer.Typer(help="Add scenes or labels to a project.", no_args_is_help=True)
labels_app = typer.Typer(help="Make labels where there are none yet.", no_args_is_help=True)
app.add_typer(add_app, name="add")
app.add_typer(labels_app, name="labels")

Project = Annotated[Path, typer.Option("--project", "-p", help="Folder of the project.")]
Copy = Annotated[bool, typer.Option("--copy", help="Copy the files instead of linking to where they lie.")]
AllowShift = Annotated[bool, options.option_of(TrainSettings, "allow_datum_shift")]
_HERE = Path()


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the project; it is made if it is not there.")],
    *,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Go on from this model: its classes, bands and network.")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(help="What to tell apart: 0:other,1:forest:#1b7837 (values and colours may be left out)."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Make a folder a project: write project.yaml, whose comments say what each setting does."""
    from segflow.flows.project.start import init_project

    _answer(init_project(folder, model=model, classes=classes), as_json=as_json)


@add_app.command("images")
def images(
    files: Annotated[list[Path], typer.Argument(help="GeoTIFFs; their names without suffix tell them apart.")],
    *,
    project: Project = _HERE,
    copy: Copy = False,
    as_json: options.Json = False,
) -> None:
    """Add scenes, once they agree in bands, data type and resolution; they are linked, not copied."""
    from segflow.flows.project.start import add_images

    _answer(add_images(project, files, copy=copy), as_json=as_json)


@add_app.command("labels")
def labels(
    files: Annotated[
        list[str], typer.Argument(help="A vector file (FILE.gpkg|layername=NAME), or rasters named like the scenes.")
    ],
    *,
    project: Project = _HERE,
    class_field: Annotated[str | None, typer.Option(help="Field of the vector file that says the class.")] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="ENTRY=CLASS", help="What an entry means: --map trees=forest --map 9=ignore."),
    ] = None,
    background: Annotated[
        str | None, typer.Option(help="Class of all land without a label; without this it is ignored.")
    ] = None,
    allow_datum_shift: AllowShift = False,
    copy: Copy = False,
    as_json: options.Json = False,
) -> None:
    """Learn from labels that exist: check them against the scenes and say what they hold."""
    from segflow.flows.project.labels import add_labels

    step = add_labels(
        project,
        files,
        field=class_field,
        classes=_parse(mapping or []),
        background=background,
        allow_datum_shift=allow_datum_shift,
        copy=copy,
    )
    _answer(step, as_json=as_json)


@labels_app.command("new")
def new(*, project: Project = _HERE, as_json: options.Json = False) -> None:
    """Write an empty GeoPackage for digitising in QGIS, with colours and a list of the classes."""
    from segflow.flows.project.labels import new_labels

    _answer(new_labels(project), as_json=as_json)


@app.command()
def show(
    folder: Annotated[Path | None, typer.Argument(help="Folder of the project.")] = None,
    *,
    project: Project = _HERE,
    as_json: options.Json = False,
) -> None:
    """Show scenes, labels, shares of the classes and the split; changes nothing."""
    from segflow.flows.project.state import show_project

    _answer(show_project(folder or project), as_json=as_json)


def _parse(texts: list[str]) -> dict[str, str]:
    pairs = [text.rpartition("=") for text in texts]
    wrong = [text for text, (entry, _, name) in zip(texts, pairs, strict=True) if not entry or not name]
    if wrong:
        msg = f"--map {wrong[0]!r}: needs ENTRY=CLASS, such as --map trees=forest"
        raise SettingsError(msg)
    return {entry: name for entry, _, name in pairs}


def _answer(step: "ProjectStep", *, as_json: bool) -> None:
    typer.echo(json.dumps(step.as_dict(), indent=2) if as_json else step.describe())
