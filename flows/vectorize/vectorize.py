"""`segflow vectorize`: a class raster of any origin in, a vector file out.

raster → classes → polygons and centrelines → layers.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segflow.configs.vectors import VectorizeSettings
from segflow.errors import OutputExistsError, SceneMismatchError, SettingsError
from segflow.flows.access import raster_access
from segflow.flows.products.entries import CLASSES, CONFIDENCE
from segflow.flows.progress import Progress, Silence, stage
from segflow.flows.vectorize.polygon_layers import ClassLayer, LayerWriting, Origin
from segflow.flows.vectorize.polygon_map import PolygonJob, PolygonMap, finish_polygons, trace_polygons
from segflow.flows.vectorize.pool import Pool, cores, open_pool
from segflow.flows.vectorize.rules import polygon_rules
from segflow.flows.vectorize.worker_tasks import BlockTask, close_files, list_values
from segflow.io.raster.classes import ClassRaster, check_confidence, code_values, read_classes
from segflow.io.raster.maps import MapFiles
from segflow.io.storage.files import check_writable
from segflow.io.vector.formats import SUFFIXES, Format, check_format, open_vectors
from segflow.io.vector.geopackage import VectorLayer
from segflow.io.vector.spill import SpillFile
from segflow.segmentation.vectors.geodesy import Ground
from segflow.segmentation.vectors.polygons.rules import PolygonRules
from segflow.segmentation.vectors.sieving.sieve import Moved

BLOCKS_PER_PROCESS = 8  # a process that starts for less costs more than it gives


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectorized:
    """What vectorising made.

    Attributes
    ----------
    path
        The file.
    counts
        Number of features by name of class.
    moved
        What small objects and holes moved from class to class: (from, to, pixels, m²).
    exact
        Number of pieces of boundaries that simplification left as they were.
    """

    path: Path
    counts: dict[str, int]
    moved: tuple[tuple[str, str, int, float], ...]
    exact: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain values for JSON."""
        moves = [{"from": a, "to": b, "pixels": n, "area_m2": round(area, 3)} for a, b, n, area in self.moved]
        return {"file": str(self.path), "features": self.counts, "moved": moves, "exact_pieces": self.exact}

    def describe(self) -> str:
        """Give it as lines to read."""
        counts = ", ".join(f"{name} {count:,}" for name, count in self.counts.items())
        lines = [f"{self.path}: {counts}"]
        lines += [f"moved {a} → {b}: {pixels:,} px, {area:,.0f} m²" for a, b, pixels, area in self.moved]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is to be done, checked."""

    raster: ClassRaster
    files: MapFiles
    out: Path
    kind: Format
    polygons: list[ClassLayer]
    lines: list[ClassLayer]
    names: dict[int, str]
    rules: PolygonRules


def vectorize(
    path: str | os.PathLike[str], settings: VectorizeSettings, progress: Progress | None = None
) -> Vectorized:
    """Vectorise a class raster.

    Parameters
    ----------
    path
        A GeoTIFF with one band of whole numbers.
    settings
        What to do with it.
    progress
        Who watches; None for nobody.

    Raises
    ------
    SegflowError
        What went wrong, in one line; no file is left then.
    """
    watcher = progress or Silence()
    raster = read_classes(path, raster_access(settings))
    out, kind = _target(Path(path), settings)
    check_format(kind, append=settings.append)
    check_writable(out.parent)
    blocks = sum(1 for _ in MapFiles(classes=raster.path, confidence=None, grid=raster.grid).windows())
    wanted = cores() if settings.workers is None else max(1, settings.workers)
    try:
        with open_pool(min(wanted, 1 + blocks // BLOCKS_PER_PROCESS)) as pool:
            return _write(_plan(raster, out, kind, settings, pool), settings, pool, watcher)
    finally:
        close_files()


def _write(plan: _Plan, settings: VectorizeSettings, pool: Pool, progress: Progress) -> Vectorized:
    if Ground.of(plan.files.grid) is None:
        progress.note(f"note: {plan.raster.path} has no coordinate reference system, so areas and lengths are left out")
    origin = Origin(scene=_scene(plan.raster.path), confident=plan.files.confidence is not None)
    passes = bool(plan.polygons) * (1 + plan.rules.sieves) + bool(plan.lines)
    job = PolygonJob(files=plan.files, classes=frozenset(layer.code for layer in plan.polygons), rules=plan.rules)
    found, counts = PolygonMap(), {}
    with (
        stage(progress, "vectors", passes * plan.files.grid.window.size),
        SpillFile(plan.out) as spill,
        open_vectors(plan.out, plan.files.grid.crs, plan.kind, append=settings.append) as writer,
    ):
        if plan.polygons:
            found = trace_polygons(job, spill, pool, progress)
            counts = LayerWriting(writer, spill, origin).write(plan.polygons, finish_polygons(job, found, spill, pool))
        if plan.lines:
            from segflow.flows.vectorize.line_layers import write_lines  # noqa: PLC0415  # brings skimage, for lines alone

            counts |= write_lines(
                writer,
                plan.files,
                plan.lines,
                origin,
                pool,
                rules=settings,
                progress=progress.advance,
                note=progress.note,
            )
    return Vectorized(
        path=plan.out,
        counts={plan.names[code]: count for code, count in counts.items()},
        moved=name_moves(found.moved, plan.names),
        exact=len(found.shaping.exact) if found.shaping else 0,
    )


def name_moves(moves: tuple[Moved, ...], names: dict[int, str]) -> tuple[tuple[str, str, int, float], ...]:
    """Give moves with names for classes."""
    return tuple((names[move.source], names[move.target], move.pixels, move.area_m2) for move in moves)


def _plan(raster: ClassRaster, out: Path, kind: Format, settings: VectorizeSettings, pool: Pool) -> _Plan:
    """Find out which classes there are and what becomes of each."""
    files = MapFiles(classes=raster.path, confidence=_confidence(raster, settings), grid=raster.grid)
    values = sorted({int(v) for part in pool.run(list_values, _tasks(files)) for v in part} - {raster.nodata})
    named = {**raster.names, **(settings.names or {})}
    known = sorted({value for value in (*values, *named) if value != raster.nodata})
    codes = dict(code_values(raster.path, np.array(known, np.int64), raster.nodata))
    if not codes:
        msg = f"{raster.path} holds no class, every pixel is nodata: there is nothing to vectorise"
        raise SceneMismatchError(msg)
    if not raster.plain:
        files = MapFiles(
            classes=files.classes, confidence=files.confidence, grid=files.grid, codes=tuple(sorted(codes.items()))
        )
    names = {code: named.get(value, f"class_{value}") for value, code in codes.items()}
    chosen = _chosen(codes, names, settings)
    shapes = _geometries(names, settings)
    layers = {
        code: ClassLayer(
            code=code,
            value=value,
            layer=VectorLayer(
                name=names[code],
                geometry_type="LineString" if shapes.get(code) == "line" else "Polygon",
                rgb=raster.colour(value),
                description=f"{names[code]} in {_scene(raster.path)}",
            ),
        )
        for value, code in codes.items()
        if code in chosen and shapes.get(code) != "none"
    }
    if not layers:
        msg = "no class is left to vectorise: choose others with --classes or --geometry"
        raise SettingsError(msg)
    return _Plan(
        raster=raster,
        files=files,
        out=out,
        kind=kind,
        polygons=[layer for code, layer in layers.items() if shapes.get(code) != "line"],
        lines=[layer for code, layer in layers.items() if shapes.get(code) == "line"],
        names=names,
        rules=polygon_rules(settings),
    )


def _tasks(files: MapFiles) -> list[BlockTask]:
    return [BlockTask(files=files, window=window) for window in files.windows()]


def _chosen(codes: dict[int, int], names: dict[int, str], settings: VectorizeSettings) -> set[int]:
    """Give the codes of the classes that were asked for, by name or value."""
    if settings.classes is None:
        return set(codes.values())
    by_text = {str(value): code for value, code in codes.items()} | {name: code for code, name in names.items()}
    unknown = [name for name in settings.classes if name not in by_text]
    if unknown:
        msg = f"--classes names {unknown[0]!r}, but the raster has {', '.join(names.values())}"
        raise SettingsError(msg)
    return {by_text[name] for name in settings.classes}


def _geometries(names: dict[int, str], settings: VectorizeSettings) -> dict[int, str]:
    """Give what becomes of classes, by code."""
    by_name = {name: code for code, name in names.items()}
    unknown = [name for name in settings.geometry or {} if name not in by_name]
    if unknown:
        msg = f"--geometry names {unknown[0]!r}, but the raster has {', '.join(names.values())}"
        raise SettingsError(msg)
    return {by_name[name]: shape for name, shape in (settings.geometry or {}).items()}


def _target(path: Path, settings: VectorizeSettings) -> tuple[Path, Format]:
    """Give the file to write, and its format."""
    kinds = {suffix: kind for kind, suffix in SUFFIXES.items()}
    kind = settings.format or kinds.get(Path(settings.out or "").suffix.lower(), "gpkg")
    out = Path(settings.out) if settings.out else path.with_name(_scene(path) + SUFFIXES[kind])
    if settings.append and settings.overwrite:
        msg = "--append and --overwrite exclude each other"
        raise SettingsError(msg)
    if out.exists() and not (settings.append or settings.overwrite):
        msg = f"{out} exists: choose another --out, replace it with --overwrite, or add to it with --append"
        raise OutputExistsError(msg)
    return out, kind


def _confidence(raster: ClassRaster, settings: VectorizeSettings) -> Path | None:
    """Give the confidence raster that was named, or the one beside the class raster."""
    access = raster_access(settings)
    if settings.confidence is not None:
        return check_confidence(settings.confidence, raster.grid, access)
    beside = raster.path.with_name(f"{_scene(raster.path)}{CONFIDENCE.ending}{raster.path.suffix}")
    return check_confidence(beside, raster.grid, access) if beside.is_file() and beside != raster.path else None


def _scene(path: Path) -> str:
    """Give the name of the scene that a class raster maps."""
    return path.stem.removesuffix(CLASSES.ending)
