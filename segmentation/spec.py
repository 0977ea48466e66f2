"""What a model needs and promises: the `ModelSpec` that travels with its weights."""

import json
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, get_args

from segflow.errors import ModelError
from segflow.tiling import NODATA

FORMAT_VERSION = 1  # of the JSON in a model file; raised when a field changes its meaning

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)  # shares of training pixels; see `BandSpec.quantiles`

ONNX = "onnx"  # architecture of a model that is the graph of another tool, see `segmentation.predict.onnx_engine`

Geometry = Literal["polygon", "line", "none"]
Guarantee = Literal["exact", "bounded", "unbounded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BandSpec:
    """One input band and its scaling: the network sees ``(pixel - mean) / std``.

    Attributes
    ----------
    name
        Common name of the band, as in STAC: ``red``, ``nir``, …
    mean, std
        Statistics of the training scenes [unit of the pixels]; never of the tile at hand.
    scale, offset
        What a pixel means: scale × pixel + offset [reflectance, or the band's own unit], as the training scenes
        declared it; a scale of None where nothing is known of it.
    quantiles
        Values of the training pixels [unit of the pixels] at the shares `QUANTILES`; empty where not measured.
    medians
        Lowest and highest median of a training scene [unit of the pixels]; empty where not measured.
    """

    name: str
    mean: float
    std: float
    scale: float | None = None
    offset: float = 0.0
    quantiles: tuple[float, ...] = ()
    medians: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", unicodedata.normalize("NFC", self.name))
        if not self.name or not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std > 0):
            msg = f"a band needs a name, a finite mean and a positive, finite std, got {self}"
            raise ModelError(msg)
        if not math.isfinite(self.offset) or (self.scale is not None and not 0 < abs(self.scale) < math.inf):
            msg = f"band {self.name}: scale and offset must be finite numbers, the scale not 0, got {self}"
            raise ModelError(msg)
        if self.quantiles and (len(self.quantiles) != len(QUANTILES) or list(self.quantiles) != sorted(self.quantiles)):
            msg = f"band {self.name}: needs {len(QUANTILES)} quantiles that rise, got {self.quantiles}"
            raise ModelError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSpec:
    """One class of the map.

    Attributes
    ----------
    value
        Its value in class rasters and its channel in the logits.
    name, colour
        What the legend shows; the colour as ``#rrggbb``.
    geometry
        What it becomes in the GeoPackage.
    """

    value: int
    name: str
    colour: str
    geometry: Geometry = "polygon"

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", unicodedata.normalize("NFC", self.name))
        digits = self.colour.removeprefix("#")
        if len(digits) != 6 or len(self.colour) != 7 or set(digits.lower()) - set("0123456789abcdef"):  # noqa: PLR2004
            msg = f"class {self.name}: a colour reads #rrggbb, got {self.colour!r}"
            raise ModelError(msg)
        if self.geometry not in get_args(Geometry):
            msg = f"class {self.name}: geometry must be one of {get_args(Geometry)}, got {self.geometry!r}"
            raise ModelError(msg)

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour as (red, green, blue), each 0–255."""
        r, g, b = bytes.fromhex(self.colour[1:])
        return r, g, b


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """Everything about a model but its weights.

    Attributes
    ----------
    architecture, arguments
        Name in the registry of networks, and what its builder is called with.
    bands
        Input bands in the order of the network's input channels.
    dtype
        Data type of the pixels it was trained on.
    display
        Whether those are display values: whole numbers from 0 to 255 of a picture, which saturate.
    gsd, gsd_range
        Ground sampling distance of the training scenes, and the range it accepts [m].
    classes
        Classes in the order of the logits; their values count from 0.
    stride, dependency, margin
        Total downsampling, farthest input pixel that a logit depends on, and the margin
        that tiles use [px]; measured by `segflow.segmentation.probe`.
    guarantee
        ``exact``: the margin covers the dependency; ``bounded``: it does not, and
        `worst_difference` says by how much; ``unbounded``: the dependency has no bound.
    worst_difference, worst_difference_data
        Largest difference of a class probability between tiles and a whole pass, measured when a
        bounded model was packaged, and what it was measured on; None and empty where it was not measured.
    core
        Side of a tile's core that the model runs well with [px].
    bfloat16_changes
        Share of pixels whose class bfloat16 changes, or None where it was not measured.
    temperature
        What logits are divided by before the softmax, so that confidence means accuracy; fitted
        on validation scenes by `segflow.segmentation.scores.calibration`. 1 for a model without.
    metrics, data, licence, provenance
        Scores and what they were measured on, training data, licence, and how it came to be.
    input_size
        Height and width of the input [px] of a network that takes no other; None: any multiple of the stride.
    """

    name: str
    version: str
    architecture: str
    arguments: Mapping[str, Any]
    bands: tuple[BandSpec, ...]
    dtype: str
    gsd: float
    gsd_range: tuple[float, float]
    classes: tuple[ClassSpec, ...]
    stride: int
    dependency: int | None
    margin: int
    guarantee: Guarantee
    worst_difference: float | None = None
    worst_difference_data: str = ""
    core: int = 1024
    bfloat16_changes: float | None = None
    temperature: float = 1.0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    data: str = ""
    licence: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    display: bool = False
    input_size: int | None = None

    def __post_init__(self) -> None:
        if not self.bands or not self.classes:
            msg = f"model {self.name}: needs at least one band and one class"
            raise ModelError(msg)
        if [c.value for c in self.classes] != list(range(len(self.classes))) or len(self.classes) >= NODATA:
            msg = f"model {self.name}: class values must count from 0 to at most {NODATA - 2}"
            raise ModelError(msg)
        if len({c.name for c in self.classes}) < len(self.classes):
            msg = f"model {self.name}: class names must differ, got {[c.name for c in self.classes]}"
            raise ModelError(msg)
        if self.guarantee not in get_args(Guarantee):
            msg = f"model {self.name}: guarantee must be one of {get_args(Guarantee)}, got {self.guarantee!r}"
            raise ModelError(msg)
        if self.guarantee == "exact" and (self.dependency is None or self.margin < self.dependency):
            msg = (
                f"model {self.name}: margin {self.margin} px does not cover the dependency "
                f"{self.dependency} px, so it is not exact"
            )
            raise ModelError(msg)
        if self.stride < 1 or self.margin < 0 or self.core < 1:
            msg = f"model {self.name}: stride, margin and core are out of range"
            raise ModelError(msg)
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            msg = f"model {self.name}: the temperature must be a positive number, got {self.temperature!r}"
            raise ModelError(msg)
        if self.input_size is not None and self.input_size - 2 * self.margin < self.stride:
            msg = (
                f"model {self.name}: a margin of {self.margin} px on both sides leaves nothing of its input of "
                f"{self.input_size} px: choose at most {max(0, self.input_size - self.stride) // 2}"
            )
            raise ModelError(msg)
        if self.display and self.dtype != "uint8":
            msg = f"model {self.name}: display values are uint8, got {self.dtype}"
            raise ModelError(msg)

    @property
    def is_graph(self) -> bool:
        """Whether the model is an ONNX graph of another tool, which is run as it is and cannot be trained."""
        return self.architecture == ONNX

    def to_json(self) -> str:
        """Give the spec as JSON text with sorted keys, for a model file's metadata."""
        return json.dumps({"format": FORMAT_VERSION, **asdict(self)}, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a spec from JSON text.

        Raises
        ------
        ModelError
            If the text is no JSON, of another format version, or a field is missing,
            unknown or out of range.
        """
        try:
            fields = json.loads(text)
            found = fields.pop("format")
            if found != FORMAT_VERSION:
                msg = f"model spec has format {found}, but this segflow reads {FORMAT_VERSION}: import it again"
                raise ModelError(msg)
            fields["bands"] = tuple(_read_band(band) for band in fields["bands"])
            fields["classes"] = tuple(ClassSpec(**entry) for entry in fields["classes"])
            fields["gsd_range"] = tuple(fields["gsd_range"])
            if not fields.get("worst_difference_data"):
                fields["worst_difference"] = None  # files from before it was measured hold a 0
            return cls(**fields)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, ModelError):
                raise
            msg = f"model spec cannot be read ({error}): package the model again"
            raise ModelError(msg) from error


def _read_band(fields: dict[str, Any]) -> BandSpec:
    """Read a band from JSON, which has lists and no tuples."""
    return BandSpec(**{**fields, **{name: tuple(fields.get(name, ())) for name in ("quantiles", "medians")}})
