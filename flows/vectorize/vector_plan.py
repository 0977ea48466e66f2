"""The plan of `segflow vectorize`: classes, layers, rules and output file, checked before the work begins."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segflow.configs.vectors import VectorizeSettings
from segflow.errors import OutputExistsError, SceneMismatchError, SettingsError
from segflow.flows.access import raster_access
from segflow.flows.products.entries import CLASSES, CONFIDENCE
from segflow.flows.vectorize.class_layers import ClassLayer
from segflow.flows.vectorize.rules import polygon_rules
from segflow.flows.vectorize.worker_files import MapBlocks
from segflow.flows.vectorize.worker_tasks import ValuesTask, list_values
from segflow.io.raster.classes import ClassRaster, check_confidence, code_values
from segflow.io.raster.maps import ForeignClasses, MapFiles
from segflow.io.vector.formats import SUFFIXES, Format
from segflow.io.vector.geopackage import VectorLayer
from segflow.segmentation.vectors.execution import Workers
from segflow.segmentation.vectors.polygons.rules import PolygonRules


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorPlan:
    """What becomes of a class raster.

    Attributes
    ----------
    raster, source
        The raster as it describes itself, and its blocks with its values as codes from 0 to 254.
    out, kind
        The file to write, and its format.
    polygons, lines
        The layers to make.
    names
        Names of all classes by code.
    rules
        What polygons are to be.
    """

    raster: ClassRaster
    source: MapBlocks
    out: Path
    kind: Format
    polygons: list[ClassLayer]
    lines: list[ClassLayer]
    names: dict[int, str]
    rules: PolygonRules


def plan_vectors(
    raster: ClassRaster, out: Path, kind: Format, settings: VectorizeSettings, pool: Workers
) -> VectorPlan:
    """Find out which classes a raster holds, and plan the layer of each."""
    files = MapFiles(
        classes=raster.path,
        confidence=_confidence(raster, settings),
        grid=raster.grid,
        foreign=None if raster.plain else ForeignClasses(info=raster.info, access=raster_access(settings)),
    )
    tasks = (ValuesTask(source=MapBlocks(files=files), window=window) for window in files.windows())
    values = sorted({int(v) for part in pool.run(list_values, tasks) for v in part} - {raster.nodata})
    named = {**raster.names, **(settings.names or {})}
    known = sorted({value for value in (*values, *named) if value != raster.nodata})
    codes = dict(code_values(raster.path, np.array(known, np.int64), raster.nodata))
    if not codes:
        msg = f"{raster.path} holds no class, every pixel is nodata: there is nothing to vectorise"
        raise SceneMismatchError(msg)
    if not raster.plain:
        files = replace(files, codes=tuple(sorted(codes.items())))
    names = {code: named.get(value, f"class_{value}") for value, code in codes.items()}
    chosen, shapes = _chosen(codes, names, settings), _geometries(names, settings)
    layers = _layers(raster, codes, names, shapes, chosen)
    if not layers:
        msg = "no class is left to vectorise: choose others with --classes or --geometry"
        raise SettingsError(msg)
    return VectorPlan(
        raster=raster,
        source=MapBlocks(files=files),
        out=out,
        kind=kind,
        polygons=[layer for code, layer in layers.items() if shapes.get(code) != "line"],
        lines=[layer for code, layer in layers.items() if shapes.get(code) == "line"],
        names=names,
        rules=polygon_rules(settings, _by_text(codes, names)),
    )


def _layers(
    raster: ClassRaster, codes: dict[int, int], names: dict[int, str], shapes: dict[int, str], chosen: set[int]
) -> dict[int, ClassLayer]:
    """Give the layers of the chosen classes by code; classes with the geometry ``none`` have no layer."""
    return {
        code: ClassLayer(
            code=code,
            value=value,
            layer=VectorLayer(
                name=names[code],
                geometry_type="LineString" if shapes.get(code) == "line" else "Polygon",
                rgb=raster.colour(value),
                description=f"{names[code]} in {scene_name(raster.path)}",
            ),
        )
        for value, code in codes.items()
        if code in chosen and shapes.get(code) != "none"
    }


def _chosen(codes: dict[int, int], names: dict[int, str], settings: VectorizeSettings) -> set[int]:
    """Give the codes of the classes that were asked for, by name or value."""
    if settings.classes is None:
        return set(codes.values())
    by_text = _by_text(codes, names)
    unknown = [name for name in settings.classes if name not in by_text]
    if unknown:
        msg = f"--classes names {unknown[0]!r}, but the raster has {', '.join(names.values())}"
        raise SettingsError(msg)
    return {by_text[name] for name in settings.classes}


def _by_text(codes: dict[int, int], names: dict[int, str]) -> dict[str, int]:
    """Give the code of each class by what it may be called, its name or its value; names come first."""
    by_name = {name: code for code, name in names.items()}
    return by_name | {str(value): code for value, code in codes.items() if str(value) not in by_name}


def _geometries(names: dict[int, str], settings: VectorizeSettings) -> dict[int, str]:
    """Give the geometry that was asked for, by code: polygon, line or none."""
    by_name = {name: code for code, name in names.items()}
    unknown = [name for name in settings.geometry or {} if name not in by_name]
    if unknown:
        msg = f"--geometry names {unknown[0]!r}, but the raster has {', '.join(names.values())}"
        raise SettingsError(msg)
    return {by_name[name]: shape for name, shape in (settings.geometry or {}).items()}


def find_target(path: Path, settings: VectorizeSettings) -> tuple[Path, Format]:
    """Give the file to write, and its format.

    Raises
    ------
    OutputExistsError
        If the file exists and is neither to be replaced nor to be appended to.
    SettingsError
        If it is to be both.
    """
    kinds = {suffix: kind for kind, suffix in SUFFIXES.items()}
    kind = settings.format or kinds.get(Path(settings.out or "").suffix.lower(), "gpkg")
    out = Path(settings.out) if settings.out else path.with_name(scene_name(path) + SUFFIXES[kind])
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
    beside = raster.path.with_name(f"{scene_name(raster.path)}{CONFIDENCE.ending}{raster.path.suffix}")
    return check_confidence(beside, raster.grid, access) if beside.is_file() and beside != raster.path else None


def scene_name(path: Path) -> str:
    """Give the name of the scene that a class raster maps."""
    return path.stem.removesuffix(CLASSES.ending)
