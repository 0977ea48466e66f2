"""What the pixels of a raster product mean, as its file and the STAC item say it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segflow.io.raster.cogs import RasterStyle
from segflow.io.raster.sidecars import LegendEntry
from segflow.io.stac.items import RasterContent
from segflow.segmentation.spec import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelMeaning:
    """What the pixels of a raster product mean.

    Attributes
    ----------
    bands
        Names of its bands in the item; None: one band per class, called after it.
    descriptions
        Names of its bands in the raster itself; None: those of `bands`.
    scale
        What a pixel is multiplied by to give its meaning; None if it needs no scale.
    thematic
        Whether the values are classes, which have colours and whose overviews are made by mode.
        Other values are quantities, whose overviews are averages.
    """

    bands: tuple[str, ...] | None
    descriptions: tuple[str, ...] | None = None
    scale: float | None = None
    thematic: bool = False

    def style(self, legend: Sequence[LegendEntry], tags: Mapping[str, str]) -> RasterStyle:
        """Give what the raster of a model with these classes says about itself."""
        return RasterStyle(
            descriptions=self.descriptions or self._bands(legend),
            overviews="mode" if self.thematic else "average",
            colours={entry.value: entry.rgb for entry in legend} if self.thematic else None,
            scale=self.scale,
            tags=tags,
        )

    def content(self, legend: Sequence[LegendEntry]) -> RasterContent:
        """Give what the item says about the raster."""
        return RasterContent(
            bands=self._bands(legend), scale=self.scale, classes=tuple(legend) if self.thematic else ()
        )

    def _bands(self, legend: Sequence[LegendEntry]) -> tuple[str, ...]:
        return tuple(entry.name for entry in legend) if self.bands is None else self.bands


def model_legend(spec: ModelSpec) -> tuple[LegendEntry, ...]:
    """Give the classes of a model as a legend."""
    return tuple(LegendEntry(value=entry.value, name=entry.name, rgb=entry.rgb) for entry in spec.classes)
