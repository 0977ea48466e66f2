"""The map that is evaluated: its rasters, classes and tiles, whoever made it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from segflow.errors import SceneError, SettingsError
from segflow.flows.products.entries import CLASSES, CONFIDENCE
from segflow.flows.products.places import SceneProducts, item_place
from segflow.flows.run.item import read_item
from segflow.io.labels.fields import class_text
from segflow.io.labels.rasters import same_grid
from segflow.io.labels.references import UNKNOWN, Values, open_classes
from segflow.io.raster.classes import PALETTE, describe_classes, read_colours
from segflow.io.raster.sidecars import LegendEntry
from segflow.io.scene.access import LOCAL, Access
from segflow.io.scene.scenes import SceneInfo, describe_scene
from segflow.io.stac.classification import read_class_objects
from segflow.io.work.json_files import read_json
from segflow.tiling import NODATA, TileGrid

BLOCK = 1024  # px; a multiple of the 64 px cells that areas are measured in
_COUNTED = 65_536  # a wider range of values is sorted instead of counted


@dataclass(frozen=True, slots=True, kw_only=True)
class MapToEvaluate:
    """A class raster with what is known of it.

    Attributes
    ----------
    name
        What its evaluation is called after.
    classes
        The class raster.
    confidence
        Its confidence raster, if there is one.
    legend
        Its classes, in the order of their values; empty if nobody says.
    tile
        Side of the cores of the tiles it was made in [px], if that is known.
    access
        How its rasters may be opened.
    """

    name: str
    classes: SceneInfo
    confidence: SceneInfo | None
    legend: tuple[LegendEntry, ...]
    tile: int | None
    access: Access = LOCAL

    @classmethod
    def find(cls, path: Path, access: Access = LOCAL) -> Self:
        """Find a map by the path of a class raster, or of a folder of products.

        Raises
        ------
        SceneError
            If there is none, or it holds no class values.
        """
        if path.is_dir():
            folder = path.resolve()
            path = SceneProducts(folder=folder, name=folder.name).path(CLASSES)
            if not path.is_file():
                msg = f"{path.parent} holds no {path.name}: give a class raster, or the folder of one scene, OUT/SCENE"
                raise SceneError(msg)
        info = describe_classes(path, access, role="map")
        folder, name = path.resolve().parent, path.stem.removesuffix(CLASSES.ending)
        ours = path.stem == folder.name + CLASSES.ending
        item = read_item(folder) if ours else None
        percent = path.with_name(CONFIDENCE.file_name(name))
        known = percent != path and percent.is_file()
        return cls(
            name=name,
            classes=info,
            confidence=_confidence(percent, info, access) if known else None,
            legend=_item_legend(folder) if ours else (),
            tile=item.tiles.core if item else None,
            access=access,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTable:
    """Turns values of rasters into the numbers that classes are counted under.

    Attributes
    ----------
    legend
        The classes; the first is counted under 0, and so on.
    mapping
        Class value by entry of the reference, where they differ; 255 ignores.
    """

    legend: tuple[LegendEntry, ...]
    mapping: Mapping[str, int]

    @property
    def names(self) -> dict[str, int]:
        """Class value by name."""
        return {entry.name: entry.value for entry in self.legend}

    @property
    def values(self) -> tuple[int, ...]:
        """Values of the classes."""
        return tuple(entry.value for entry in self.legend)

    def number(self, raw: Values, role: str, *, mapped: bool) -> npt.NDArray[np.uint8]:
        """Give the numbers of values; 255 for what is unknown or 255 itself.

        Raises
        ------
        SceneError
            If a value is no class.
        """
        numbers = {value: index for index, value in enumerate(self.values)} | {UNKNOWN: NODATA, NODATA: NODATA}
        found = distinct(raw)
        meant = [self.mapping.get(str(value), value) if mapped else value for value in found]
        strange = [str(value) for value, mean in zip(found, meant, strict=True) if mean not in numbers]
        if strange:
            classes = ", ".join(f"{entry.value} ({entry.name})" for entry in self.legend)
            msg = (
                f"{role} holds {', '.join(strange[:8])}, but the classes of the map are {classes}: "
                f"say what is meant with --class-value {strange[0]}={self.values[0]} (255 ignores)"
            )
            raise SceneError(msg)
        labels = np.full(raw.shape, NODATA, np.uint8)
        for value, mean in zip(found, meant, strict=True):
            labels[raw == value] = numbers[mean]
        return labels


def parse_class_values(given: list[str]) -> dict[str, int]:
    """Give the class value of each entry from ``ENTRY=VALUE`` words.

    Raises
    ------
    SettingsError
        If a word is not of that form, or its value is out of range.
    """
    values = {}
    for word in given:
        entry, _, value = word.rpartition("=")
        if not entry or not value.strip().isdigit() or int(value) > NODATA:
            msg = f"--class-value {word!r} must read ENTRY=VALUE with a value from 0 to {NODATA}, as in water=2"
            raise SettingsError(msg)
        values[class_text(entry)] = int(value)
    return values


def legend_of(values: set[int], info: SceneInfo) -> tuple[LegendEntry, ...]:
    """Make a legend for a map that brings none: names by value, colours from its colour table.

    Raises
    ------
    SceneError
        If there are values that no class raster can hold.
    """
    wrong = [value for value in sorted(values) if not 0 <= value < NODATA]
    if wrong:
        shown = ", ".join(map(str, wrong[:8]))
        msg = f"map {info.path} holds {shown}, but class values go from 0 to {NODATA - 1}: choose a class map"
        raise SceneError(msg)
    colours = read_colours(info)
    return tuple(
        LegendEntry(value=value, name=f"class {value}", rgb=colours.get(value, PALETTE[index % len(PALETTE)]))
        for index, value in enumerate(sorted(values))
    )


def distinct(raw: Values) -> list[int]:
    """Give the values that occur, in their order; counting is ten times as fast as the sort of `numpy.unique`."""
    if not raw.size:
        return []
    low, high = int(raw.min()), int(raw.max())
    if high - low > _COUNTED:
        found: list[int] = np.unique(raw).tolist()
        return found
    held: list[int] = (np.flatnonzero(np.bincount((raw - low).ravel())) + low).tolist()
    return held


def values_in(info: SceneInfo, access: Access = LOCAL) -> set[int]:
    """Give the values that occur in a class raster, 255 aside."""
    found: set[int] = set()
    with open_classes(info, access) as raster:
        for tile in TileGrid(height=info.grid.height, width=info.grid.width, core=BLOCK, margin=0, stride=1):
            found |= set(distinct(raster.read(tile.core)))
    return found - {UNKNOWN, NODATA}


def _item_legend(folder: Path) -> tuple[LegendEntry, ...]:
    """Give the classes that the item of a product folder names; none without an item."""
    item = read_json(item_place(folder))
    try:
        return read_class_objects(item["assets"][CLASSES.name]) if item else ()
    except (KeyError, TypeError, ValueError):
        return ()


def _confidence(path: Path, classes: SceneInfo, access: Access) -> SceneInfo:
    info = describe_scene(path, access)
    if info.dtype != "uint8" or not same_grid(info.grid, classes.grid):
        msg = f"confidence raster {path} does not belong to {classes.path}: move one of them"
        raise SceneError(msg)
    return info
