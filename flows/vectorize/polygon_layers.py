"""Polygons are written to a vector file: one layer for each class."""

from collections.abc import Iterable

from segflow.flows.vectorize.class_layers import ClassLayer, Origin, feature_fields
from segflow.io.vector.features import FeatureBatch, LargeFeature
from segflow.io.vector.formats import VectorWriter
from segflow.segmentation.vectors.polygons.fields import polygon_fields
from segflow.segmentation.vectors.polygons.long_objects import FinishedLong
from segflow.segmentation.vectors.polygons.packed_corners import Store
from segflow.segmentation.vectors.polygons.portions import PolygonPortion


def write_polygons(
    writer: VectorWriter, store: Store, layers: Iterable[ClassLayer], portions: Iterable[PolygonPortion], origin: Origin
) -> dict[int, int]:
    """Write polygons to the layers of their classes, and give their numbers by code.

    Parameters
    ----------
    writer
        The vector file.
    store
        Holds the geometries of polygons that are long.
    layers
        The layers to make; the layer of a class without polygons is empty.
    portions
        The polygons, class by class.
    origin
        The scene, the model and the run, for the last fields.
    """
    by_code = {layer.code: layer for layer in layers}
    for layer in by_code.values():
        _write(writer, store, layer, PolygonPortion.none(), origin)
    counts = dict.fromkeys(by_code, 0)
    for portion in portions:
        code = int(portion.objects.statistics.value[0])
        _write(writer, store, by_code[code], portion, origin)
        counts[code] += len(portion.objects)
    return counts


def _write(writer: VectorWriter, store: Store, layer: ClassLayer, portion: PolygonPortion, origin: Origin) -> None:
    finished = portion.finished
    fields = feature_fields(layer, origin, polygon_fields(portion))
    if isinstance(finished, FinishedLong):
        place = finished.place
        feature = LargeFeature(
            read=lambda start, size: store.read(place + start, size),
            size=finished.size,
            box=finished.box,
            fields=fields,
        )
        writer.write_large(layer.layer, feature)
        return
    batch = FeatureBatch(wkb=finished.wkb, offsets=finished.offsets, boxes=finished.boxes, fields=fields)
    writer.write_batch(layer.layer, batch)
