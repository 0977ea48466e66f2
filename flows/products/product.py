"""What a product is: its file, what the item and the report say about it, and what it is made from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from segflow.configs.run import RunSettings
from segflow.flows.products.pixels import PixelMeaning
from segflow.io.raster.sidecars import LegendEntry
from segflow.io.vector.formats import Format
from segflow.segmentation.spec import ModelSpec

if TYPE_CHECKING:
    from segflow.io.work.canvas import Layer  # brings zarr, which `segflow vectorize` does without

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class FromCanvas:
    """A raster that is made from a layer of the canvas, tile by tile.

    Attributes
    ----------
    layer
        The layer that is read.
    derive
        Gives the pixels of the raster, (bands, height, width) or (height, width), from those of the layer;
        None: they are the same.
    """

    layer: "Layer"
    derive: Callable[[Pixels], Pixels] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FromObjects:
    """A vector file that the polygons and centrelines are written to.

    Attributes
    ----------
    format
        Its format.
    """

    format: Format


@dataclass(frozen=True, slots=True, kw_only=True)
class FromRaster:
    """A file that is made from a finished raster: a sidecar, or the same pixels in another format.

    Attributes
    ----------
    raster
        The product that it is made from.
    write
        Writes it: given the path of the raster, the path to write and the classes.
    """

    raster: "Product"
    write: Callable[[Path, Path, Sequence[LegendEntry]], None]


def always(_settings: RunSettings, _spec: ModelSpec) -> bool:
    """Tell that every run makes a product."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One file that a run can make for a scene.

    Attributes
    ----------
    name
        Its name; the item lists it under this key.
    suffix
        What its file name adds to the name of the scene.
    media_type, roles, title
        What the item says it is.
    caption
        What the report's list of files says it is; None: the report does not list it.
    pixels
        What its pixels mean, if it is a raster.
    made_from
        What it is made from. The report and the item, which sum up all others, are made from the run itself: None.
    wanted
        Whether a run with these settings and this model makes it.
    """

    name: str
    suffix: str
    media_type: str
    roles: tuple[str, ...]
    title: str
    caption: str | None = None
    pixels: PixelMeaning | None = None
    made_from: FromCanvas | FromObjects | FromRaster | None = None
    wanted: Callable[[RunSettings, ModelSpec], bool] = always

    def __post_init__(self) -> None:
        if isinstance(self.made_from, FromCanvas) and self.pixels is None:
            msg = f"product {self.name} is a raster: say what its pixels mean"
            raise ValueError(msg)

    @property
    def ending(self) -> str:
        """What the stem of its file name adds to the name of the scene: ``_classes`` of ``_classes.tif``."""
        return PurePath(f"-{self.suffix}").stem[1:]

    @property
    def content_type(self) -> str:
        """What object storage tells a browser or a GIS; all text is UTF-8."""
        return f"{self.media_type}; charset=utf-8" if self.media_type.startswith("text/") else self.media_type

    def file_name(self, scene: str) -> str:
        """Give the name of its file for a scene."""
        return scene + self.suffix
