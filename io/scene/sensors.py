"""Satellite sensors: what their bands are called by number, and which sensor a product's name or a file's tags tell.

Names of bands are STAC's common names, the usual one first, then others that it goes by.

References
----------
STAC Electro-Optical extension 1.1.0, "Common Band Names"; Landsat Collection 2 and HLS product guides.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """A sensor.

    Attributes
    ----------
    name
        What messages call it.
    bands
        Common names of its bands by their numbers: ``4``, ``8A``.
    """

    name: str
    bands: Mapping[str, Names]


OLI = Sensor(name="Landsat 8 or 9", bands={
    "1": ("coastal",), "2": ("blue",), "3": ("green",), "4": ("red",), "5": ("nir08", "nir"),
    "6": ("swir16", "swir1"), "7": ("swir22", "swir2"), "8": ("pan",), "9": ("cirrus",),
    "10": ("lwir11",), "11": ("lwir12",),
})  # fmt: skip
TM = Sensor(name="Landsat 4 to 7", bands={
    "1": ("blue",), "2": ("green",), "3": ("red",), "4": ("nir08", "nir"), "5": ("swir16", "swir1"),
    "6": ("lwir",), "7": ("swir22", "swir2"), "8": ("pan",),
})  # fmt: skip
MSI = Sensor(name="Sentinel-2", bands={
    "1": ("coastal",), "2": ("blue",), "3": ("green",), "4": ("red",), "5": ("rededge1", "rededge"),
    "6": ("rededge2",), "7": ("rededge3",), "8": ("nir",), "8A": ("nir08",), "9": ("nir09",),
    "10": ("cirrus",), "11": ("swir16", "swir1"), "12": ("swir22", "swir2"),
})  # fmt: skip
HLS_S30 = Sensor(name="HLS S30", bands=MSI.bands)
HLS_L30 = Sensor(name="HLS L30", bands={
    "1": ("coastal",), "2": ("blue",), "3": ("green",), "4": ("red",), "5": ("nir08", "nir"),
    "6": ("swir16", "swir1"), "7": ("swir22", "swir2"), "9": ("cirrus",), "10": ("lwir11",), "11": ("lwir12",),
})  # fmt: skip
SENSORS = (OLI, TM, MSI, HLS_S30, HLS_L30)

_WHITE, _STEPS = 0.2, 254  # surface reflectance that Level-2A's true-colour image shows as 255, and steps to it from 1
TCI_MEANING = (_WHITE / _STEPS, -_WHITE / _STEPS)  # scale and offset of that image; Level-1C's ends at 0.3558
_TCI = re.compile(r"_tci_[126]0m\.(?:jp2|tiff?)$")  # Level-1C's has no resolution in its name
_PRODUCT_TCI = re.compile(r"(?:^|[/\\_])t\d\d[a-z]{3}_\d{8}t\d{6}_tci(?:_[126]0m)?\.(?:jp2|tiff?)$")

_SEP = r"(?:^|[^a-z0-9])"
_PRODUCTS = (  # as products and their files are named, from any collection, in either case
    (re.compile(_SEP + r"hls[._]s30[._]"), HLS_S30),
    (re.compile(_SEP + r"hls[._]l30[._]"), HLS_L30),
    (re.compile(_SEP + r"s2[abcd]?_(?:msi|oper|tile|user)"), MSI),
    (re.compile(_SEP + r"s2[abcd]_\d"), MSI),
    (re.compile(_SEP + r"(?:l[12][ac]_)?t\d\d[a-hj-np-z][a-z]{2}_(?:a\d{6}_)?\d{8}t\d{6}"), MSI),
    (re.compile(_SEP + r"l[cot]0[89]_(?:l|\d{6})"), OLI),
    (re.compile(_SEP + r"l[etm]0[4-7]_(?:l|\d{6})"), TM),
    (re.compile(_SEP + r"l[co]8\d{13}"), OLI),  # before collections: LC81270592015123LGN00
    (re.compile(_SEP + r"l[etm][4-7]\d{13}"), TM),
    (re.compile(_SEP + r"landsat[-_ ]?(?:8|9|0[89])(?![0-9])"), OLI),
    (re.compile(_SEP + r"landsat[-_ ]?0?[4-7](?![0-9])"), TM),
    (re.compile(_SEP + r"sentinel[-_ ]?2[abcd]?(?![0-9])"), MSI),
)
_WORDS = (("oli", OLI), ("oli_tirs", OLI), ("etm", TM), ("etm+", TM), ("tm", TM), ("msi", MSI))
_TAGS = (
    "sensor",
    "satellite",
    "spacecraft",
    "platform",
    "instrument",
    "product",
    "constellation",
    "mission",
    "scene_id",
)


def named_nodata(path: str) -> float | None:
    """Give the nodata value that a file's name alone tells: 0 in a true-colour image called as products call it."""
    return 0.0 if _PRODUCT_TCI.search(path.lower()) else None


def named_meaning(path: str) -> tuple[float, float] | None:
    """Give the scale and offset that a file's name alone tells: those of Level-2A's true-colour image."""
    return TCI_MEANING if _TCI.search(path.lower()) else None


def product_sensor(*names: str) -> Sensor | None:
    """Give the sensor that names of a product, its folder or its files tell; None where none does, or two differ."""
    return _agreed(sensor for name in names for start, sensor in _PRODUCTS if start.search(name.lower()))


def tagged_sensor(tags: Mapping[str, str]) -> Sensor | None:
    """Give the sensor that the tags of a file tell, or the properties of a STAC item; None where they do not."""
    told = [str(value) for key, value in tags.items() if any(word in key.lower() for word in _TAGS)]
    words = {text.strip().lower() for text in told}
    return product_sensor(*told) or _agreed(sensor for word, sensor in _WORDS if word in words)


def sensor_by_bands(numbers: Iterable[str]) -> Sensor | None:
    """Give the sensor that alone has bands spelt with two digits like these, ``02``, ``8A``; None for others."""
    found = {number.upper() for number in numbers}
    two = {number for number in found if len(number) == 2 and number[0] == "0"}  # noqa: PLR2004
    return MSI if "8A" in found or ({"08", "12"} & found and two) else None


def _agreed(found: Iterable[Sensor]) -> Sensor | None:
    names = {sensor.name: sensor for sensor in found}
    return next(iter(names.values())) if len(names) == 1 else None
