"""`segflow model …`: what models there are, what they need and promise, and how they come and go."""

import json
from pathlib import Path
from typing import Annotated

import typer

from segflow.cli import options

app = typer.Typer(
    help="List and show models, import weights of other tools, export to ONNX and STAC, write model cards.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="Shipped model by name, or a .safetensors file.", show_default=False)]


@app.command("list")
def list_models(*, as_json: options.Json = False) -> None:
    """List the models that come with segflow."""
    from segflow.flows.models.lookup import find_model, list_text, shipped_models

    found = [find_model(name) for name in shipped_models()]
    typer.echo(json.dumps([json.loads(m.spec.to_json()) for m in found], indent=2) if as_json else list_text(found))


@app.command("show")
def show_model(name: Name, *, as_json: options.Json = False) -> None:
    """Show what a model needs (bands, dtype, resolution), gives (classes) and promises (margin, scores)."""
    from segflow.flows.models.lookup import find_model, show_text

    found = find_model(name)
    typer.echo(json.dumps(json.loads(found.spec.to_json()), indent=2) if as_json else show_text(found))


@app.command("architectures")
def list_architectures(
    names: Annotated[list[str] | None, typer.Argument(help="Only these. [default: all]", show_default=False)] = None,
    *,
    as_json: options.Json = False,
) -> None:
    """List the networks that can be trained: parameters, stride, measured dependency, guarantee."""
    from segflow.flows.models.architectures import architectures_text, describe_architectures

    found = describe_architectures(names or None)
    typer.echo(json.dumps([info.as_dict() for info in found], indent=2) if as_json else architectures_text(found))


@app.command("import")
def import_weights(
    checkpoint: Annotated[
        Path, typer.Argument(help=".pt, .pth, .ckpt of torch.save, .safetensors, or .onnx.", show_default=False)
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Model file to write. [default: the checkpoint's name]", metavar="NAME.safetensors"
        ),
    ] = None,
    spec: Annotated[
        Path | None,
        typer.Option(help="YAML that describes the model: architecture, bands, classes, …", metavar="SPEC.yaml"),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(help="Instead: a model with the same network, bands and classes.", metavar="MODEL"),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the new model. [default: by --spec or --out]")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model file if it is there.")] = False,
    as_json: options.Json = False,
) -> None:
    """Package weights of another tool as a model file.

    An ONNX graph is kept as it is, and described by its metadata (the keys of QGIS's plugin Deepness) or by --spec.
    The checkpoint is checked before it is read and never run; stride, margin and guarantee are measured.
    """
    from segflow.flows.models.importing import import_model
    from segflow.flows.models.lookup import show_text

    out = out or Path(f"{checkpoint.stem}.safetensors")
    made = import_model(checkpoint, out, spec=spec, like=like, name=name, overwrite=overwrite)
    typer.echo(json.dumps(json.loads(made.spec.to_json()), indent=2) if as_json else show_text(made))


@app.command("export")
def export_model(
    name: Name,
    *,
    onnx: Annotated[
        Path | None,
        typer.Option(help="Write ONNX, with the metadata that QGIS's plugin Deepness reads.", metavar="OUT.onnx"),
    ] = None,
    stac: Annotated[
        Path | None, typer.Option(help="Write a STAC item with the MLM extension.", metavar="OUT.json")
    ] = None,
    tile: Annotated[
        int | None, typer.Option(help="ONNX: side of the input [px]. [default: by the model's margin]", min=1)
    ] = None,
    any_size: Annotated[
        bool, typer.Option("--any-size", help="ONNX: input of any height and width; not for Deepness.")
    ] = False,
    logits: Annotated[bool, typer.Option("--logits", help="ONNX: give logits; not for Deepness.")] = False,
) -> None:
    """Export a model for other tools: ONNX, a STAC item, or both."""
    from segflow.flows.models.exports import OnnxOptions, export_onnx, export_stac

    if onnx is None and stac is None:
        msg = "give --onnx OUT.onnx, --stac OUT.json, or both"
        raise typer.BadParameter(msg)
    if onnx is not None:
        export_onnx(name, onnx, OnnxOptions(tile=tile, free=any_size, output="logits" if logits else "probabilities"))
        typer.echo(onnx)
    if stac is not None:
        export_stac(name, stac)
        typer.echo(stac)


@app.command("card")
def model_card(
    name: Name,
    *,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write it there.", metavar="CARD.md")] = None,
) -> None:
    """Write the model card: input, classes, guarantee, scores, calibration, training, limits, licence."""
    from segflow.flows.models.exports import write_card

    text = write_card(name, out)
    typer.echo(text if out is None else out, nl=out is not None)
