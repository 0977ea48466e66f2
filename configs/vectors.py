"""Settings of `segflow vectorize`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from segflow.configs.fields import settings_class
from segflow.configs.kinds import ClassNames, Count, Geometries
from segflow.configs.limits import MaxBlock, MaxPixels, Sidecars
from segflow.configs.setting import NOTHING, PRODUCTS, Panel, Setting
from segflow.configs.vector_rules import VectorRules


@settings_class
@dataclass(frozen=True, slots=True, kw_only=True)
class VectorizeSettings(VectorRules):
    """What vectorising may be told; every field is an option, a YAML key and a variable ``SEGFLOW_…``."""

    out: Annotated[
        str | None,
        Setting(
            NOTHING,
            Panel.WHAT,
            "File to write.",
            unset="SCENE.gpkg beside the raster",
            short="-o",
            metavar="FILE",
        ),
    ] = None
    format: Annotated[
        Literal["gpkg", "flatgeobuf", "geoparquet"] | None,
        Setting(PRODUCTS, Panel.WHAT, "gpkg, flatgeobuf or geoparquet.", unset="by the suffix of --out"),
    ] = None
    confidence: Annotated[
        str | None,
        Setting(
            PRODUCTS,
            Panel.WHAT,
            "Raster of confidences [%].",
            unset="SCENE_confidence.tif beside the raster",
            metavar="FILE",
        ),
    ] = None
    names: Annotated[
        ClassNames | None,
        Setting(PRODUCTS, Panel.WHAT, "Names of values: 0=other,1=forest.", unset="the raster's"),
    ] = None
    geometry: Annotated[
        Geometries | None,
        Setting(PRODUCTS, Panel.WHAT, "polygon, line or none by class: road=line,other=none.", unset="polygon"),
    ] = None
    append: Annotated[bool, Setting(PRODUCTS, Panel.WHAT, "Add to a GeoPackage that stands there.")] = False
    overwrite: Annotated[bool, Setting(NOTHING, Panel.WHAT, "Replace a file that stands there.")] = False
    sidecars: Sidecars = False
    max_pixels: MaxPixels = None
    max_block: MaxBlock = None
    workers: Annotated[
        Count | None, Setting(NOTHING, Panel.HOW, "Processes.", unset="as many as there are processors")
    ] = None
