"""`segflow vectorize`: a class raster of any origin in, a vector file out.

raster → classes → polygons and centrelines → layers.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segflow.configs.vectors import VectorizeSettings
from segflow.flows.access import raster_access
from segflow.flows.progress import Progress, Silence, stage
from segflow.flows.vectorize.class_layers import Origin
from segflow.flows.vectorize.polygon_layers import write_polygons
from segflow.flows.vectorize.pool import cores, open_pool
from segflow.flows.vectorize.vector_plan import VectorPlan, find_target, plan_vectors, scene_name
from segflow.flows.vectorize.worker_files import SpillStore, close_files
from segflow.io.raster.classes import read_classes
from segflow.io.raster.maps import MapFiles
from segflow.io.scene.sources import unread_masks
from segflow.io.storage.files import check_writable
from segflow.io.vector.formats import check_format, open_vectors
from segflow.io.vector.spill import SpillFile
from segflow.segmentation.vectors.execution import Workers
from segflow.segmentation.vectors.geodesy import Ground
from segflow.segmentation.vectors.polygons.pipeline import PolygonJob, PolygonMap, finish_polygons, trace_polygons
from segflow.segmentation.vectors.sieving.sieve import Moved

BLOCKS_PER_PROCESS = 8  # fewer blocks are done sooner than a process starts


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectorized:
    """The file that `vectorize` wrote, in numbers.

    Attributes
    ----------
    path
        The file.
    counts
        Number of features by name of class.
    moved
        Pixels that the minimum mapping unit moved from class to class: (from, to, pixels, m²).
    length_km
        Length of the lines of each class that is lines [km]; empty without a CRS.
    exact
        Number of sections of boundaries that were not simplified, because they would have crossed others.
    """

    path: Path
    counts: dict[str, int]
    moved: tuple[tuple[str, str, int, float], ...]
    exact: int = 0
    length_km: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Give the result as plain values for JSON."""
        moves = [{"from": a, "to": b, "pixels": n, "area_m2": round(area, 3)} for a, b, n, area in self.moved]
        sums = {"features": self.counts, "length_km": self.length_km}
        return {"file": str(self.path), **sums, "moved": moves, "exact_pieces": self.exact}

    def describe(self) -> str:
        """Give the result as lines of text."""
        counts = ", ".join(f"{name} {count:,}" for name, count in self.counts.items())
        lengths = "".join(f", {name} {length:,.3g} km" for name, length in self.length_km.items())
        lines = [f"{self.path}: {counts}{lengths}"]
        lines += [f"moved {a} → {b}: {pixels:,} px, {area:,.0f} m²" for a, b, pixels, area in self.moved]
        return "\n".join(lines)


def vectorize(
    path: str | os.PathLike[str], settings: VectorizeSettings, progress: Progress | None = None
) -> Vectorized:
    """Turn the classes of a raster into polygons or centrelines in a vector file.

    Parameters
    ----------
    path
        A GeoTIFF with one band of whole numbers.
    settings
        Which classes become what, and where the file goes.
    progress
        Receives the progress; None: progress is not reported.

    Raises
    ------
    SegflowError
        If anything fails; no incomplete file is left.
    """
    watcher = progress or Silence()
    raster = read_classes(path, raster_access(settings))
    for note in unread_masks(raster.info.files, raster_access(settings)):
        watcher.note(f"warning: {note}")
    out, kind = find_target(Path(path), settings)
    check_format(kind, append=settings.append)
    check_writable(out.parent)
    blocks = sum(1 for _ in MapFiles(classes=raster.path, confidence=None, grid=raster.grid).windows())
    wanted = cores() if settings.workers is None else max(1, settings.workers)
    try:
        with open_pool(min(wanted, 1 + blocks // BLOCKS_PER_PROCESS)) as pool:
            return _write(plan_vectors(raster, out, kind, settings, pool), settings, pool, watcher)
    finally:
        close_files()


def _write(plan: VectorPlan, settings: VectorizeSettings, pool: Workers, progress: Progress) -> Vectorized:
    if Ground.of(plan.source.grid) is None:
        progress.note(f"note: {plan.raster.path} has no coordinate reference system, so areas and lengths are left out")
    origin = Origin(scene=scene_name(plan.raster.path), confident=plan.source.files.confidence is not None)
    source = plan.source
    passes = bool(plan.polygons) * (1 + plan.rules.sieves) + bool(plan.lines)
    job = PolygonJob(source=source, classes=frozenset(layer.code for layer in plan.polygons), rules=plan.rules)
    found, counts = PolygonMap(), {}
    lengths: dict[int, float] = {}
    with (
        stage(progress, "vectors", passes * source.grid.window.size),
        SpillFile(plan.out) as spill,
        open_vectors(plan.out, source.grid.crs, plan.kind, append=settings.append) as writer,
    ):
        if plan.polygons:
            store = SpillStore(file=spill)
            found = trace_polygons(job, store, pool, progress)
            counts = write_polygons(writer, store, plan.polygons, finish_polygons(job, found, store, pool), origin)
        if plan.lines:
            from segflow.flows.vectorize.line_layers import write_lines  # noqa: PLC0415  # for lines alone

            more, lengths = write_lines(writer, source, plan.lines, origin, pool, rules=settings, watcher=progress)
            counts |= more
    return Vectorized(
        path=plan.out,
        counts={plan.names[code]: count for code, count in counts.items()},
        length_km={plan.names[code]: length / 1000 for code, length in lengths.items() if plan.raster.grid.crs},
        moved=name_moves(found.moved, plan.names),
        exact=len(found.shaping.exact) if found.shaping else 0,
    )


def name_moves(moves: tuple[Moved, ...], names: dict[int, str]) -> tuple[tuple[str, str, int, float], ...]:
    """Give moves with the names of classes in place of their codes."""
    return tuple((names[move.source], names[move.target], move.pixels, move.area_m2) for move in moves)
