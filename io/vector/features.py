"""Features on their way to a file: geometries as well-known binary, and their fields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import shapely
from numpy.typing import NDArray

GeometryType = Literal["Polygon", "MultiPolygon", "LineString"]
KINDS: dict[str, Literal["fill", "line"]] = {"Polygon": "fill", "MultiPolygon": "fill", "LineString": "line"}

Fields = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorLayer:
    """One layer of a vector file.

    Attributes
    ----------
    name
        Shown name; the table is named alike, see `table_name`.
    geometry_type
        Of all its features.
    rgb
        Colour it is drawn in, each 0–255.
    description
        One line about it.
    qml
        Its style as QGIS writes it; None: one colour.
    """

    name: str
    geometry_type: GeometryType
    rgb: tuple[int, int, int]
    description: str = ""
    qml: str | None = None

    def __post_init__(self) -> None:
        if self.geometry_type not in KINDS:
            msg = f"layer {self.name}: geometry type must be one of {tuple(KINDS)}, got {self.geometry_type!r}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureBatch:
    """Features of one layer.

    Attributes
    ----------
    wkb
        (bytes,) uint8 array: the geometries, one after the other.
    offsets
        (n + 1,) int64 array: where each begins.
    boxes
        (n, 4) float64 array: least x and y, largest x and y.
    fields
        (n,) arrays by name: bool, integer, float (NaN is no value) or str.
    """

    wkb: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    boxes: NDArray[np.float64]
    fields: Fields

    def __len__(self) -> int:
        """Give the number of features."""
        return len(self.boxes)

    @classmethod
    def of(cls, geometries: NDArray[np.object_], fields: Fields) -> Self:
        """Give the features of shapely geometries."""
        wkb = [bytes(one) for one in shapely.to_wkb(np.asarray(geometries, object))]
        return cls(
            wkb=np.frombuffer(b"".join(wkb), np.uint8),
            offsets=np.cumsum([0, *map(len, wkb)], dtype=np.int64),
            boxes=shapely.bounds(np.asarray(geometries, object)).reshape(-1, 4),
            fields=fields,
        )

    def geometries(self) -> list[bytes]:
        """Give the geometries one by one."""
        data, offsets = self.wkb.tobytes(), self.offsets.tolist()
        return [data[offsets[i] : offsets[i + 1]] for i in range(len(self))]


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeFeature:
    """One feature that is too large for memory.

    Attributes
    ----------
    read
        Gives so many bytes of its geometry from a place.
    size
        Of the geometry [bytes].
    box
        (4,) float64 array: least x and y, largest x and y.
    fields
        (1,) arrays by name.
    """

    read: Callable[[int, int], bytes]
    size: int
    box: NDArray[np.float64]
    fields: Fields
