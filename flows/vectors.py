"""The vector stage: finished rasters → objects → GeoPackage, and what the map holds in numbers."""

from dataclasses import dataclass

from segflow.configs.run import RunSettings
from segflow.flows.plan import RunPlan
from segflow.flows.polygon_map import PolygonJob, finish_polygons, trace_polygons
from segflow.flows.pool import Pool, cores, open_pool
from segflow.flows.progress import Progress, stage
from segflow.flows.vector_layers import ClassLayer, LayerWriting, Origin
from segflow.flows.vector_tasks import BlockTask, close_files, count_map
from segflow.io.geopackage import VectorLayer
from segflow.io.maps import MapFiles
from segflow.io.spill import SpillFile
from segflow.io.vector_files import VectorWriter, open_vectors
from segflow.segmentation.spec import ClassSpec
from segflow.segmentation.summary import MapSummary
from segflow.segmentation.vectors.rules import PolygonRules
from segflow.segmentation.vectors.sieve import Moved


@dataclass(frozen=True, slots=True, kw_only=True)
class MapContents:
    """What a finished map holds.

    Attributes
    ----------
    summary
        Pixels, area and confidence of each class, in the rasters.
    objects
        Number of objects in the GeoPackage by class value, of the classes that have a layer there.
    moved
        What small objects and holes moved from class to class, in the vectors alone.
    """

    summary: MapSummary
    objects: dict[int, int]
    moved: tuple[Moved, ...] = ()


def write_vectors(plan: RunPlan, progress: Progress) -> MapContents:
    """Read the finished rasters: write the GeoPackage and count what the map holds.

    Raises
    ------
    DamagedError
        If a raster cannot be read, or the GeoPackage does not read back.
    OutputError
        If the GeoPackage cannot be written.
    SettingsError
        If the map has more objects than the settings allow.
    """
    summary = MapSummary(plan.scene.grid)
    paths, settings = plan.products, plan.settings
    files = MapFiles(classes=paths.classes, confidence=paths.confidence, grid=plan.scene.grid)
    classes = vector_classes(plan)
    rules = polygon_rules(settings)
    passes = 1 + (bool(classes) and rules.sieves) + any(c.geometry == "line" for c in classes)
    blocks = sum(1 for _ in files.windows())
    processes = min(max(settings.workers, cores()), 1 + blocks // BLOCKS_PER_PROCESS)
    try:
        with stage(progress, "vectors", passes * files.grid.window.size), open_pool(processes) as pool:
            if not classes:
                _count(files, summary, pool, progress)
                return MapContents(summary=summary, objects={})
            shapes = frozenset(c.value for c in classes if c.geometry != "line")
            job = PolygonJob(files=files, classes=shapes, rules=rules)
            with SpillFile(paths.vectors) as spill:
                found = trace_polygons(job, spill, pool, progress, summary)
                origin = Origin(
                    scene=plan.name, model=f"{plan.model.spec.name} {plan.model.spec.version}", run=plan.key
                )
                with open_vectors(paths.vectors, plan.scene.grid.crs) as writer:
                    portions = finish_polygons(job, found, spill, pool)
                    layers = _layers(plan, classes)
                    polygons = [layer for layer in layers if layer.layer.geometry_type == "Polygon"]
                    counts = LayerWriting(writer, spill, origin).write(polygons, portions)
                    if lines := [layer for layer in layers if layer not in polygons]:
                        counts |= _write_lines(writer, files, lines, origin, pool, settings, progress)
    finally:
        close_files()
    return MapContents(summary=summary, objects=counts, moved=found.moved)


BLOCKS_PER_PROCESS = 8  # a process that starts for less costs more than it gives


def polygon_rules(settings: RunSettings) -> PolygonRules:
    """Give what a run's settings say about polygons."""
    return PolygonRules(
        min_area_m2=settings.min_area,
        min_hole_m2=settings.min_hole,
        simplify_px=settings.simplify,
        smooth=settings.smooth,
        max_vertices=settings.max_vertices,
        max_objects=settings.max_objects,
    )


def vector_classes(plan: RunPlan) -> tuple[ClassSpec, ...]:
    """Give the classes that become layers: those asked for, else all polygons and lines; none without vectors."""
    if not plan.settings.vectors:
        return ()
    wanted = plan.settings.classes
    return tuple(
        entry
        for entry in plan.model.spec.classes
        if (entry.geometry != "none" if wanted is None else entry.name in wanted)
    )


def _layers(plan: RunPlan, classes: tuple[ClassSpec, ...]) -> list[ClassLayer]:
    return [
        ClassLayer(
            code=entry.value,
            value=entry.value,
            layer=VectorLayer(
                name=entry.name,
                geometry_type="LineString" if entry.geometry == "line" else "Polygon",
                rgb=entry.rgb,
                description=f"{entry.name} in {plan.name}, mapped by {plan.model.spec.name}",
            ),
        )
        for entry in classes
    ]


def _write_lines(
    writer: VectorWriter,
    files: MapFiles,
    layers: list[ClassLayer],
    origin: Origin,
    pool: Pool,
    settings: RunSettings,
    progress: Progress,
) -> dict[int, int]:
    from segflow.flows.line_layers import write_lines  # noqa: PLC0415  # brings skimage, for lines alone

    return write_lines(
        writer,
        files,
        layers,
        origin,
        pool,
        max_gap=settings.max_gap,
        min_length=settings.min_length,
        progress=progress.advance,
        note=progress.note,
    )


def _count(files: MapFiles, summary: MapSummary, pool: Pool, progress: Progress) -> None:
    """Count what a map holds that becomes no vectors."""
    for part in pool.run(count_map, (BlockTask(files=files, window=window) for window in files.windows())):
        summary.merge(part)
        progress.advance(int(part.pixels.sum()))
