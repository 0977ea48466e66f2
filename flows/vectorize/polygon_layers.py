"""Polygons on their way into a file: one layer per class, with the fields that every product has."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from segflow.flows.vectorize.polygon_map import PolygonPortion
from segflow.io.vector.features import FeatureBatch, LargeFeature
from segflow.io.vector.formats import VectorWriter
from segflow.io.vector.geopackage import VectorLayer
from segflow.io.vector.spill import SpillFile
from segflow.segmentation.vectors.components import Statistics
from segflow.segmentation.vectors.polygons.finishing import Finished, FinishedLong


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where features come from, as their last fields say; None where that is not known.

    Attributes
    ----------
    scene, model, run
        Name of the scene, name and version of the model, key of the run.
    confident
        Whether there are confidences.
    """

    scene: str | None
    model: str | None = None
    run: str | None = None
    confident: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLayer:
    """The layer of one class: its code in the map, its value as the fields say it, and how it is shown."""

    code: int
    value: int
    layer: VectorLayer


@dataclass(slots=True)
class LayerWriting:
    """Writes polygons to their layers.

    Attributes
    ----------
    writer
        The file.
    spill
        Where long geometries lie.
    origin
        What the last fields say.
    counts
        Number of polygons by code.
    """

    writer: VectorWriter
    spill: SpillFile
    origin: Origin
    counts: dict[int, int] = field(default_factory=dict)

    def write(self, layers: Iterable[ClassLayer], portions: Iterable[PolygonPortion]) -> dict[int, int]:
        """Write polygons, which come class by class; a class without any gets an empty layer."""
        by_code = {layer.code: layer for layer in layers}
        for layer in by_code.values():
            self.counts[layer.code] = 0
            self.writer.write_batch(layer.layer, self._empty(layer))
        for portion in portions:
            layer = by_code[int(portion.objects.statistics.value[0])]
            self._write(layer, portion)
            self.counts[layer.code] += len(portion.objects)
        return self.counts

    def _write(self, layer: ClassLayer, portion: PolygonPortion) -> None:
        done = portion.finished
        statistics = portion.objects.statistics
        n_px = statistics.n_px
        if isinstance(done, Finished) and done.parts is not None:
            n_px = np.where(done.parts.n_px > 0, done.parts.n_px, n_px)
        fields = self._fields(layer, statistics, np.atleast_1d(done.area_m2), np.atleast_1d(done.perimeter_m))
        fields["n_px"] = n_px
        if isinstance(done, FinishedLong):
            place = done.place
            feature = LargeFeature(
                read=lambda start, size: self.spill.read(place + start, size),
                size=done.size,
                box=done.box,
                fields=fields,
            )
            self.writer.write_large(layer.layer, feature)
            return
        batch = FeatureBatch(wkb=done.wkb, offsets=done.offsets, boxes=done.boxes, fields=fields)
        self.writer.write_batch(layer.layer, batch)

    def _empty(self, layer: ClassLayer) -> FeatureBatch:
        none = np.zeros(0, np.int64)
        statistics = Statistics(
            value=none.astype(np.uint8),
            n_px=none,
            confidence_sum=none,
            confidence_min=none.astype(np.uint8),
            touches_edge=none.astype(bool),
            touches_nodata=none.astype(bool),
        )
        fields = self._fields(layer, statistics, none.astype(float), none.astype(float))
        return FeatureBatch(
            wkb=np.zeros(0, np.uint8), offsets=np.zeros(1, np.int64), boxes=np.zeros((0, 4)), fields=fields
        )

    def _fields(
        self, layer: ClassLayer, stats: Statistics, area: NDArray[np.float64], perimeter: NDArray[np.float64]
    ) -> dict[str, NDArray[np.generic]]:
        count = len(stats)
        mean = stats.confidence_sum / np.maximum(stats.n_px, 1) / 100
        unknown = np.full(count, np.nan)
        return {
            "class_id": np.full(count, layer.value, np.int32),
            "class_name": np.full(count, layer.layer.name, object),
            "area_m2": area,
            "perimeter_m": perimeter,
            "confidence_mean": mean if self.origin.confident else unknown,
            "confidence_min": stats.confidence_min / 100 if self.origin.confident else unknown,
            "n_px": stats.n_px,
            "touches_edge": stats.touches_edge,
            "touches_nodata": stats.touches_nodata,
            "scene": np.full(count, self.origin.scene, object),
            "model": np.full(count, self.origin.model, object),
            "run": np.full(count, self.origin.run, object),
        }
