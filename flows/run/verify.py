"""`segflow verify`: products are what the item says, and tiles left no trace."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from segflow.configs.run import RunSettings
from segflow.errors import OutputError
from segflow.flows.inference.tiles import cut_to_area, load_engine
from segflow.flows.models.lookup import find_model
from segflow.flows.planning.reading import read_as_asked
from segflow.flows.products.entries import CLASSES, CONFIDENCE
from segflow.flows.products.places import SceneProducts
from segflow.flows.run.item import ItemRecord, find_item
from segflow.io.inputs.quality import place_mask
from segflow.io.labels.areas import Area
from segflow.io.raster.maps import open_map
from segflow.io.scene.limits import MIB
from segflow.io.scene.scenes import Scene, open_scene
from segflow.io.storage.addresses import Address, Place, place_of
from segflow.io.storage.files import sha256_file
from segflow.io.storage.objects import fetch_object, sha256_object
from segflow.segmentation.predict.engines import Engine
from segflow.tiling import Span, Tile, TileGrid, Window

SEAM_WINDOW = 256  # px; side of the windows that are predicted again


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was checked and what was found.

    Attributes
    ----------
    folder
        Folder of the products.
    sound_files, broken_files
        Names of files that are what the item says, and problems of those that are not.
    seam_windows, seam_pixels, differing
        Windows and pixels that were predicted again in one piece, and how many pixels of
        the class or the confidence raster differ from that.
    """

    folder: str
    sound_files: tuple[str, ...]
    broken_files: tuple[str, ...]
    seam_windows: int
    seam_pixels: int
    differing: int

    @property
    def sound(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.broken_files and not self.differing

    def as_dict(self) -> dict[str, Any]:
        """Give the result as plain values for JSON."""
        return {"sound": self.sound, **asdict(self)}

    def describe(self) -> str:
        """Give the result as lines to read."""
        lines = [f"✓ {name}" for name in self.sound_files] + [f"✗ {problem}" for problem in self.broken_files]
        if self.seam_windows:
            mark = "✗" if self.differing else "✓"
            lines.append(
                f"{mark} {self.differing} of {self.seam_pixels} pixels differ from a pass in one piece "
                f"({self.seam_windows} windows across tile borders)"
            )
        return "\n".join(lines)


def verify_products(folder: Place | str, *, seams: int = 0, seed: int = 0) -> Verification:
    """Check the products of one scene.

    Parameters
    ----------
    folder
        Folder of the products, with the STAC item, or its address on object storage.
    seams
        Number of random windows across tile borders to predict again in one piece;
        needs the scene and the model where they were.
    seed
        Of the random windows.

    Raises
    ------
    SettingsError
        If it is an address of another kind.
    OutputError
        If there is no finished run in the folder, or the store does not answer.
    """
    place = place_of(folder) if isinstance(folder, str) else folder
    item = find_item(place)
    sound: list[str] = []
    broken: list[str] = []
    for name, (digest, _) in item.files.items():
        problem = _problem(place / name, digest)
        (broken if problem else sound).append(problem or name)
    differing = pixels = count = 0
    if seams and not broken:
        windows = seam_windows(item.tiles, seams, seed)
        count = len(windows)
        pixels = sum(window.size for window in windows)
        differing = _count_differences(item, windows)
    return Verification(
        folder=str(folder),
        sound_files=tuple(sound),
        broken_files=tuple(broken),
        seam_windows=count,
        seam_pixels=pixels,
        differing=differing,
    )


def seam_windows(tiles: TileGrid, count: int, seed: int) -> list[Window]:
    """Choose random windows, each on a border between tiles where there is one."""
    choose = random.Random(seed)  # noqa: S311  # a sample, not a secret
    return [
        Window(_across(choose, tiles.height, tiles.core), _across(choose, tiles.width, tiles.core))
        for _ in range(count)
    ]


def _across(choose: random.Random, length: int, core: int) -> Span:
    """Choose a span of `SEAM_WINDOW` pixels that holds a border between cores, if there is one."""
    size = min(SEAM_WINDOW, length)
    borders = range(core, length, core)
    start = choose.choice(borders) - choose.randint(1, size - 1) if borders else choose.randint(0, length - size)
    start = max(0, min(start, length - size))
    return Span(start, start + size)


def _problem(path: Place, digest: str) -> str:
    found = _sha256(path)
    if found is None:
        return f"{path.name} is missing: run again with --overwrite"
    return "" if found == digest else f"{path.name} was changed (sha256 {found[:12]}…, the item says {digest[:12]}…)"


def _sha256(path: Place) -> str | None:
    if isinstance(path, Address):
        return sha256_object(path)
    return sha256_file(path) if path.is_file() else None


@contextmanager
def _rasters(products: SceneProducts) -> Iterator[SceneProducts]:
    """Give products whose class and confidence rasters lie here, brought from object storage where they lie there."""
    if products.address is None:
        yield products
        return
    with TemporaryDirectory(prefix="segflow-verify-") as folder:
        here = replace(products, folder=Path(folder))
        for path in map(here.path, (CLASSES, CONFIDENCE)):
            fetch_object(products.address / path.name, path)
        yield here


def _count_differences(item: ItemRecord, windows: list[Window]) -> int:
    model = find_model(item.model)
    if model.digest != item.model_digest:
        msg = f"model {item.model} is not the one that made these products: seams cannot be checked"
        raise OutputError(msg)
    reading = read_as_asked(item.inputs, _settings(item), model.spec)
    if reading.area is not None and reading.area.digest != item.reading.aoi_digest:
        msg = f"area of interest {reading.area.path} has changed since the run: seams cannot be checked"
        raise OutputError(msg)
    engine = load_engine(model.path, model.digest, item.device, item.precision, None, False)  # noqa: FBT003
    with (
        _rasters(item.products) as products,
        open_scene(reading.scene, reading.bands, item.access) as scene,
        open_map(products.path(CLASSES)) as classes,
        open_map(products.path(CONFIDENCE)) as confidence,
    ):
        differing = 0
        truth = replace(item.tiles, margin=max(item.tiles.margin, model.spec.dependency or model.spec.margin))
        for window in windows:
            labels, percent = _predict(engine, scene, truth.around(window), reading.area)
            changed = (labels != classes.read(window)) | (percent != confidence.read(window))
            differing += int(np.count_nonzero(changed))
    return differing


def _settings(item: ItemRecord) -> RunSettings:
    """Give settings that read the scene as the run did."""
    reading = item.reading
    return RunSettings(
        bands=item.bands,
        allow_datum_shift=True,  # as the run did, or it would have stopped
        resample=reading.resample,
        rescale=reading.rescale,
        as_stored=reading.as_stored,
        mask=tuple(place_mask(text, item.place) for text in reading.mask) or None,
        aoi=None if reading.aoi is None else item.place(reading.aoi),
        alpha=item.access.alpha,
        nodata=item.access.nodata,
        sidecars=item.access.sidecars,
        allow_remote=item.access.remote,
        max_bands=item.access.limits.max_bands,
        max_pixels=item.access.limits.max_pixels,
        max_block=-(-item.access.limits.max_block_bytes // MIB),
    )


def _predict(engine: Engine, scene: Scene, tile: Tile, area: Area | None) -> tuple[np.ndarray, np.ndarray]:
    pixels, valid = scene.read_window(tile.read)
    whole = engine.predict(pixels[None], valid[None]).crop(0, tile.core_in_read)
    prediction = cut_to_area(area, tile.core, whole)
    return prediction.labels, prediction.confidence
