"""Classes as the classification extension of STAC writes them, and back again.

References
----------
STAC classification extension 2.0.0: the class object.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from segflow.io.raster.sidecars import LegendEntry
from segflow.io.raster.styles import Rgb
from segflow.tiling import NODATA


def class_objects(legend: Sequence[LegendEntry], *, nodata: bool = True) -> list[dict[str, Any]]:
    """Give the classes as the classification extension writes them, its names being plain words.

    Parameters
    ----------
    legend
        The classes.
    nodata
        Whether the value of pixels outside the data is one of them.
    """
    classes: list[dict[str, Any]] = []
    for entry in legend:
        word = re.sub(r"[^0-9A-Za-z_-]+", "-", entry.name).strip("-")
        if not word or word in {known["name"] for known in classes}:
            word = f"{word or 'class'}-{entry.value}"
        colour = bytes(entry.rgb).hex().upper()
        classes.append({"value": entry.value, "name": word, "title": entry.name, "color_hint": colour})
    if not nodata:
        return classes
    return [*classes, {"value": NODATA, "name": "nodata", "title": "No data", "nodata": True}]


def read_class_objects(asset: Mapping[str, Any]) -> tuple[LegendEntry, ...]:
    """Give the classes that an asset of an item names, nodata apart; grey where it gives no colour.

    Raises
    ------
    KeyError, TypeError, ValueError
        If the asset names no classes, or not as the extension writes them.
    """
    return tuple(
        LegendEntry(
            value=int(entry["value"]),
            name=str(entry.get("title", entry["name"])),
            rgb=_rgb(entry.get("color_hint", "808080")),
        )
        for entry in asset["classification:classes"]
        if not entry.get("nodata")
    )


def _rgb(digits: str) -> Rgb:
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue
