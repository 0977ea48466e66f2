"""What the report of a run says: the map in numbers, and where every choice came from.

It holds no timings and no date of its own, so that equal runs give equal bytes.
"""

from pathlib import Path

from segflow import __version__
from segflow.flows.planning.encoding import describe_conversion
from segflow.flows.planning.plan import RunPlan
from segflow.flows.products.entries import CLASSES, REPORT
from segflow.flows.products.places import SceneProducts
from segflow.flows.run.rasters import RastersDone
from segflow.flows.run.vectors import MapContents
from segflow.flows.vectorize.rules import least_area_text
from segflow.io.pages.map import ClassShare, ReportContent, ReportFile, ReportSection, area_text, write_report
from segflow.io.scene.bands import describe_choice
from segflow.io.storage.files import file_size
from segflow.tiling import NODATA


def write_scene_report(plan: RunPlan, rasters: RastersDone, contents: MapContents) -> None:
    """Write the report of a run.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    write_report(
        plan.products.path(REPORT),
        report_content(plan, rasters, contents),
        classes=plan.products.path(CLASSES),
        scene=None if rasters.damaged else plan.scene.plain,
        access=plan.access,
        area=plan.area,
    )


def report_content(plan: RunPlan, rasters: RastersDone, contents: MapContents) -> ReportContent:
    """Give all that the report says in words and numbers."""
    spec = plan.model.spec
    names = " and ".join(entry.name for entry in spec.classes)
    return ReportContent(
        title=plan.name,
        summary=f"{names}, mapped by {spec.name} {spec.version}",
        grid=plan.scene.grid,
        gsd=plan.ground,
        classes=_shares(plan, contents),
        nodata=contents.summary.count(NODATA),
        notes=(*plan.warnings, *_damage(plan, rasters)),
        sections=(
            _scene_facts(plan),
            _model_facts(plan),
            _run_facts(plan),
            *_line_facts(plan, contents),
            *_nodata_facts(plan, contents),
            *_moved_facts(plan, contents),
        ),
        files=_files(plan.products),
        footer=f"segflow {__version__}, run {plan.key}",
    )


def _shares(plan: RunPlan, contents: MapContents) -> tuple[ClassShare, ...]:
    summary = contents.summary
    return tuple(
        ClassShare(
            name=entry.name,
            rgb=entry.rgb,
            confidence=tuple(int(count) for count in summary.pixels[entry.value]),
            area_m2=None if plan.scene.grid.crs is None else float(summary.area[entry.value]),
            objects=contents.objects.get(entry.value),
        )
        for entry in plan.model.spec.classes
    )


def _damage(plan: RunPlan, rasters: RastersDone) -> tuple[str, ...]:
    if not rasters.damaged:
        return ()
    numbers = ", ".join(str(index) for index in sorted(rasters.damaged))
    return (f"{len(rasters.damaged)} of {len(plan.tiles)} tiles could not be read and are left empty: {numbers}",)


def _scene_facts(plan: RunPlan) -> ReportSection:
    scene = plan.scene
    facts = [
        ("File", Path(scene.path).name + (f" and {len(plan.inputs) - 1} more" if len(plan.inputs) > 1 else "")),
        ("Shape", f"{scene.grid.height} × {scene.grid.width} px{_native(plan)}"),
        ("Resolution", "unknown" if plan.ground is None else f"{plan.ground:.4g} m"),
        ("Bands", describe_choice(scene, tuple(band.name for band in plan.model.spec.bands), plan.bands)),
        ("Pixels", describe_conversion(scene, plan.model.spec)),
        *([("Like the training scenes", plan.likeness.describe())] if plan.likeness else []),
        *([("Masks", ", ".join(mask.name for mask in scene.masks))] if scene.masks else []),
        *([("Area of interest", Path(plan.area.path).name)] if plan.area else []),
        ("Acquired", scene.acquired or "unknown"),
        ("Content", plan.scene_digest),
    ]
    return ReportSection(title="Scene", facts=tuple(facts))


def _native(plan: RunPlan) -> str:
    """Say what a resampled scene was before."""
    native = plan.scene.native
    return "" if native is None else f", resampled from {native.height} × {native.width} px"


def _model_facts(plan: RunPlan) -> ReportSection:
    spec = plan.model.spec
    reach = "no bound" if spec.dependency is None else f"{spec.dependency} px"
    facts = [
        ("Name", f"{spec.name} {spec.version}"),
        ("Network", spec.architecture),
        ("Bands", ", ".join(band.name for band in spec.bands)),
        ("Resolution", f"{spec.gsd:g} m, accepts {spec.gsd_range[0]:g} to {spec.gsd_range[1]:g} m"),
        ("Dependency", reach),
        ("Trained on", spec.data or "unknown"),
        ("Licence", spec.licence or "unknown"),
        ("Content", plan.model.digest),
    ]
    return ReportSection(title="Model", facts=tuple(facts))


def _run_facts(plan: RunPlan) -> ReportSection:
    tiles, settings = plan.tiles, plan.settings
    promise = "equals one pass over the whole scene" if plan.exact else "may depend on the tiling"
    facts = [
        ("Tiles", f"{len(tiles)} of {tiles.core} px, margin {tiles.margin} px, stride {tiles.stride} px"),
        ("The map", promise),
        ("Precision", settings.precision),
        ("Smallest polygon", least_area_text(settings)),
        ("Simplified by", f"{settings.simplify:g} px" if settings.simplify else "nothing"),
        ("Run", plan.key),
    ]
    return ReportSection(title="Run", facts=tuple(facts))


def list_moves(plan: RunPlan, contents: MapContents) -> tuple[tuple[str, str], ...]:
    """Give from which class to which small objects and holes moved in the vectors, and how much."""
    names = {entry.value: entry.name for entry in plan.model.spec.classes}
    return tuple(
        (f"{names[move.source]} → {names[move.target]}", f"{move.pixels:,} px, {area_text(move.area_m2)}")
        for move in contents.moved
    )


def _line_facts(plan: RunPlan, contents: MapContents) -> tuple[ReportSection, ...]:
    """Say how long the lines are; nothing where no class is lines."""
    facts = tuple((name, f"{length:,.3f} km") for name, length in contents.length_km(plan).items())
    return (ReportSection(title="Length of lines", facts=facts),) if facts else ()


def _nodata_facts(plan: RunPlan, contents: MapContents) -> tuple[ReportSection, ...]:
    """Say why pixels are nodata; nothing where none is."""
    share = plan.scene.grid.window.size / 100
    facts = tuple(
        (each.cause[:1].upper() + each.cause[1:], f"{each.pixels:,} px, {each.pixels / share:.3g} %")
        for each in contents.nodata
    )
    return (ReportSection(title="No data", facts=facts),) if facts else ()


def _moved_facts(plan: RunPlan, contents: MapContents) -> tuple[ReportSection, ...]:
    """Say what small objects moved, if they were to move; the rasters stay as they were predicted."""
    if not plan.settings.sieves:
        return ()
    facts = list_moves(plan, contents) or (("Nothing", "no object or hole was small enough"),)
    return (ReportSection(title="Moved in the vectors", facts=facts),)


def _files(products: SceneProducts) -> tuple[ReportFile, ...]:
    return tuple(
        ReportFile(name=product.file_name(products.name), title=product.caption, size=file_size(products.path(product)))
        for product in products.made
        if product.caption is not None
    )
