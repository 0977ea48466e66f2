"""The vector stage: finished rasters → objects → GeoPackage, and what the map holds in numbers."""

from dataclasses import dataclass, field

from segflow.configs.run import RunSettings
from segflow.flows.planning.plan import RunPlan
from segflow.flows.products.entries import CLASSES, CONFIDENCE, vector_classes
from segflow.flows.products.product import FromObjects
from segflow.flows.progress import Progress, stage
from segflow.flows.run.nodata import NodataCause
from segflow.flows.vectorize.class_layers import ClassLayer, Origin
from segflow.flows.vectorize.polygon_layers import write_polygons
from segflow.flows.vectorize.pool import cores, open_pool
from segflow.flows.vectorize.rules import polygon_rules
from segflow.flows.vectorize.worker_files import MapBlocks, SpillStore, close_files
from segflow.flows.vectorize.worker_tasks import summarise_block, summarising
from segflow.io.raster.maps import MapFiles
from segflow.io.vector.formats import VectorWriter, open_vector_files
from segflow.io.vector.geopackage import VectorLayer
from segflow.io.vector.spill import SpillFile
from segflow.segmentation.spec import ClassSpec
from segflow.segmentation.summary import MapSummary
from segflow.segmentation.vectors.execution import BlockTask, Workers
from segflow.segmentation.vectors.polygons.pipeline import PolygonJob, finish_polygons, trace_polygons
from segflow.segmentation.vectors.sieving.sieve import Moved


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
    nodata
        Why pixels are nodata, in the rasters.
    lengths
        Length of the lines of each class by its value [m; px without a CRS], of classes that are lines.
    """

    summary: MapSummary
    objects: dict[int, int]
    moved: tuple[Moved, ...] = ()
    nodata: tuple[NodataCause, ...] = ()
    lengths: dict[int, float] = field(default_factory=dict)

    def length_km(self, plan: RunPlan) -> dict[str, float]:
        """Give the length of the lines of each class by its name [km]; none for a scene without a CRS."""
        if plan.scene.grid.crs is None:
            return {}
        return {
            entry.name: round(self.lengths[entry.value] / 1000, 6)
            for entry in plan.model.spec.classes
            if entry.value in self.lengths
        }


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
    summary, lengths = MapSummary(plan.scene.grid), dict[int, float]()
    products, settings = plan.products, plan.settings
    files = MapFiles(classes=products.path(CLASSES), confidence=products.path(CONFIDENCE), grid=plan.scene.grid)
    source = MapBlocks(files=files)
    outputs = [(products.path(product), made.format) for product, made in products.made_from(FromObjects)]
    classes = vector_classes(settings, plan.model.spec) if outputs else ()
    rules = polygon_rules(settings, {entry.name: entry.value for entry in plan.model.spec.classes})
    passes = 1 + (bool(classes) and rules.sieves) + any(c.geometry == "line" for c in classes)
    blocks = sum(1 for _ in files.windows())
    processes = min(max(settings.workers, cores()), 1 + blocks // BLOCKS_PER_PROCESS)
    try:
        with stage(progress, "vectors", passes * files.grid.window.size), open_pool(processes) as pool:
            if not classes:
                _count(source, summary, pool, progress)
                return MapContents(summary=summary, objects={})
            shapes = frozenset(c.value for c in classes if c.geometry != "line")
            job = PolygonJob(source=source, classes=shapes, rules=rules)
            with SpillFile(outputs[0][0]) as spill:
                store = SpillStore(file=spill)
                found = trace_polygons(job, store, pool, progress, summarising(summary, files.grid))
                origin = Origin(
                    scene=plan.name, model=f"{plan.model.spec.name} {plan.model.spec.version}", run=plan.key
                )
                with open_vector_files(outputs, plan.scene.grid.crs) as writer:
                    portions = finish_polygons(job, found, store, pool)
                    layers = _layers(plan, classes)
                    polygons = [layer for layer in layers if layer.layer.geometry_type == "Polygon"]
                    counts = write_polygons(writer, store, polygons, portions, origin)
                    if lines := [layer for layer in layers if layer not in polygons]:
                        more, lengths = _write_lines(writer, source, lines, origin, pool, settings, progress)
                        counts |= more
    finally:
        close_files()
    return MapContents(summary=summary, objects=counts, moved=found.moved, lengths=lengths)


BLOCKS_PER_PROCESS = 8  # a process that starts for less costs more than it gives


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
    source: MapBlocks,
    layers: list[ClassLayer],
    origin: Origin,
    pool: Workers,
    settings: RunSettings,
    progress: Progress,
) -> tuple[dict[int, int], dict[int, float]]:
    from segflow.flows.vectorize.line_layers import write_lines  # noqa: PLC0415  # for lines alone

    return write_lines(
        writer,
        source,
        layers,
        origin,
        pool,
        rules=settings,
        watcher=progress,
    )


def _count(source: MapBlocks, summary: MapSummary, pool: Workers, progress: Progress) -> None:
    """Count what a map holds that becomes no vectors."""
    for part in pool.run(summarise_block, BlockTask.all(source)):
        summary.merge(part)
        progress.advance(int(part.pixels.sum()))
