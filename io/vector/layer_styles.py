"""The `layer_styles` table of a GeoPackage, which QGIS reads to draw its layers styled."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as ET

Rgb = tuple[int, int, int]

# As QGIS makes it; layers.f_geometry_column must be the real one, or the style is not found.
_TABLE = """
CREATE TABLE IF NOT EXISTS layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    f_table_catalog TEXT(256),
    f_table_schema TEXT(256),
    f_table_name TEXT(256),
    f_geometry_column TEXT(256),
    styleName TEXT(30),
    styleQML TEXT,
    styleSLD TEXT,
    useAsDefault BOOLEAN,
    description TEXT,
    owner TEXT(30),
    ui TEXT(30),
    update_time DATETIME DEFAULT CURRENT_TIMESTAMP
)
"""
_CONTENTS = """
INSERT OR IGNORE INTO gpkg_contents (table_name, data_type, identifier, description, last_change, srs_id)
VALUES ('layer_styles', 'attributes', 'layer_styles', 'styles that QGIS draws the layers with', ?, 0)
"""
_STYLE = """
INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName,
                          styleQML, styleSLD, useAsDefault, description, owner, update_time)
VALUES ('', '', ?, ?, ?, ?, '', 1, ?, '', ?)
"""
_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_FILL_ALPHA = 110  # of 255; the scene stays visible under the polygons
_OUTLINE = 0.6  # of the fill's brightness


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerStyle:
    """How one layer is drawn.

    Attributes
    ----------
    table, column
        Table of the layer and its geometry column.
    kind
        What it holds.
    name, rgb, description
        Shown name, colour (each 0–255) and description of the style.
    qml
        The style as QGIS writes it; None: one colour, see `style_qml`.
    """

    table: str
    column: str
    kind: Literal["fill", "line"]
    name: str
    rgb: Rgb
    description: str
    qml: str | None = None


def write_layer_styles(connection: sqlite3.Connection, styles: Iterable[LayerStyle], moment: str) -> None:
    """Add the table of styles to a GeoPackage, each the default of its layer; a layer that has one keeps it.

    Parameters
    ----------
    connection
        An open GeoPackage; the caller commits.
    moment
        What stands as time of the change: ISO 8601, the same in every run.
    """
    connection.execute(_TABLE)
    connection.execute(_CONTENTS, (moment,))
    styled = {table for (table,) in connection.execute("SELECT f_table_name FROM layer_styles")}
    for style in styles:
        if style.table in styled:
            continue
        qml = style.qml or style_qml(style.kind, style.rgb)
        row = (style.table, style.column, style.name, qml, style.description, moment)
        connection.execute(_STYLE, row)


def style_qml(kind: Literal["fill", "line"], rgb: Rgb) -> str:
    """Give the QML of a layer drawn in one colour: filled polygons or lines."""
    root = ET.Element("qgis", {"version": "3.22.0", "styleCategories": "Symbology"})
    renderer = ET.SubElement(
        root,
        "renderer-v2",
        {"type": "singleSymbol", "symbollevels": "0", "enableorderby": "0", "forceraster": "0"},
    )
    symbols = ET.SubElement(renderer, "symbols")
    add_symbol(symbols, "0", kind, rgb)
    ET.SubElement(renderer, "rotation")
    ET.SubElement(renderer, "sizescale")
    ET.SubElement(root, "blendMode").text = "0"
    return qml_text(root)


def add_symbol(symbols: ET.Element, name: str, kind: Literal["fill", "line"], rgb: Rgb) -> None:
    """Add a symbol of one colour to the symbols of a renderer."""
    symbol = ET.SubElement(
        symbols, "symbol", {"type": kind, "name": name, "alpha": "1", "clip_to_extent": "1", "force_rhr": "0"}
    )
    drawn, properties = _fill(rgb) if kind == "fill" else _line(rgb)
    layer = ET.SubElement(symbol, "layer", {"class": drawn, "enabled": "1", "locked": "0", "pass": "0"})
    _add_properties(layer, properties)


def qml_text(root: ET.Element) -> str:
    """Give the text of a QML document."""
    ET.indent(root)
    return _DOCTYPE + ET.tostring(root, encoding="unicode") + "\n"


def _fill(rgb: Rgb) -> tuple[str, Mapping[str, str]]:
    red, green, blue = (round(_OUTLINE * value) for value in rgb)
    return "SimpleFill", {
        "color": _colour(rgb, _FILL_ALPHA),
        "joinstyle": "bevel",
        "outline_color": _colour((red, green, blue)),
        "outline_style": "solid",
        "outline_width": "0.2",
        "outline_width_unit": "MM",
        "style": "solid",
    }


def _line(rgb: Rgb) -> tuple[str, Mapping[str, str]]:
    return "SimpleLine", {
        "capstyle": "round",
        "joinstyle": "round",
        "line_color": _colour(rgb),
        "line_style": "solid",
        "line_width": "0.6",
        "line_width_unit": "MM",
    }


def _colour(rgb: Rgb, alpha: int = 255) -> str:
    return ",".join(str(value) for value in (*rgb, alpha))


def _add_properties(layer: ET.Element, properties: Mapping[str, str]) -> None:
    """Write the properties twice, as QGIS 3.22 does: as options, and for older ones as props."""
    options = ET.SubElement(layer, "Option", {"type": "Map"})
    for name, value in properties.items():
        ET.SubElement(options, "Option", {"type": "QString", "name": name, "value": value})
    for name, value in properties.items():
        ET.SubElement(layer, "prop", {"k": name, "v": value})
