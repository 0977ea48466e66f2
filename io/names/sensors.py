"""Satellite sensors: what their bands are called by number, and which sensor names and tags tell.

Names of bands are STAC's common names, the usual one first, then others that it goes by.
Where two names tell different sensors, none is known: a guess is never made.

References
----------
STAC Electro-Optical extension 1.1.0, "Common Band Names"; product guides of Landsat Collection 2, HLS, Sentinel-2,
MODIS and ASTER.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Names = tuple[str, ...]

# spellings of a band's number
PLAIN = "B4"
PADDED = "B04"
REFLECTANCE = "SR_B4"  # Landsat's surface reflectance
TEMPERATURE = "ST_B10"  # Landsat's surface temperature
MODIS_SPELLING = "sur_refl_b04"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """A sensor.

    Attributes
    ----------
    name
        What messages call it.
    bands
        Common names of its bands by their numbers: ``4``, ``8A``.
    spellings
        How its products spell the numbers.
    reflective, thermal
        Numbers of the bands with ``SR_`` and ``ST_`` before them.
    whole
        How many bands a product has that holds all of a kind: ``B1`` to ``B7`` in a stack of so many are the
        sensor's, while those of another stack may only be counted.
    """

    name: str
    bands: Mapping[str, Names]
    spellings: tuple[str, ...]
    reflective: str = ""
    thermal: str = ""
    whole: tuple[int, ...] = field(default=())

    def has(self, number: str, spelling: str) -> bool:
        """Tell whether it has a band of this number in this spelling; an empty spelling fits any sensor."""
        if spelling not in {"", *self.spellings}:
            return False
        own = {REFLECTANCE: self.reflective.split(), TEMPERATURE: self.thermal.split()}.get(spelling, self.bands)
        return number in own


_LANDSAT = (PLAIN, REFLECTANCE, TEMPERATURE)
OLI = Sensor(name="Landsat 8 or 9", spellings=_LANDSAT, reflective="1 2 3 4 5 6 7", thermal="10", whole=(7, 11), bands={
    "1": ("coastal",), "2": ("blue",), "3": ("green",), "4": ("red",), "5": ("nir08", "nir"),
    "6": ("swir16", "swir1"), "7": ("swir22", "swir2"), "8": ("pan",), "9": ("cirrus",),
    "10": ("lwir11",), "11": ("lwir12",),
})  # fmt: skip
TM = Sensor(name="Landsat 4 to 7", spellings=_LANDSAT, reflective="1 2 3 4 5 7", thermal="6", whole=(3, 4, 5, 7),
            bands={
    "1": ("blue",), "2": ("green",), "3": ("red",), "4": ("nir08", "nir"), "5": ("swir16", "swir1"),
    "6": ("lwir",), "7": ("swir22", "swir2"), "8": ("pan",),
})  # fmt: skip
MSS_OLD = Sensor(name="Landsat 1 to 3 (MSS)", spellings=(PLAIN,), bands={
    "4": ("green",), "5": ("red",), "6": ("nir07",), "7": ("nir08", "nir"),
})  # fmt: skip
MSS = Sensor(name="Landsat 4 or 5 (MSS)", spellings=(PLAIN,), whole=(4,), bands={
    "1": ("green",), "2": ("red",), "3": ("nir07",), "4": ("nir08", "nir"),
})  # fmt: skip
MSI = Sensor(name="Sentinel-2", spellings=(PLAIN, PADDED), bands={
    "1": ("coastal",), "2": ("blue",), "3": ("green",), "4": ("red",), "5": ("rededge1", "rededge"),
    "6": ("rededge2",), "7": ("rededge3",), "8": ("nir",), "8A": ("nir08",), "9": ("nir09",),
    "10": ("cirrus",), "11": ("swir16", "swir1"), "12": ("swir22", "swir2"),
})  # fmt: skip
HLS_S30 = Sensor(name="HLS S30", spellings=(PLAIN, PADDED), bands=MSI.bands)
HLS_L30 = Sensor(name="HLS L30", spellings=(PLAIN, PADDED), whole=(7,), bands={
    "1": ("coastal",), "2": ("blue",), "3": ("green",), "4": ("red",), "5": ("nir08", "nir"),
    "6": ("swir16", "swir1"), "7": ("swir22", "swir2"), "9": ("cirrus",), "10": ("lwir11",), "11": ("lwir12",),
})  # fmt: skip
MODIS = Sensor(name="MODIS", spellings=(MODIS_SPELLING,), whole=(7,), bands={
    "1": ("red",), "2": ("nir",), "3": ("blue",), "4": ("green",), "5": ("nir12",), "6": ("swir16", "swir1"),
    "7": ("swir22", "swir2"),
})  # fmt: skip
ASTER = Sensor(name="ASTER", spellings=(PADDED, PLAIN), bands={
    "1": ("green",), "2": ("red",), "3N": ("nir",), "3B": ("nir",), "4": ("swir16", "swir1"), "5": ("swir21",),
    "6": ("swir22", "swir2"), "7": ("swir23",), "8": ("swir23",), "9": ("swir24",), "10": ("lwir08",),
    "11": ("lwir08",), "12": ("lwir09",), "13": ("lwir10",), "14": ("lwir11",),
})  # fmt: skip
SENSORS = (OLI, TM, MSS_OLD, MSS, MSI, HLS_S30, HLS_L30, MODIS, ASTER)

_WHITE, _STEPS = 0.2, 254  # surface reflectance that Level-2A's true-colour image shows as 255, and steps to it from 1
TCI_MEANING = (_WHITE / _STEPS, -_WHITE / _STEPS)  # scale and offset of that image; Level-1C's ends at 0.3558
_TCI = re.compile(r"_tci_[126]0m\.(?:jp2|tiff?)$")  # Level-1C's has no resolution in its name
_PRODUCT_TCI = re.compile(r"(?:^|[/\\_])t\d\d[a-z]{3}_\d{8}t\d{6}_tci(?:_[126]0m)?\.(?:jp2|tiff?)$")

_PRODUCTS = tuple(  # as products and their files are named, in lower case, whatever stands before them
    (re.compile(r"(?<![a-z0-9])" + pattern), sensor)
    for pattern, sensor in (
        (r"hls2?[._-]?s30(?![0-9a-z])", HLS_S30),
        (r"hls2?[._-]?l30(?![0-9a-z])", HLS_L30),
        (r"s2[abcd]?_?(?:msi|oper|tile|user|prd)", MSI),
        (r"s2[abcd]_", MSI),
        (r"s2_(?:sr|toa|l1c|l2a|harmonized)", MSI),
        (r"(?:l[12][ac]_)?t\d\d[a-hj-np-z][a-z]{2}_(?:a\d{6}_)?\d{8}t\d{6}", MSI),
        (r"\d{8}t\d{6}_\d{8}t\d{6}_t\d\d[a-hj-np-z][a-z]{2}", MSI),  # Earth Engine's names of images
        (r"sen(?:tinel)?[-_ ]?2[abcd]?(?![0-9a-z])", MSI),
        (r"l[co]0[89](?![0-9a-z])", OLI),
        (r"lt0[89](?![0-9a-z])", OLI),
        (r"l[et]0[4-7](?![0-9a-z])", TM),
        (r"lm0[45](?![0-9a-z])", MSS),
        (r"lm0[1-3](?![0-9a-z])", MSS_OLD),
        (r"lnd0[89](?![0-9a-z])", OLI),
        (r"lnd0[4-7](?![0-9a-z])", TM),
        (r"l[cot]8\d{13}", OLI),  # before collections: LC81270592015123LGN00
        (r"l[et][4-7]\d{13}", TM),
        (r"lm[45]\d{13}", MSS),
        (r"lm[1-3]\d{13}", MSS_OLD),
        (r"m[oy]d(?:09|13|43)[a-z0-9]*(?![a-z])|mcd43[a-z0-9]*", MODIS),
        (r"modis(?![a-z])", MODIS),
        (r"ast_l1[abt]|aster(?![a-z])", ASTER),
    )
)
_LANDSAT_WORD = re.compile(
    r"(?<![a-z0-9])landsat[-_ ]*0?([1-9])(?![0-9])(?:[-_ /,&+]*(?:to|and)?[-_ ]*0?([1-9])(?![0-9]))?"
)
_SATELLITES = {**dict.fromkeys("123", MSS_OLD), **dict.fromkeys("4567", TM), **dict.fromkeys("89", OLI)}
_EXACT = {  # what a tag may hold and no file name tells
    **dict.fromkeys(("oli", "oli_tirs", "oli-tirs", "oli/tirs", "l8", "l9", "oli2", "oli-2"), OLI),
    **dict.fromkeys(("tm", "etm", "etm+", "l4", "l5", "l7"), TM),
    **dict.fromkeys(("msi", "s2", "s2a", "s2b", "s2c", "s2d"), MSI),
}
_MULTISPECTRAL_SCANNER = re.compile(r"(?<![a-z])mss(?![a-z])")
_TAGS = re.compile(
    r"sensor|satellite|spacecraft|platform|instrument|product|constellation|mission|scene_?id|granule|tile_?id|datatake"
    r"|collection|system:(?:id|index)|imagedescription|documentname"
)


def named_sensor(*names: str) -> Sensor | None:
    """Give the sensor that the first name tells that tells any: of a file, then of the folders around it.

    None where no name does, or one tells several.
    """
    for name in names:
        told = list(_told_by(name))
        if told:
            return _agreed(told)
    return None


def tagged_sensor(tags: Mapping[str, object]) -> Sensor | None:
    """Give the sensor that the tags of a file or the properties of a STAC item tell; None where none, or two, do.

    Parameters
    ----------
    tags
        Texts, numbers, or lists of texts; those count whose names speak of sensor, satellite, product and the like.
    """
    texts = [text for key, value in tags.items() if _TAGS.search(key.lower()) for text in _texts(value)]
    told = [sensor for text in texts for sensor in _told_by(text)]
    told += [_EXACT[text] for text in (text.strip().lower() for text in texts) if text in _EXACT]
    if any(_MULTISPECTRAL_SCANNER.search(text.lower()) for text in texts):
        told = [MSS if sensor is TM else sensor for sensor in told]
    return _agreed(told)


def known_sensor(tags: Mapping[str, object], path: str) -> Sensor | None:
    """Give the sensor of a file by its tags, its name and the names of two folders around it.

    None where nothing tells it, or tags and names contradict each other.
    """
    return _agreed([sensor for sensor in (tagged_sensor(tags), named_sensor(*path_names(path))) if sensor is not None])


def path_names(path: str) -> tuple[str, ...]:
    """Give the names that may tell a file's sensor: its own, then those of the two folders around it."""
    parts = path.partition("?")[0].replace("\\", "/").rstrip("/").split("/")
    return tuple(part for part in reversed(parts[-3:]) if part)


def sensors_with(numbers: Sequence[tuple[str, str]]) -> tuple[Sensor, ...]:
    """Give the sensors that have all bands of these numbers in these spellings."""
    return tuple(sensor for sensor in SENSORS if all(sensor.has(*number) for number in numbers))


def shared_names(sensors: Sequence[Sensor], number: str) -> Names:
    """Give the common names of a band that mean the same on all of these sensors; none where they differ."""
    told = [sensor.bands.get(number, ()) for sensor in sensors]
    if not told or any(names[:1] != told[0][:1] for names in told):
        return ()
    return tuple(name for name in told[0] if all(name in names for names in told))


def named_nodata(path: str) -> float | None:
    """Give the nodata value that a file's name alone tells: 0 in a true-colour image called as products call it."""
    return 0.0 if _PRODUCT_TCI.search(path.lower()) else None


def named_meaning(path: str) -> tuple[float, float] | None:
    """Give the scale and offset that a file's name alone tells: those of Level-2A's true-colour image."""
    return TCI_MEANING if _TCI.search(path.lower()) else None


def _told_by(text: str) -> Iterator[Sensor]:
    lower = text.lower()
    yield from (sensor for pattern, sensor in _PRODUCTS if pattern.search(lower))
    for match in _LANDSAT_WORD.finditer(lower):
        scanner = _MULTISPECTRAL_SCANNER.search(lower)
        for number in match.groups(default=""):
            if number:
                sensor = _SATELLITES[number]
                yield MSS if scanner and sensor is TM else sensor


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value
        yield from (word.strip(" '\"") for word in re.split(r"[,;|\[\]]", value) if word.strip(" '\"") != value)


def _agreed(found: Iterable[Sensor]) -> Sensor | None:
    """Give the sensor that all are, or that says more than the others: HLS L30 is made of Landsat 8 and 9."""
    sensors = list(found)
    for sensor in sorted(sensors, key=lambda each: each not in (HLS_S30, HLS_L30)):
        if all(_fits(sensor, other) for other in sensors):
            return sensor
    return None


def _fits(one: Sensor, other: Sensor) -> bool:
    return all(one.bands[number] == other.bands[number] for number in one.bands.keys() & other.bands.keys()) and (
        one.bands.keys() <= other.bands.keys()
    )
