"""QGIS styles of rasters (3.22 and later): a palette with names, and a ramp of confidence."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

Rgb = tuple[int, int, int]

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_VERSION = {"version": "3.22.0", "styleCategories": "LayerConfiguration|Symbology|Rendering"}

# Viridis, at equal steps: dark is doubtful, bright is sure; readable without colour vision and in grey.
CONFIDENCE_RAMP: tuple[tuple[int, Rgb], ...] = (
    (0, (68, 1, 84)),
    (25, (59, 82, 139)),
    (50, (33, 145, 140)),
    (75, (94, 201, 98)),
    (100, (253, 231, 37)),
)


def palette_qml(classes: Sequence[tuple[int, str, Rgb]]) -> str:
    """Give the QML of a class raster: one legend entry per class, all else transparent.

    Parameters
    ----------
    classes
        (value, name, colour) of each class.
    """
    root, renderer = _raster("paletted", {})
    palette = ET.SubElement(renderer, "colorPalette")
    for value, name, rgb in classes:
        ET.SubElement(palette, "paletteEntry", {"value": str(value), "color": _hex(rgb), "label": name, "alpha": "255"})
    return _text(root)


def confidence_qml(scale: float = 1.0) -> str:
    """Give the QML of a confidence raster: a ramp from 0 to 100 %.

    Parameters
    ----------
    scale
        What QGIS multiplies the pixels by before it colours them: the scale that the raster states.
    """
    low, high = (f"{scale * CONFIDENCE_RAMP[end][0]:g}" for end in (0, -1))
    limits = {"classificationMin": low, "classificationMax": high}
    root, renderer = _raster("singlebandpseudocolor", limits)
    shader = ET.SubElement(renderer, "rastershader")
    ramp = ET.SubElement(
        shader,
        "colorrampshader",
        {
            "colorRampType": "INTERPOLATED",
            "classificationMode": "1",
            "clip": "0",
            "minimumValue": low,
            "maximumValue": high,
            "labelPrecision": "0",
        },
    )
    for value, rgb in CONFIDENCE_RAMP:
        item = {"value": f"{scale * value:g}", "color": _hex(rgb), "label": f"{value} %", "alpha": "255"}
        ET.SubElement(ramp, "item", item)
    return _text(root)


def _raster(kind: str, attributes: dict[str, str]) -> tuple[ET.Element, ET.Element]:
    """Give the root of a raster's style and its renderer."""
    root = ET.Element("qgis", _VERSION)
    flags = ET.SubElement(root, "flags")
    for name, text in (("Identifiable", "1"), ("Removable", "1"), ("Searchable", "1"), ("Private", "0")):
        ET.SubElement(flags, name).text = text
    pipe = ET.SubElement(root, "pipe")
    provider = ET.SubElement(pipe, "provider")
    ET.SubElement(
        provider,
        "resampling",
        {
            "enabled": "false",
            "zoomedInResamplingMethod": "nearestNeighbour",
            "zoomedOutResamplingMethod": "nearestNeighbour",
            "maxOversampling": "2",
        },
    )
    basics = {"type": kind, "band": "1", "opacity": "1", "alphaBand": "-1", "nodataColor": ""}
    renderer = ET.SubElement(pipe, "rasterrenderer", {**basics, **attributes})
    ET.SubElement(renderer, "rasterTransparency")
    ET.SubElement(pipe, "brightnesscontrast", {"brightness": "0", "contrast": "0", "gamma": "1"})
    ET.SubElement(pipe, "huesaturation", {"saturation": "0", "colorizeOn": "0", "grayscaleMode": "0"})
    ET.SubElement(pipe, "rasterresampler", {"maxOversampling": "2"})
    ET.SubElement(pipe, "resamplingStage").text = "resamplingFilter"
    ET.SubElement(root, "blendMode").text = "0"
    return root, renderer


def _hex(rgb: Rgb) -> str:
    return "#" + bytes(rgb).hex()


def _text(root: ET.Element) -> str:
    ET.indent(root)
    return _DOCTYPE + ET.tostring(root, encoding="unicode") + "\n"
