"""The vector stage: finished rasters → objects → GeoPackage, and what the map holds in numbers."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from segflow.flows.plan import RunPlan
from segflow.flows.progress import Progress, stage
from segflow.io.geopackage import GeoPackageWriter, VectorLayer
from segflow.io.maps import read_blocks
from segflow.segmentation.spec import ClassSpec
from segflow.segmentation.summary import MapSummary
from segflow.segmentation.vectors.polygons import Block, PolygonTable, polygonise


@dataclass(frozen=True, slots=True, kw_only=True)
class MapContents:
    """What a finished map holds.

    Attributes
    ----------
    summary
        Pixels, area and confidence of each class.
    objects
        Number of objects in the GeoPackage by class value, of the classes that have a layer there.
    """

    summary: MapSummary
    objects: dict[int, int]


def write_vectors(plan: RunPlan, progress: Progress) -> MapContents:
    """Read the finished rasters once: write the GeoPackage and count what the map holds.

    Raises
    ------
    DamagedError
        If a raster cannot be read, or the GeoPackage does not read back.
    OutputError
        If the GeoPackage cannot be written.
    """
    summary = MapSummary(plan.scene.grid)
    classes = vector_classes(plan)
    with stage(progress, "vectors", plan.scene.grid.height * plan.scene.grid.width):
        blocks = _blocks(plan, summary, progress)
        if not classes:
            for _ in blocks:
                pass
            return MapContents(summary=summary, objects={})
        tables = polygonise(
            blocks,
            grid=plan.scene.grid,
            classes=[c.value for c in classes],
            min_area_m2=plan.settings.min_area,
            simplify_px=plan.settings.simplify,
        )
        objects = _write(plan, classes, list(tables))
    return MapContents(summary=summary, objects=objects)


def vector_classes(plan: RunPlan) -> tuple[ClassSpec, ...]:
    """Give the classes that become layers: those asked for, else all polygons; none without vectors."""
    if not plan.settings.vectors:
        return ()
    wanted = plan.settings.classes
    return tuple(
        entry
        for entry in plan.model.spec.classes
        if (entry.geometry == "polygon" if wanted is None else entry.name in wanted)
    )


def _blocks(plan: RunPlan, summary: MapSummary, progress: Progress) -> Iterator[Block]:
    """Read the map block by block, counting on the way."""
    paths = plan.products
    for block in read_blocks(paths.classes, paths.confidence, plan.scene.grid):
        summary.add(block.window, block.labels, block.confidence)
        yield Block(window=block.window, labels=block.labels, confidence=block.confidence)
        progress.advance(block.window.size)


def _write(plan: RunPlan, classes: tuple[ClassSpec, ...], tables: list[PolygonTable]) -> dict[int, int]:
    """Write one layer per class, its objects in the order of their first pixels; give their numbers."""
    counts = {}
    objects = PolygonTable.of(tables) if tables else None
    with GeoPackageWriter(plan.products.vectors, plan.scene.grid.crs) as writer:
        for entry in classes:
            layer = VectorLayer(
                name=entry.name,
                geometry_type="Polygon",
                rgb=entry.rgb,
                description=f"{entry.name} in {plan.name}, mapped by {plan.model.spec.name}",
            )
            part = objects.take(objects.class_id == entry.value) if objects is not None else None
            geometries, fields = _features(plan, entry, part)
            writer.write(layer, geometries, fields)
            counts[entry.value] = len(geometries)
    return counts


def _features(
    plan: RunPlan, entry: ClassSpec, objects: PolygonTable | None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Give the geometries of a class and their fields."""
    count = 0 if objects is None else len(objects)

    def column(name: str, dtype: type) -> np.ndarray:
        return np.empty(0, dtype) if objects is None else getattr(objects, name)

    def constant(text: str) -> np.ndarray:
        return np.full(count, text, object)

    spec = plan.model.spec
    return column("geometry", object), {
        "class_id": np.full(count, entry.value, np.int32),
        "class_name": constant(entry.name),
        "area_m2": column("area_m2", float),
        "perimeter_m": column("perimeter_m", float),
        "confidence_mean": column("confidence_mean", float),
        "confidence_min": column("confidence_min", float),
        "n_px": column("n_px", np.int64),
        "touches_edge": column("touches_edge", bool),
        "touches_nodata": column("touches_nodata", bool),
        "scene": constant(plan.name),
        "model": constant(f"{spec.name} {spec.version}"),
        "run": constant(plan.key),
    }
