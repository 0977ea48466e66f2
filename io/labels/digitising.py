"""How QGIS shows a layer of labels while somebody digitises them: a colour per class, and a list to choose it from."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from segflow.io.vector.layer_styles import Rgb, add_symbol, qml_text

_GREY: Rgb = (128, 128, 128)  # of polygons without a class


def labels_qml(field: str, classes: Sequence[tuple[str, Rgb]]) -> str:
    """Give the QML of a polygon layer with a class field.

    Polygons are drawn in the colour of their class, grey without one; the form offers the names as a drop-down list,
    does not let them be left out, and offers the last one again.

    Parameters
    ----------
    field
        The text field with the name of the class.
    classes
        Name and colour of each class.
    """
    root = ET.Element("qgis", {"version": "3.22.0", "styleCategories": "Symbology|Fields|Forms"})
    _add_renderer(root, field, classes)
    _add_widget(root, field, [name for name, _ in classes])
    constraints = ET.SubElement(root, "constraints")
    ET.SubElement(
        constraints,
        "constraint",
        {"field": field, "constraints": "1", "notnull_strength": "2", "unique_strength": "0", "exp_strength": "0"},
    )
    reuse = ET.SubElement(root, "reuseLastValue")
    ET.SubElement(reuse, "field", {"name": field, "reuseLastValue": "1"})
    return qml_text(root)


def _add_renderer(root: ET.Element, field: str, classes: Sequence[tuple[str, Rgb]]) -> None:
    """Add a category per class, and one for all other values."""
    attributes = {"type": "categorizedSymbol", "attr": field, "symbollevels": "0", "enableorderby": "0"}
    renderer = ET.SubElement(root, "renderer-v2", {**attributes, "forceraster": "0"})
    categories = ET.SubElement(renderer, "categories")
    symbols = ET.SubElement(renderer, "symbols")
    for index, (value, label, rgb) in enumerate([*((n, n, rgb) for n, rgb in classes), ("", "no class yet", _GREY)]):
        entry = {"value": value, "label": label, "symbol": str(index), "render": "true", "type": "string"}
        ET.SubElement(categories, "category", entry)
        add_symbol(symbols, str(index), "fill", rgb)
    ET.SubElement(renderer, "rotation")
    ET.SubElement(renderer, "sizescale")


def _add_widget(root: ET.Element, field: str, names: Sequence[str]) -> None:
    """Add the drop-down list: QGIS calls it a value map."""
    configuration = ET.SubElement(root, "fieldConfiguration")
    entry = ET.SubElement(configuration, "field", {"name": field, "configurationFlags": "None"})
    widget = ET.SubElement(entry, "editWidget", {"type": "ValueMap"})
    config = ET.SubElement(widget, "config")
    options = ET.SubElement(config, "Option", {"type": "Map"})
    entries = ET.SubElement(options, "Option", {"type": "List", "name": "map"})
    for name in names:
        pair = ET.SubElement(entries, "Option", {"type": "Map"})
        ET.SubElement(pair, "Option", {"type": "QString", "name": name, "value": name})
