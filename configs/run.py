"""Settings of `segflow run`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

TILE_STEP = 256  # px; cores are multiples of it, and so of every stride up to 256

Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
OnTileError = Literal["fail", "nodata"]


def _split(value: object) -> object:
    """Read ``a,b,c`` from an option or a variable as a list."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _band(value: object) -> object:
    """Read a band as a number where it looks like one, else as a name."""
    return int(value) if isinstance(value, str) and value.strip().isdigit() else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split), Field(min_length=1)]
Bands = Annotated[
    tuple[Annotated[int | str, BeforeValidator(_band)], ...], BeforeValidator(_split), Field(min_length=1)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What a run may be told; every field is an option, a YAML key and a variable ``SEGFLOW_…``.

    Attributes
    ----------
    model
        Name of a shipped model, or path of a ``.safetensors`` file.
    out
        Output folder or ``s3://`` address; products lie in ``out/<scene>/``.
    work
        Folder for work in progress; None: ``out/.segflow``, for object storage one in the user's cache.
    name
        Name of the scene and its products; None: that of its file.
    mosaic
        Whether the scenes that were given are the parts of one.
    resample
        Whether a scene is read at the model's ground sampling distance instead of its own.
    tile
        Side of a tile's core [px]; None: from the model and the memory there is.
    margin
        How far a tile reads past its core [px]; None: the model's own.
    batch
        Tiles per forward pass; None: as many as fit.
    device, precision
        Where and how the network runs.
    workers
        Local worker processes; 0: inside this process.
    scheduler
        Address of an existing Dask scheduler.
    tls
        Folder of certificates, as `segflow tls init` writes it, for ``tls://`` schedulers.
    together
        Scenes that are mapped side by side.
    bands
        Bands of the scene in the order of the model's, by number or name.
    min_area, min_hole
        Smallest object, and smallest hole in one, that polygons keep [m²]; smaller ones go to their neighbours.
    simplify
        How far simplification may move an edge, shared edges kept [px]; 0: pixel-exact edges.
    smooth
        Rounds of corner cutting on shared edges.
    max_vertices
        Objects with more corners are cut along a grid; None: they stay whole.
    max_objects
        Number of objects at which a run stops, as noise has them.
    max_gap, min_length
        Of centrelines: widest gap that is bridged, and shortest network that is kept [m]; None: 10 px.
    classes
        Names of the classes to vectorise; None: all whose geometry is not ``none``.
    probabilities, vectors
        Whether to write a raster of class probabilities, and vectors.
    overwrite
        Whether products of other inputs may be replaced.
    allow_remote, sidecars
        Whether scenes may be URLs, and whether files beside the scene (``.ovr``, ``.msk``,
        ``.aux.xml``) are trusted.
    max_pixels, max_bands, max_block
        Pixels and bands that a scene may have at most, and the size of one decoded block of it [MiB];
        None: 10¹¹ px, 512 bands and 256 MiB. A file that claims more is refused before it is opened.
    on_tile_error
        ``fail`` stops at a tile that cannot be read or kills its workers; ``nodata`` leaves it empty and exits with 3.
    log_json
        File that gets one line of JSON per event; None: no log.
    """

    model: str = "forest-amazon-s2"
    out: str = "maps"
    work: str | None = None
    name: Annotated[str, Field(pattern=r"^[^/\\]+$")] | None = None
    mosaic: bool = False
    resample: bool = False
    tile: Annotated[int, Field(ge=TILE_STEP, multiple_of=TILE_STEP)] | None = None
    margin: Annotated[int, Field(ge=0)] | None = None
    batch: Annotated[int, Field(ge=1)] | None = None
    device: Device = "auto"
    precision: Precision = "auto"
    workers: Annotated[int, Field(ge=0)] = 0
    scheduler: Annotated[str, Field(pattern=r"^(tcp|tls|inproc|ws|wss|ucx)://.+")] | None = None
    tls: str | None = None
    together: Annotated[int, Field(ge=1)] = 1
    bands: Bands | None = None
    min_area: Annotated[float, Field(ge=0)] = 0.0
    min_hole: Annotated[float, Field(ge=0)] = 0.0
    simplify: Annotated[float, Field(ge=0)] = 0.0
    smooth: Annotated[int, Field(ge=0)] = 0
    max_vertices: Annotated[int, Field(ge=4)] | None = None
    max_objects: Annotated[int, Field(ge=1)] = 10_000_000
    max_gap: Annotated[float, Field(ge=0)] = 0.0
    min_length: Annotated[float, Field(ge=0)] | None = None
    classes: Names | None = None
    probabilities: bool = False
    vectors: bool = True
    overwrite: bool = False
    allow_remote: bool = False
    sidecars: bool = False
    max_pixels: Annotated[int, Field(ge=1)] | None = None
    max_bands: Annotated[int, Field(ge=1)] | None = None
    max_block: Annotated[int, Field(ge=1)] | None = None
    on_tile_error: OnTileError = "fail"
    log_json: str | None = None
