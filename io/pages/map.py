"""The report of a map: one HTML page to look at, complete in itself, the same for the same map."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segflow.io.labels.areas import Area
from segflow.io.pages.charts import Bar, histogram
from segflow.io.pages.quicklook import class_picture, jpeg_uri, png_uri, scene_picture, step_of
from segflow.io.pages.templates import page_template
from segflow.io.raster.sidecars import LegendEntry
from segflow.io.scene.access import LOCAL, Access
from segflow.io.scene.info import SceneInfo
from segflow.io.storage.files import write_text
from segflow.tiling import Grid

PERCENT = 101  # confidences from 0 to 100 %
_TEMPLATE = "map.html"
_THIN = "\u202f"  # narrow space between thousands, and before units
_SCALE_BAR = 0.25  # of the map's width, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassShare:
    """How much of the map one class holds.

    Attributes
    ----------
    name, rgb
        As the legend shows it.
    confidence
        Number of its pixels at each confidence from 0 to 100 %, 101 values.
    area_m2
        Its area on the ellipsoid [m²]; None for a scene without a CRS.
    objects
        Number of its objects in the GeoPackage; None if it has no layer there.
    """

    name: str
    rgb: tuple[int, int, int]
    confidence: tuple[int, ...]
    area_m2: float | None
    objects: int | None = None

    def __post_init__(self) -> None:
        if len(self.confidence) != PERCENT:
            msg = f"class {self.name}: needs {PERCENT} counts of confidence, got {len(self.confidence)}"
            raise ValueError(msg)

    @property
    def pixels(self) -> int:
        """Number of its pixels."""
        return sum(self.confidence)

    @property
    def colour(self) -> str:
        """Its colour as ``#rrggbb``."""
        return "#" + bytes(self.rgb).hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSection:
    """A table of facts: name and value of each."""

    title: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFile:
    """A product that the report names.

    Attributes
    ----------
    name
        Its file, in the folder of the report.
    title
        What it is.
    size
        Its size [bytes]; None where that is not known yet.
    """

    name: str
    title: str
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContent:
    """All that a report says in words and numbers.

    Attributes
    ----------
    title, summary
        Name of the scene, and a sentence on what was mapped.
    grid
        Grid of the map.
    gsd
        Ground sampling distance [m], for the scale bar; None for a scene without a CRS.
    classes
        The classes in the order of the legend.
    nodata
        Number of pixels without data.
    notes
        What the reader must know: no CRS, damaged tiles, …
    sections
        Facts on scene, model, settings, provenance.
    files
        The products.
    footer
        Last line.
    """

    title: str
    summary: str
    grid: Grid
    gsd: float | None
    classes: tuple[ClassShare, ...]
    nodata: int
    notes: tuple[str, ...] = ()
    sections: tuple[ReportSection, ...] = ()
    files: tuple[ReportFile, ...] = ()
    footer: str = ""

    @property
    def mapped(self) -> int:
        """Number of pixels that have a class."""
        return sum(entry.pixels for entry in self.classes)


def write_report(
    path: str | os.PathLike[str],
    content: ReportContent,
    *,
    classes: Path,
    scene: SceneInfo | None,
    access: Access = LOCAL,
    area: Area | None = None,
) -> None:
    """Write a report.

    Parameters
    ----------
    path
        Where it goes.
    content
        What it says.
    classes
        The finished class raster.
    scene
        The scene, to be shown below the classes; None to show the classes alone.
    access
        How the scene may be opened.
    area
        The part of the scene that is shown; None: all of it.

    Raises
    ------
    OutputError
        If it cannot be written; `DamagedError` if the class raster cannot be read.
    SceneError
        If the scene cannot be read.
    """
    legend = [LegendEntry(value=value, name=entry.name, rgb=entry.rgb) for value, entry in enumerate(content.classes)]
    picture = None if scene is None else scene_picture(scene, access, area=area)
    step = step_of(content.grid)
    width, height = -(-content.grid.width // step), -(-content.grid.height // step)
    page = page_template(_TEMPLATE).render(
        content=content,
        rows=_rows(content),
        figures=_figures(content),
        histogram=histogram([Bar(name=e.name, colour=e.colour, counts=e.confidence) for e in content.classes]),
        map=png_uri(class_picture(classes, legend)),
        scene=None if picture is None else jpeg_uri(picture),
        width=width,
        height=height,
        upscale=_upscale(width, height),
        scale=_scale_bar(content),
        north=_north(content.grid),
        files=[(file, _bytes(file.size)) for file in content.files],
    )
    write_text(path, page)


def _rows(content: ReportContent) -> list[dict[str, str | float]]:
    """Give the table of classes."""
    total = max(1, content.mapped)
    return [
        {
            "name": entry.name,
            "colour": entry.colour,
            "pixels": _thousands(entry.pixels),
            "share": 100 * entry.pixels / total,
            "area": area_text(entry.area_m2),
            "confidence": _percent(_mean([entry])),
            "objects": "–" if entry.objects is None else _thousands(entry.objects),
        }
        for entry in content.classes
    ]


def _figures(content: ReportContent) -> list[tuple[str, str]]:
    """Give the figures that stand at the top, name and value."""
    areas = [entry.area_m2 for entry in content.classes]
    known = [area for area in areas if area is not None and not math.isnan(area)]
    whole = content.grid.window.size
    mapped = ("Mapped", area_text(sum(known)) if known else f"{_thousands(content.mapped)}{_THIN}px")
    largest = max(content.classes, key=lambda entry: entry.pixels, default=None)
    figures = [mapped]
    if largest is not None and content.mapped:
        figures.append((largest.name, _percent(largest.pixels / content.mapped)))
    figures.append(("Mean confidence", _percent(_mean(content.classes))))
    figures.append(("Without data", _percent(content.nodata / whole)))
    return figures


def _mean(classes: Sequence[ClassShare]) -> float:
    """Give the mean confidence of classes, 0 to 1; NaN without pixels."""
    counts = [sum(column) for column in zip(*(entry.confidence for entry in classes), strict=True)]
    total = sum(counts)
    return sum(percent * count for percent, count in enumerate(counts)) / total / 100 if total else math.nan


def area_text(area: float | None) -> str:
    """Give an area [m²] in the unit that reads best: m², ha or km²."""
    if area is None or math.isnan(area):
        return "–"
    for least, factor, unit in ((1e6, 1e6, "km²"), (1e4, 1e4, "ha")):
        if area >= least:
            value = area / factor
            return f"{_thousands(value, 0 if value >= 1000 else 2)}{_THIN}{unit}"  # noqa: PLR2004
    return f"{_thousands(area)}{_THIN}m²"


def _thousands(value: float, decimals: int = 0) -> str:
    return f"{value:,.{decimals}f}".replace(",", _THIN)


def _percent(share: float) -> str:
    """Give a share of one in per cent; what is there is never rounded to nothing, nor what is not all to all."""
    if math.isnan(share):
        return "–"
    text = f"{100 * share:.1f}"
    if text == "0.0" and share > 0:
        return f"<{_THIN}0.1{_THIN}%"
    if text == "100.0" and share < 1:
        return f">{_THIN}99.9{_THIN}%"
    return f"{text}{_THIN}%"


def _bytes(size: int | None) -> str:
    if size is None:
        return ""
    for least, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= least:
            return f"{size / least:.1f}{_THIN}{unit}"
    return f"{size}{_THIN}B"


def _upscale(width: int, height: int) -> int:
    """Give the width that the map is shown with at least [px]: small scenes are enlarged by whole factors."""
    return width * max(1, 480 // max(width, height))


def _scale_bar(content: ReportContent) -> tuple[float, str] | None:
    """Give the scale bar: its length as per cent of the map's width, and what it stands for."""
    if content.gsd is None:
        return None
    longest = _SCALE_BAR * content.grid.width * content.gsd
    power = 10.0 ** math.floor(math.log10(longest))
    length = max(factor * power for factor in (1, 2, 5) if factor * power <= longest)
    text = f"{_thousands(length / 1000)}{_THIN}km" if length >= 1000 else f"{length:g}{_THIN}m"  # noqa: PLR2004
    return 100 * length / (content.grid.width * content.gsd), text


def _north(grid: Grid) -> float | None:
    """Give how far the grid's north is turned clockwise from the map's top [°]; None without a CRS."""
    if grid.crs is None:
        return None
    back = ~grid.transform
    col, row = back @ (0.0, 1.0)
    col0, row0 = back @ (0.0, 0.0)
    return round(math.degrees(math.atan2(col - col0, row0 - row)), 1) + 0.0
