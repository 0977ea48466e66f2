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
from segflow.flows.planning.encoding import describe_conversion
from segflow.flows.planning.plan import FORMAT, RunPlan
from segflow.flows.products.entries import ITEM, vector_classes
from segflow.flows.products.pixels import model_legend
from segflow.flows.products.product import FromRaster
from segflow.flows.run.item import NODATA_TABLE, RECORD, ItemRecord, ReadingRecord
from segflow.flows.run.publish import withdraw
from segflow.flows.run.rasters import RastersDone
from segflow.flows.run.report import write_scene_report
from segflow.flows.run.vectors import MapContents
from segflow.io.inputs.quality import place_mask
from segflow.io.stac.items import ItemAsset, build_item, write_item
from segflow.io.storage.files import remove_file
from segflow.tiling import NODATA


def remove_stale(plan: RunPlan) -> None:
    """Remove the item of an earlier run, and those of its products that this run does not replace.

    While products change, nothing says that all is there; and no map stays beside another run's vectors.

    Raises
    ------
    OutputError
        If a file cannot be removed.
    """
    for product in plan.products.stale:
        withdraw(plan.products, product)
        remove_file(plan.products.path(product))


def settings_digest(plan: RunPlan) -> str:
    """Give the digest of all that decides the products beyond the pixels."""
    classes = [entry.name for entry in vector_classes(plan.settings, plan.model.spec)]
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
    products, spec = plan.products, plan.model.spec
    for product, source in products.made_from(FromRaster):
        source.write(products.path(source.raster), products.path(product), model_legend(spec))
    write_scene_report(plan, rasters, contents)
    item = build_item(
        name=plan.name,
        grid=plan.scene.grid,
        assets=_assets(plan),
        scene_hrefs=tuple(_href(plan, path) for path in plan.inputs),
        acquired=plan.scene.acquired,
        gsd=plan.ground,
        software={"segflow": __version__},
        lineage=f"Mapped from {_source(plan)} by model {spec.name} {spec.version}",
        properties={
            RECORD: _record(plan, rasters).as_properties(),
            "segflow:classes": class_table(plan, contents),
            **({} if plan.likeness is None else {"segflow:shift": plan.likeness.as_dict()}),
            NODATA_TABLE: [each.as_dict() for each in contents.nodata],
            **moves(plan, contents),
        },
    )
    write_item(products.path(ITEM), item)


def class_table(plan: RunPlan, contents: MapContents) -> list[dict[str, Any]]:
    """Give pixels, area [m²] and mean confidence of every class, and of nodata; of lines their length [km] too."""
    summary, lengths = contents.summary, contents.length_km(plan)
    named = [(c.value, c.name) for c in plan.model.spec.classes] + [(NODATA, "nodata")]
    return [
        {
            "value": value,
            "name": name,
            "pixels": summary.count(value),
            "area_m2": _number(summary.area[value]),
            "confidence_mean": None if value == NODATA else _number(summary.mean_confidence(value)),
            **({"length_km": lengths[name]} if name in lengths else {}),
        }
        for value, name in named
    ]


def moves(plan: RunPlan, contents: MapContents) -> dict[str, Any]:
    """Give what small objects and holes moved from class to class in the vectors; nothing where nothing was asked."""
    if not plan.settings.sieves:
        return {}
    names = {c.value: c.name for c in plan.model.spec.classes}
    return {
        "segflow:moved": [
            {"from": names[m.source], "to": names[m.target], "pixels": m.pixels, "area_m2": _number(m.area_m2)}
            for m in contents.moved
        ]
    }


def _assets(plan: RunPlan) -> list[ItemAsset]:
    """Describe all products but the item itself."""
    legend = model_legend(plan.model.spec)
    return [
        ItemAsset.of(
            plan.products.path(product),
            key=product.name,
            media_type=product.media_type,
            roles=product.roles,
            title=product.title,
            content=None if product.pixels is None else product.pixels.content(legend),
        )
        for product in plan.products.made
        if product is not ITEM
    ]


def _record(plan: RunPlan, rasters: RastersDone) -> ItemRecord:
    settings = plan.settings
    return ItemRecord(
        key=plan.key,
        settings=settings_digest(plan),
        scene=_href(plan, plan.inputs[0]),
        bands=plan.bands,
        access=plan.access,
        model=settings.model if settings.model in shipped_models() else plan.model.path,
        model_digest=plan.model.digest,
        device=settings.device,
        precision=settings.precision,
        tiles=plan.tiles,
        damaged=tuple(sorted(rasters.damaged)),
        files={},
        products=plan.products,
        parts=tuple(_href(plan, path) for path in plan.inputs) if len(plan.inputs) > 1 else (),
        reading=ReadingRecord(
            resample=settings.resample,
            rescale=settings.rescale,
            as_stored=settings.as_stored,
            pixels=describe_conversion(plan.scene, plan.model.spec),
            mask=tuple(
                place_mask(text, lambda path: _href(plan, str(Path(path).absolute()))) for text in settings.mask or ()
            ),
            aoi=None if settings.aoi is None else _href(plan, str(Path(settings.aoi).absolute())),
            aoi_digest=None if plan.area is None else plan.area.digest,
        ),
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
