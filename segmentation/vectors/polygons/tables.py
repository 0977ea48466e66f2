"""Polygons with their fields."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import shapely
from numpy.typing import NDArray

from segflow.segmentation.vectors.polygons.finishing import Finished
from segflow.segmentation.vectors.polygons.objects import StoredObjects
from segflow.segmentation.vectors.polygons.packed_corners import unpack
from segflow.tiling import Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonTable:
    """Polygons and their fields, (n,) arrays.

    Attributes
    ----------
    geometry
        Polygons in world coordinates: outlines counterclockwise, holes clockwise, each from
        the upper left one of its corners in the raster.
    class_id
        uint8: the class.
    first_px
        int64: row-major index in the scene of the object's first pixel; no two objects of a scene share it.
    n_px
        int64: number of pixels.
    confidence_mean, confidence_min
        float64: of the pixels' confidences, 0 … 1.
    touches_edge, touches_nodata
        bool: a pixel lies on the scene's edge, or has a nodata pixel above, below, left or right of it.
    area_m2, perimeter_m
        float64: on the ellipsoid, the perimeter with that of holes [m², m]; NaN without a CRS.
    """

    geometry: NDArray[np.object_]
    class_id: NDArray[np.uint8]
    first_px: NDArray[np.int64]
    n_px: NDArray[np.int64]
    confidence_mean: NDArray[np.float64]
    confidence_min: NDArray[np.float64]
    touches_edge: NDArray[np.bool_]
    touches_nodata: NDArray[np.bool_]
    area_m2: NDArray[np.float64]
    perimeter_m: NDArray[np.float64]

    def __len__(self) -> int:
        """Give the number of polygons."""
        return len(self.geometry)

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """Give the polygons of an index or a mask."""
        return type(self)(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    @classmethod
    def of(cls, tables: Iterable[Self]) -> Self:
        """Give the polygons of all tables, of which there is at least one, by class and first pixel."""
        tables = list(tables)
        table = cls(**{f.name: np.concatenate([getattr(t, f.name) for t in tables]) for f in fields(cls)})
        return table.take(np.lexsort((table.first_px, table.class_id)))


def build_table(objects: StoredObjects, finished: Finished, grid: Grid) -> PolygonTable:
    """Put objects and their polygons together."""
    corner = unpack(objects.first).astype(np.int64)
    stats = objects.statistics
    data = finished.wkb.tobytes()
    bounds = zip(finished.offsets[:-1].tolist(), finished.offsets[1:].tolist(), strict=True)
    wkb = np.array([data[begin:end] for begin, end in bounds], object)
    return PolygonTable(
        geometry=np.asarray(shapely.from_wkb(wkb), object),
        class_id=stats.value,
        first_px=corner[:, 1] * grid.width + corner[:, 0],
        n_px=stats.n_px,
        confidence_mean=stats.confidence_sum / stats.n_px / 100,
        confidence_min=stats.confidence_min / 100,
        touches_edge=stats.touches_edge,
        touches_nodata=stats.touches_nodata,
        area_m2=finished.area_m2,
        perimeter_m=finished.perimeter_m,
    )
