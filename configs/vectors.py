"""Settings of `segflow vectorize`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from segflow.configs.run import Names


def _pairs(value: object) -> object:
    """Read ``a=b,c=d`` from an option or a variable as a mapping."""
    if not isinstance(value, str):
        return value
    parts = [part.partition("=") for part in value.split(",") if part.strip()]
    return {key.strip(): text.strip() for key, _, text in parts}


ClassNames = Annotated[dict[int, str], BeforeValidator(_pairs)]
Geometries = Annotated[dict[str, Literal["polygon", "line", "none"]], BeforeValidator(_pairs)]


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorizeSettings:
    """What vectorising may be told; every field is an option, a YAML key and a variable ``SEGFLOW_…``.

    Attributes
    ----------
    out
        File to write; None: beside the raster, by its name.
    format
        Format of the file; None: by the suffix of `out`, else a GeoPackage.
    confidence
        Raster of confidences [%]; None: that beside the class raster, if there is one.
    names
        Names of values; None: as the raster says.
    classes
        Names or values of the classes to vectorise; None: all.
    geometry
        ``polygon``, ``line`` or ``none`` by name of class; polygons without an entry.
    min_area, min_hole, simplify, smooth, max_vertices, max_objects
        As in `RunSettings`.
    max_gap, min_length
        Of centrelines: gaps that are bridged, and shortest networks that are kept [m].
    append, overwrite
        Whether a file that stands there is added to, or replaced.
    max_pixels, max_block
        How large the raster may be, as in `RunSettings`.
    workers
        Processes; None: as many as there are processors.
    """

    out: str | None = None
    format: Literal["gpkg", "flatgeobuf", "geoparquet"] | None = None
    confidence: str | None = None
    names: ClassNames | None = None
    classes: Names | None = None
    geometry: Geometries | None = None
    min_area: Annotated[float, Field(ge=0)] = 0.0
    min_hole: Annotated[float, Field(ge=0)] = 0.0
    simplify: Annotated[float, Field(ge=0)] = 0.0
    smooth: Annotated[int, Field(ge=0)] = 0
    max_vertices: Annotated[int, Field(ge=4)] | None = None
    max_objects: Annotated[int, Field(ge=1)] = 10_000_000
    max_gap: Annotated[float, Field(ge=0)] = 0.0
    min_length: Annotated[float, Field(ge=0)] | None = None
    append: bool = False
    overwrite: bool = False
    max_pixels: Annotated[int, Field(ge=1)] | None = None
    max_block: Annotated[int, Field(ge=1)] | None = None
    workers: Annotated[int, Field(ge=0)] | None = None
