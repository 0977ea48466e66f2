"""The last stage: sidecars, report, and the STAC item that says that all is there."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from segflow import __version__
from segflow.configs.fields import values_that_change
from segflow.configs.setting import PRODUCTS
from segflow.flows.models.lookup import shipped_models
from segflow.flows.run.item import RECORD, ItemRecord
from segflow.flows.run.paths import ProductPaths
from segflow.flows.run.plan import FORMAT, RunPlan
from segflow.flows.run.publish import withdraw
from segflow.flows.run.rasters import RastersDone
from segflow.flows.run.report import write_scene_report
from segflow.flows.run.vectors import MapContents, vector_classes
from segflow.io.raster.sidecars import (
    LegendEntry,
    aux_path,
    qml_path,
    write_class_sidecars,
    write_confidence_sidecars,
)
from segflow.io.stac.items import ItemAsset, build_item, write_item
from segflow.io.work.records import remove_file
from segflow.segmentation.spec import NODATA
from segflow.segmentation.summary import MapSummary


def product_names(plan: RunPlan) -> tuple[str, ...]:
    """Give the names of all files that a run writes, the item last."""
    paths = plan.products
    rasters = [paths.classes, paths.confidence]
    rasters += [paths.probabilities] if plan.settings.probabilities else []
    vectors = [paths.vectors] if vector_classes(plan) else []
    return tuple(path.name for path in (*rasters, *_sidecars(paths).values(), *vectors, paths.report, paths.item))


def remove_stale(plan: RunPlan) -> None:
    """Remove the item of an earlier run, and those of its products that this run does not replace.

    While products change, nothing says that all is there; and no map stays beside another run's vectors.

    Raises
    ------
    OutputError
        If a file cannot be removed.
    """
    paths = plan.products
    stale = [path for path in (paths.probabilities, paths.vectors) if path.name not in product_names(plan)]
    for path in (paths.item, *stale):
        withdraw(paths, path.name)
        remove_file(path)


def settings_digest(plan: RunPlan) -> str:
    """Give the digest of all that decides the products beyond the pixels."""
    classes = [entry.name for entry in vector_classes(plan)]
    resolved = {"classes": classes, "vectors": bool(classes)}
    values = values_that_change(plan.settings, PRODUCTS, resolved)
    parts = {"format": FORMAT, "version": __version__, "settings": values}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def write_catalogue(plan: RunPlan, rasters: RastersDone, contents: MapContents) -> None:
    """Write sidecars and report, and last the item.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    paths = plan.products
    write_class_sidecars(paths.classes, legend(plan))
    write_confidence_sidecars(paths.confidence)
    write_scene_report(plan, rasters, contents, product_names(plan))
    spec = plan.model.spec
    item = build_item(
        name=plan.name,
        grid=plan.scene.grid,
        assets=_assets(plan),
        legend=legend(plan),
        scene_hrefs=tuple(_href(plan, path) for path in plan.inputs),
        acquired=plan.scene.acquired,
        gsd=plan.ground,
        software={"segflow": __version__},
        lineage=f"Mapped from {_source(plan)} by model {spec.name} {spec.version}",
        properties={
            RECORD: _record(plan, rasters).as_properties(),
            "segflow:classes": class_table(plan, contents.summary),
            **moves(plan, contents),
        },
    )
    write_item(paths.item, item)


def legend(plan: RunPlan) -> tuple[LegendEntry, ...]:
    """Give the classes of the model as a legend."""
    return tuple(LegendEntry(value=c.value, name=c.name, rgb=c.rgb) for c in plan.model.spec.classes)


def class_table(plan: RunPlan, summary: MapSummary) -> list[dict[str, Any]]:
    """Give pixels, area [m²] and mean confidence of every class, and of nodata."""
    named = [(c.value, c.name) for c in plan.model.spec.classes] + [(NODATA, "nodata")]
    return [
        {
            "value": value,
            "name": name,
            "pixels": summary.count(value),
            "area_m2": _number(summary.area[value]),
            "confidence_mean": None if value == NODATA else _number(summary.mean_confidence(value)),
        }
        for value, name in named
    ]


def moves(plan: RunPlan, contents: MapContents) -> dict[str, Any]:
    """Give what small objects and holes moved from class to class in the vectors; nothing where nothing was asked."""
    if not (plan.settings.min_area or plan.settings.min_hole):
        return {}
    names = {c.value: c.name for c in plan.model.spec.classes}
    return {
        "segflow:moved": [
            {"from": names[m.source], "to": names[m.target], "pixels": m.pixels, "area_m2": _number(m.area_m2)}
            for m in contents.moved
        ]
    }


def _assets(plan: RunPlan) -> list[ItemAsset]:
    paths = plan.products
    assets = [ItemAsset.of(paths.classes, "classes"), ItemAsset.of(paths.confidence, "confidence")]
    if plan.settings.probabilities:
        assets.append(ItemAsset.of(paths.probabilities, "probabilities"))
    assets.extend(ItemAsset.of(path, "sidecar", key) for key, path in _sidecars(paths).items())
    if vector_classes(plan):
        assets.append(ItemAsset.of(paths.vectors, "vectors"))
    return [*assets, ItemAsset.of(paths.report, "report")]


def _sidecars(paths: ProductPaths) -> dict[str, Path]:
    """Give the files beside the rasters, by their key in the item."""
    return {
        "classes-attributes": aux_path(paths.classes),
        "classes-legend": qml_path(paths.classes),
        "confidence-legend": qml_path(paths.confidence),
    }


def _record(plan: RunPlan, rasters: RastersDone) -> ItemRecord:
    settings = plan.settings
    return ItemRecord(
        key=plan.key,
        settings=settings_digest(plan),
        scene=_href(plan, plan.inputs[0]),
        bands=plan.bands,
        sidecars=settings.sidecars,
        remote=settings.allow_remote,
        model=settings.model if settings.model in shipped_models() else plan.model.path,
        model_digest=plan.model.digest,
        device=settings.device,
        precision=settings.precision,
        tiles=plan.tiles,
        damaged=tuple(sorted(rasters.damaged)),
        files={},
        products=plan.products,
        parts=tuple(_href(plan, path) for path in plan.inputs) if len(plan.inputs) > 1 else (),
        resample=settings.resample,
    )


def _href(plan: RunPlan, path: str) -> str:
    """Give where a scene's file lies, seen from the item, or its address; from object storage no path leads here."""
    if "://" in path:
        return path
    return os.path.relpath(path, plan.products.folder) if plan.products.address is None else Path(path).as_uri()


def _source(plan: RunPlan) -> str:
    """Give in words what the map was made from."""
    name = plan.scene.path.rsplit("/", 1)[-1]
    more = f" and {len(plan.inputs) - 1} more" if len(plan.inputs) > 1 else ""
    ground = plan.model.spec.gsd
    return f"{name}{more}" + ("" if plan.scene.native is None else f", read at {ground:g} m,")


def _number(value: float) -> float | None:
    """Give a number for JSON, which has no NaN."""
    return None if value != value else round(float(value), 6)  # noqa: PLR0124  # NaN alone differs from itself
