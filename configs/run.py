"""Settings of `segflow run`, and of all commands that map scenes."""

from dataclasses import dataclass
from typing import Annotated, Literal

from segflow.configs.fields import settings_class
from segflow.configs.kinds import Bands, Chance, Count, Device, Ends, Limits, Masks, Positive, SceneName
from segflow.configs.limits import AllowDatumShift, MaxBands, MaxBlock, MaxPixels, Sidecars
from segflow.configs.setting import NOTHING, PIXELS, PRODUCTS, Panel, Setting
from segflow.configs.vector_rules import VectorRules

TILE_STEP = 256  # px; cores are multiples of it, and so of every stride up to 256

Core = Annotated[int, Limits(ge=TILE_STEP, multiple_of=TILE_STEP)]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Uncertainty = Literal["entropy", "margin"]
OnTileError = Literal["fail", "nodata"]
SchedulerAddress = Annotated[str, Limits(pattern=r"^(tcp|tls|inproc|ws|wss|ucx)://.+")]


@settings_class
@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings(VectorRules):
    """What a run may be told; every field is an option, a YAML key and a variable ``SEGFLOW_…``.

    What changes pixels is part of the run's key, see `run_key`; what changes products, of their digest.
    """

    model: Annotated[str, Setting(PIXELS, Panel.WHAT, "Shipped model by name, or a .safetensors file.", short="-m")] = (
        "forest-amazon-s2"
    )
    out: Annotated[
        str,
        Setting(NOTHING, Panel.WHAT, "Output folder, or an address s3://bucket/prefix.", short="-o", metavar="DIR"),
    ] = "maps"
    name: Annotated[  # decides no pixel, but whose work lies under the key: equal scenes of two names stay apart
        SceneName | None,
        Setting(PIXELS, Panel.WHAT, "Name of the scene and its products.", unset="its file's"),
    ] = None
    mosaic: Annotated[bool, Setting(PIXELS, Panel.WHAT, "Take the scenes given as the parts of one, on one grid.")] = (
        False
    )
    resample: Annotated[
        bool, Setting(PIXELS, Panel.WHAT, "Read scenes at the model's resolution; products get it too.")
    ] = False
    bands: Annotated[
        Bands | None,
        Setting(
            PIXELS,
            Panel.WHAT,
            "Bands in the model's order, by number or name: 1,2,3 or red,green,blue.",
            unset="by name, else in their order",
        ),
    ] = None
    aoi: Annotated[
        str | None,
        Setting(
            PIXELS,
            Panel.SCENE,
            "Map only inside the polygons of this vector file, of any CRS; FILE.gpkg|layername=NAME names a layer.",
            metavar="FILE",
        ),
    ] = None
    mask: Annotated[
        Masks | None,
        Setting(
            PIXELS,
            Panel.SCENE,
            "Make clouds and the like nodata: scl (Sentinel-2), qa_pixel (Landsat), fmask (HLS) as they come with the "
            "scene, scl=FILE, or any raster of whole numbers; after a colon what to mask: clouds.tif:1,5-7 or "
            "scl:cloud,cirrus. Several are parted by semicolons.",
            metavar="MASK",
        ),
    ] = None
    nodata: Annotated[
        float | None,
        Setting(PIXELS, Panel.SCENE, "Pixels with this value in any band are nodata, besides what the files declare."),
    ] = None
    alpha: Annotated[
        bool,
        Setting(PIXELS, Panel.SCENE, "Whether a band tagged as alpha masks, or is a band like others.", negative=True),
    ] = True
    rescale: Annotated[
        Ends | None,
        Setting(
            PIXELS,
            Panel.SCENE,
            "Stored values that become 0 and 255 of a model of display values, else reflectance 0 and 1.",
            unset="by declared scale and offset",
            metavar="LOW:HIGH",
        ),
    ] = None
    as_stored: Annotated[
        bool,
        Setting(PIXELS, Panel.SCENE, "Give the model the numbers as they are stored, whatever scale they declare."),
    ] = False
    max_shift: Annotated[
        Chance | None,
        Setting(
            NOTHING,
            Panel.SCENE,
            "Refuse scenes of whose pixels a larger share is unlike those that the model was trained on.",
            unset="warn",
        ),
    ] = None
    probabilities: Annotated[
        bool, Setting(PIXELS, Panel.WHAT, "Write a raster of class probabilities.", negative=True)
    ] = False
    uncertainty: Annotated[
        Uncertainty | None,
        Setting(
            PIXELS,
            Panel.WHAT,
            "Write a raster of how uncertain each pixel is, 0 to 1: entropy or margin.",
            unset="none",
        ),
    ] = None
    overwrite: Annotated[bool, Setting(NOTHING, Panel.WHAT, "Replace products of another scene, model or setting.")] = (
        False
    )
    tile: Annotated[
        Core | None,
        Setting(
            PIXELS,
            Panel.HOW,
            "Side of a tile's core [px], a multiple of 256.",
            unset="by model and memory",
        ),
    ] = None
    margin: Annotated[
        Count | None,
        Setting(PIXELS, Panel.HOW, "How far tiles read past their core [px].", unset="the model's"),
    ] = None
    batch: Annotated[Positive | None, Setting(NOTHING, Panel.HOW, "Tiles per forward pass.", unset="what fits")] = None
    device: Annotated[Device, Setting(PIXELS, Panel.HOW, "auto, cpu, cuda or cuda:1.")] = "auto"
    precision: Annotated[Precision, Setting(PIXELS, Panel.HOW, "auto, float32, bfloat16 or float16.")] = "auto"
    workers: Annotated[
        Count, Setting(NOTHING, Panel.HOW, "Worker processes on this machine; 0 stays in this process.")
    ] = 0
    scheduler: Annotated[  # its machines decide what a device of `auto` becomes
        SchedulerAddress | None,
        Setting(PIXELS, Panel.HOW, "Address of a running Dask scheduler, tcp://host:8786."),
    ] = None
    tls: Annotated[
        str | None,
        Setting(NOTHING, Panel.HOW, "Folder of certificates, as `segflow tls init` writes it.", metavar="DIR"),
    ] = None
    together: Annotated[Positive, Setting(NOTHING, Panel.HOW, "Scenes that are mapped side by side.")] = 1
    work: Annotated[
        str | None,
        Setting(
            NOTHING,
            Panel.HOW,
            "Folder for work in progress.",
            unset="OUT/.segflow, for s3:// in ~/.cache",
            metavar="DIR",
        ),
    ] = None
    log_json: Annotated[
        str | None,
        Setting(NOTHING, Panel.HOW, "Write one line of JSON per event to this file.", metavar="FILE"),
    ] = None
    vectors: Annotated[bool, Setting(PRODUCTS, Panel.VECTORS, "Write the GeoPackage.", negative=True)] = True
    allow_remote: Annotated[bool, Setting(NOTHING, Panel.TRUST, "Let scenes be URLs.")] = False
    sidecars: Sidecars = False
    allow_datum_shift: AllowDatumShift = False
    max_pixels: MaxPixels = None
    max_bands: MaxBands = None
    max_block: MaxBlock = None
    on_tile_error: Annotated[  # what is damaged stands in the journal and in the item, and is looked at there
        OnTileError,
        Setting(NOTHING, Panel.TRUST, "fail, or nodata: leave unreadable tiles empty and exit with 3."),
    ] = "fail"
