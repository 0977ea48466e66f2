"""Whether scene, model and settings fit each other."""

from pathlib import Path

from segflow.configs.run import RunSettings
from segflow.errors import SceneMismatchError, SettingsError
from segflow.flows.products.places import SceneProducts
from segflow.flows.products.product import FromObjects
from segflow.io.scene.bands import find_contradictions
from segflow.io.scene.scenes import SceneInfo
from segflow.io.scene.sources import placing_files
from segflow.io.vector.formats import check_format
from segflow.segmentation.spec import ModelSpec


def check_scene(scene: SceneInfo, ground: float | None, spec: ModelSpec) -> None:
    """Check that the scene's resolution is one that the model was trained for.

    Raises
    ------
    SceneMismatchError
        If it is not, with advice that helps: finer pixels can be averaged, coarser ones hold no more detail.
    """
    name = Path(scene.path).name
    low, high = spec.gsd_range
    if ground is not None and not low <= ground <= high:
        advice = (
            f"read it at {spec.gsd:g} m with --resample, or choose another model"
            if ground < low
            else "its pixels are too coarse, and resampling adds no detail: choose another model or a finer scene"
        )
        msg = (
            f"{name} has a ground sampling distance of {ground:.4g} m, but model {spec.name} needs "
            f"{low:g} to {high:g} m: {advice}"
        )
        raise SceneMismatchError(msg)


def check_products(products: SceneProducts) -> None:
    """Check that the formats of the vector files can be written here.

    Raises
    ------
    SettingsError
        If one needs an extra that is not installed.
    """
    for _, source in products.made_from(FromObjects):
        check_format(source.format)


def check_classes(settings: RunSettings, spec: ModelSpec) -> None:
    """Check that the classes to vectorise, and those with a minimum area, are classes of the model.

    Raises
    ------
    SettingsError
        If one is not.
    """
    known = [entry.name for entry in spec.classes]
    for name in (*(settings.classes or ()), *settings.areas):
        if name not in known:
            option = "" if name in (settings.classes or ()) else "--min-area: "
            msg = f"{option}class {name!r} is not a class of model {spec.name}: choose from {', '.join(known)}"
            raise SettingsError(msg)


def is_exact(spec: ModelSpec, margin: int) -> bool:
    """Tell whether tiles with this margin give the whole-scene pass."""
    return not spec.is_graph and _covers(spec, margin)


def _covers(spec: ModelSpec, margin: int) -> bool:
    """Tell whether a margin is as long as the dependency, which for an ONNX graph was tried out and is no proof."""
    return spec.dependency is not None and margin >= spec.dependency


def find_warnings(
    scene: SceneInfo, bands: tuple[int, ...], spec: ModelSpec, margin: int, *, sidecars: bool = False
) -> list[str]:
    """Give what the user should know though it stops nothing."""
    name = Path(scene.path).name
    found = [f"{name}: {line}" for line in find_contradictions(scene, bands)]
    lacks = scene.grid.crs is None or not scene.georeferenced
    beside = placing_files(scene.path) if lacks and not sidecars else ()
    if beside:
        what = " and ".join(beside)
        found.append(f"{name} lacks a place or a CRS, which {what} beside it may tell: --sidecars reads such files")
    if scene.grid.crs is None:
        found.append(f"{name} has no CRS: resolution is not checked, areas are not given, products have no CRS either")
    if not _covers(spec, margin):
        reach = "has no bound" if spec.dependency is None else f"is {spec.dependency} px"
        found.append(
            f"margin {margin} px does not cover the dependency of model {spec.name}, which {reach}: "
            "the map may depend on the tiling"
        )
    return found
