"""Options of the command line, each defined once; a value of None means: not given."""

from pathlib import Path
from typing import Annotated, Any

import typer


def _option(*names: str, help: str, panel: str, **more: Any) -> Any:  # noqa: A002, ANN401  # typer's own words
    return typer.Option(*names, help=help, rich_help_panel=panel, show_default=False, **more)


Scenes = Annotated[
    list[str],
    typer.Argument(help="GeoTIFFs, plain VRTs, folders of one-band files, STAC items.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, nothing else on standard output.")]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="YAML file of settings; options on the command line win.", metavar="FILE"),
]

Model = Annotated[
    str | None,
    _option(
        "--model", "-m", help="Shipped model by name, or a .safetensors file. [default: forest-amazon-s2]", panel="What"
    ),
]
Out = Annotated[
    str | None,
    _option(
        "--out",
        "-o",
        help="Output folder, or an address s3://bucket/prefix. [default: maps]",
        panel="What",
        metavar="DIR",
    ),
]
Work = Annotated[
    str | None,
    _option(
        "--work",
        help="Folder for work in progress. [default: OUT/.segflow, for s3:// in ~/.cache]",
        panel="How",
        metavar="DIR",
    ),
]
Name = Annotated[
    str | None, _option("--name", help="Name of the scene and its products. [default: its file's]", panel="What")
]
Mosaic = Annotated[
    bool | None, _option("--mosaic", help="Take the scenes given as the parts of one, on one grid.", panel="What")
]
Resample = Annotated[
    bool | None,
    _option("--resample", help="Read scenes at the model's resolution; products get it too.", panel="What"),
]
Bands = Annotated[
    str | None,
    _option("--bands", help="Bands in the model's order, by number or name: 1,2,3 or red,green,blue.", panel="What"),
]
Tile = Annotated[
    int | None,
    _option(
        "--tile", help="Side of a tile's core [px], a multiple of 256. [default: by model and memory]", panel="How"
    ),
]
Margin = Annotated[
    int | None, _option("--margin", help="How far tiles read past their core [px]. [default: the model's]", panel="How")
]
Batch = Annotated[int | None, _option("--batch", help="Tiles per forward pass. [default: what fits]", panel="How")]
Device = Annotated[str | None, _option("--device", help="auto, cpu, cuda or cuda:1. [default: auto]", panel="How")]
Precision = Annotated[
    str | None, _option("--precision", help="auto, float32, bfloat16 or float16. [default: auto]", panel="How")
]
Workers = Annotated[
    int | None,
    _option("--workers", help="Worker processes on this machine; 0 stays in this process. [default: 0]", panel="How"),
]
Scheduler = Annotated[
    str | None, _option("--scheduler", help="Address of a running Dask scheduler, tcp://host:8786.", panel="How")
]
Tls = Annotated[
    str | None,
    _option("--tls", help="Folder of certificates, as `segflow tls init` writes it.", panel="How", metavar="DIR"),
]
Together = Annotated[
    int | None, _option("--together", help="Scenes that are mapped side by side. [default: 1]", panel="How")
]
LogJson = Annotated[
    str | None,
    _option("--log-json", help="Write one line of JSON per event to this file.", panel="How", metavar="FILE"),
]
MinArea = Annotated[
    float | None,
    _option(
        "--min-area", help="Give objects smaller than this to the neighbour they border most [m²].", panel="Vectors"
    ),
]
MinHole = Annotated[
    float | None,
    _option("--min-hole", help="Fill holes smaller than this, whatever lies in them [m²].", panel="Vectors"),
]
Simplify = Annotated[
    float | None,
    _option("--simplify", help="Simplify edges; shared ones stay shared, none moves farther [px].", panel="Vectors"),
]
Smooth = Annotated[
    int | None, _option("--smooth", help="Round corners so many times; shared edges stay shared.", panel="Vectors")
]
MaxVertices = Annotated[
    int | None,
    _option("--max-vertices", help="Cut polygons with more corners along a grid. [default: whole]", panel="Vectors"),
]
MaxObjects = Annotated[
    int | None,
    _option("--max-objects", help="Stop at more objects, as noise has them. [default: 10,000,000]", panel="Vectors"),
]
MaxGap = Annotated[
    float | None,
    _option("--max-gap", help="Centrelines: bridge gaps up to this between aligned ends [m].", panel="Vectors"),
]
MinLength = Annotated[
    float | None,
    _option(
        "--min-length",
        help="Centrelines: leave out networks shorter than this [m]. [default: 10 px]",
        panel="Vectors",
    ),
]
Classes = Annotated[str | None, _option("--classes", help="Classes to vectorise: forest,water.", panel="Vectors")]
Vectors = Annotated[
    bool | None, _option("--vectors/--no-vectors", help="Write the GeoPackage. [default: yes]", panel="Vectors")
]
Probabilities = Annotated[
    bool | None,
    _option("--probabilities/--no-probabilities", help="Write a raster of class probabilities.", panel="What"),
]
Overwrite = Annotated[
    bool | None, _option("--overwrite", help="Replace products of another scene, model or setting.", panel="What")
]
AllowRemote = Annotated[bool | None, _option("--allow-remote", help="Let scenes be URLs.", panel="Trust")]
Sidecars = Annotated[
    bool | None, _option("--sidecars", help="Trust .ovr, .msk and .aux.xml files beside the scene.", panel="Trust")
]
MaxPixels = Annotated[
    int | None,
    _option("--max-pixels", help="Refuse scenes with more pixels. [default: 100,000,000,000]", panel="Trust"),
]
MaxBands = Annotated[
    int | None, _option("--max-bands", help="Refuse scenes with more bands. [default: 512]", panel="Trust")
]
MaxBlock = Annotated[
    int | None,
    _option("--max-block", help="Refuse scenes with larger blocks once decoded [MiB]. [default: 256]", panel="Trust"),
]
OnTileError = Annotated[
    str | None,
    _option(
        "--on-tile-error",
        help="fail, or nodata: leave unreadable tiles empty and exit with 3. [default: fail]",
        panel="Trust",
    ),
]
