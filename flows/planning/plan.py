"""The plan of a run: everything that can be known, and everything that can fail, before the first forward pass."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from segflow.configs.fields import values_that_change
from segflow.configs.run import TILE_STEP, RunSettings
from segflow.configs.setting import PIXELS
from segflow.errors import SettingsError
from segflow.flows.access import run_access
from segflow.flows.models.lookup import ModelRef, find_model
from segflow.flows.planning.checks import check_classes, check_products, check_scene, find_warnings, is_exact
from segflow.flows.planning.gpu_tiling import gpu_core, uses_gpu
from segflow.flows.planning.likeness import Likeness, look_at
from segflow.flows.planning.paths import place_products, work_folder
from segflow.flows.planning.reading import SceneReading, read_as_asked
from segflow.flows.products.entries import wanted_products
from segflow.flows.products.places import SceneProducts
from segflow.io.inputs.kinds import ScenePath
from segflow.io.inputs.quality import mask_digests
from segflow.io.labels.areas import Area
from segflow.io.scene.access import Access
from segflow.io.scene.ground import gsd
from segflow.io.scene.identity import input_identity
from segflow.io.scene.scenes import SceneInfo
from segflow.io.scene.sources import unread_masks
from segflow.segmentation.predict.opening import device_of
from segflow.segmentation.spec import ModelSpec
from segflow.tiling import TileGrid

FORMAT = 1  # of work folders and products; raised when the same inputs would give other bytes
LARGEST_CORE = 2048  # px; larger tiles save less than 5 % of the work and quadruple the memory
MEMORY_SHARE = 0.5  # of the memory that is free may go into forward passes
BYTES_PER_PIXEL = 600  # of a read; the U-Net was measured to take 440 at first and 570 once its heap has settled


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """One scene, one model, one tiling, one place for the products.

    Attributes
    ----------
    scene, bands
        The scene and the numbers of the bands that the model gets, in its order.
    area
        What is mapped; None: all of the scene.
    scene_digest
        ``sha256:…`` of the scene's content.
    inputs
        Absolute paths or addresses of what was given: one, or the files of a mosaic in their order.
    ground
        Ground sampling distance at the scene's centre [m]; None without a CRS.
    model
        The model.
    tiles
        Cores, reads, margin.
    settings
        What the user asked for.
    products
        The products that the run makes, and where they go.
    key
        Digest of all that decides the value of a pixel; runs with one key share their work.
    warnings
        What the user should know though it stops nothing.
    likeness
        How like the scene's pixels are to the model's training pixels; None where the model does not tell.
    """

    scene: SceneInfo
    bands: tuple[int, ...]
    area: Area | None
    scene_digest: str
    inputs: tuple[str, ...]
    ground: float | None
    model: ModelRef
    tiles: TileGrid
    settings: RunSettings
    products: SceneProducts
    key: str
    warnings: tuple[str, ...]
    likeness: Likeness | None = None

    @property
    def name(self) -> str:
        """Name of the scene: as given, else its own: that of its file, its folder or its STAC item."""
        return self.products.name

    @property
    def work(self) -> Path:
        """Where the work in progress lies."""
        return work_folder(self.settings) / self.key

    @property
    def access(self) -> Access:
        """How the scene may be opened."""
        return run_access(self.settings)

    @property
    def touched(self) -> int:
        """Number of tiles that are read: those with a pixel in the area that is mapped."""
        return len(self.tiles) if self.area is None else sum(self.area.touches(tile.core) for tile in self.tiles)

    @property
    def exact(self) -> bool:
        """Whether the map equals one whole-scene forward pass."""
        return is_exact(self.model.spec, self.tiles.margin)


def plan_run(path: ScenePath, settings: RunSettings, *, remember: bool = True) -> RunPlan:
    """Check scene, model and settings against each other and plan the run.

    Parameters
    ----------
    path
        A GeoTIFF, a VRT, a folder of bands, a STAC item; several GeoTIFFs are the parts of one scene.
    settings
        What to do with it.
    remember
        Whether the digest of the scene may be kept in the output folder, so that the next
        run need not read the whole scene for it.

    Raises
    ------
    SegflowError
        The first thing that would keep the run from succeeding.
    """
    several = not isinstance(path, str | os.PathLike) and len(path) > 1
    if several and not settings.name:
        msg = "a mosaic is called after none of its files: give it a name with --name"
        raise SettingsError(msg)
    model = find_model(settings.model)
    reading = read_as_asked(path, settings, model.spec)
    scene = reading.scene
    ground = gsd(scene.grid)
    check_scene(scene, ground, model.spec)
    check_classes(settings, model.spec)
    products = place_products(settings, settings.name or scene.name, wanted_products(settings, model.spec))
    check_products(products)
    tiles = tile_scene(scene.grid.shape, model.spec, settings)
    device = settings.device if settings.scheduler else device_of(model.spec, settings.device).type
    look = look_at(reading, model.spec, settings, run_access(settings))
    digest = input_identity(
        scene,
        run_access(settings),
        cache=work_folder(settings) / "scenes.json" if remember else None,
    )
    return RunPlan(
        scene=scene,
        bands=reading.bands,
        area=reading.area,
        scene_digest=digest,
        inputs=tuple(part.path for part in scene.stacks[0]) if several else (scene.path,),
        ground=ground,
        model=model,
        tiles=tiles,
        settings=settings,
        products=products,
        key=run_key(digest, reading, model, tiles, device, settings, mask_digests(scene, run_access(settings))),
        warnings=(
            *find_warnings(scene, reading.bands, model.spec, tiles.margin, sidecars=settings.sidecars),
            *unread_masks(scene.files, run_access(settings)),
            *look.warnings,
            *reading.notes,
        ),
        likeness=look.likeness,
    )


def tile_scene(shape: tuple[int, int], spec: ModelSpec, settings: RunSettings) -> TileGrid:
    """Give the tiling of a scene: as asked, else by the model and the memory there is.

    Raises
    ------
    SettingsError
        If the core that was asked for is not a multiple of the model's stride.
    """
    margin = spec.margin if settings.margin is None else settings.margin
    if settings.tile is None and not spec.is_graph and uses_gpu(settings):
        core = gpu_core(shape, margin, spec.stride, settings)
    else:
        core = settings.tile or _default_core(shape, spec, margin, max(1, settings.workers))
    if settings.tile is None and spec.input_size is not None:
        core = max(core, _least_core(spec.input_size, margin))
    if core % spec.stride:
        msg = f"tile {core} px is not a multiple of the stride {spec.stride} px of model {spec.name}"
        raise SettingsError(msg)
    tiles = TileGrid(height=shape[0], width=shape[1], core=core, margin=margin, stride=spec.stride)
    if spec.input_size is not None:
        _check_input(tiles, spec, spec.input_size, settings)
    return tiles


def _check_input(tiles: TileGrid, spec: ModelSpec, size: int, settings: RunSettings) -> None:
    """Check that reads fill the input of a model that takes one size only, and reach no farther than it can look."""
    if tiles.margin > spec.margin:
        msg = (
            f"margin {tiles.margin} px does not fit model {spec.name}: its input of {size} px was packaged with a "
            f"margin of {spec.margin} px, and a larger one shows it no more: leave --margin out"
        )
        raise SettingsError(msg)
    reach = -(-tiles.margin // spec.stride) * spec.stride
    if settings.tile is not None and any(
        read < min(size, axis.extended) for read, axis in zip(tiles.read_shape, (tiles.rows, tiles.cols), strict=True)
    ):
        least = _least_core(size, reach)
        msg = (
            f"tile {tiles.core} px with margin {tiles.margin} px reads {tiles.core + 2 * reach} px, but model "
            f"{spec.name} takes an input of {size} px: choose --tile {least} or more"
        )
        raise SettingsError(msg)


def _least_core(size: int, margin: int) -> int:
    """Give the smallest core whose read fills an input of a fixed size [px]."""
    return max(TILE_STEP, -(-(size - 2 * margin) // TILE_STEP) * TILE_STEP)


def run_key(  # the inputs that decide a pixel, each by name
    scene_digest: str,
    reading: SceneReading,
    model: ModelRef,
    tiles: TileGrid,
    device: str,
    settings: RunSettings,
    masks: Sequence[object] = (),
) -> str:
    """Give the digest of all that decides the value of a pixel: the scene's content, and each setting that does.

    Where a setting has been resolved, what it has become decides, so that a model may be given by name or by path.
    The tiling is part of it only where the map depends on the tiling.
    """
    exact = is_exact(model.spec, tiles.margin)
    scene, area = reading.scene, reading.area
    resolved = {
        "name": settings.name or scene.name,
        "bands": reading.bands,
        "model": model.digest,
        "device": device,
        "scheduler": None,  # `device` says what it decides
        "aoi": None if area is None else area.digest,
        "mask": list(masks),
        "rescale": None if scene.conversion is None else asdict(scene.conversion),
        "mosaic": None,  # the scene's digest says of what parts it is
        "resample": None if scene.native is None else scene.grid.shape,
        "tile": None if exact else tiles.core,
        "margin": None if exact else tiles.margin,
    }
    parts = {"format": FORMAT, "scene": scene_digest, "settings": values_that_change(settings, PIXELS, resolved)}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def forward_memory(tiles: TileGrid, batch: int = 1) -> int:
    """Estimate the memory of one forward pass [bytes]."""
    height, width = tiles.read_shape
    return height * width * BYTES_PER_PIXEL * batch


def _default_core(shape: tuple[int, int], spec: ModelSpec, margin: int, workers: int) -> int:
    """Give the largest core whose forward pass fits, no larger than the scene needs."""
    budget = psutil.virtual_memory().available * MEMORY_SHARE / workers
    core = min(spec.core, LARGEST_CORE)
    while core > TILE_STEP and (core + 2 * margin) ** 2 * BYTES_PER_PIXEL > budget:
        core //= 2
    needed = -(-max(shape) // TILE_STEP) * TILE_STEP
    return max(TILE_STEP, min(core // TILE_STEP * TILE_STEP, needed))
