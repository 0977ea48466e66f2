"""What bands are called that lie in files of their own: by satellite, number and STAC common name."""

import re
from collections.abc import Mapping

Names = tuple[str, ...]  # the band's own name first, then what it also goes by

_OLI: Mapping[str, Names] = {
    "1": ("coastal",), "2": ("blue",), "3": ("green",), "4": ("red",), "5": ("nir08", "nir"),
    "6": ("swir16", "swir1"), "7": ("swir22", "swir2"), "8": ("pan",), "9": ("cirrus",),
    "10": ("lwir11",), "11": ("lwir12",),
}  # fmt: skip
_TM: Mapping[str, Names] = {
    "1": ("blue",), "2": ("green",), "3": ("red",), "4": ("nir08", "nir"), "5": ("swir16", "swir1"),
    "6": ("lwir",), "7": ("swir22", "swir2"), "8": ("pan",),
}  # fmt: skip
_MSI: Mapping[str, Names] = {
    "1": ("coastal",), "2": ("blue",), "3": ("green",), "4": ("red",), "5": ("rededge1", "rededge"),
    "6": ("rededge2",), "7": ("rededge3",), "8": ("nir",), "8A": ("nir08",), "9": ("nir09",),
    "10": ("cirrus",), "11": ("swir16", "swir1"), "12": ("swir22", "swir2"),
}  # fmt: skip
_SENSORS = (
    (re.compile(r"^L[COT]0[89]_"), _OLI),  # Landsat 8 and 9
    (re.compile(r"^L[ET]0[457]_"), _TM),  # Landsat 4 to 7
    (re.compile(r"^(S2[ABCD]_|T\d\d[A-Z]{3}_)"), _MSI),  # Sentinel-2
)
_NUMBER = re.compile(r"^B0*(\d{1,2}A?)$", re.IGNORECASE)
_COMMON = {name for bands in (_OLI, _TM, _MSI) for names in bands.values() for name in names}


def file_band_names(folder: str, stem: str) -> Names | None:
    """Give the names of the band in a file, from the end of its name; None if that names no band.

    ``LC09_…_SR_B4.TIF`` is ``b4`` and, Landsat 9 being known, ``red``; ``field_nir.tif`` is ``nir``.

    Parameters
    ----------
    folder, stem
        Names of the folder and of the file without its suffix; either may name the satellite.
    """
    words = stem.replace("-", "_").split("_")
    for word in reversed(words[-3:]):  # a resolution may follow: T32UMD_20240101T103421_B04_10m
        number = _NUMBER.match(word)
        if number:
            return _numbered(folder, stem, number.group(1).upper())
        if word.lower() in _COMMON:
            return (word.lower(),)
    return None


def other_names(name: str) -> Names:
    """Give what a band with a STAC common name also goes by."""
    return next((names[1:] for bands in (_OLI, _MSI) for names in bands.values() if names[0] == name), ())


def _numbered(folder: str, stem: str, number: str) -> Names:
    plain, padded = f"b{number.lower()}", f"b{number.lower().zfill(2)}"
    names = [plain] if plain == padded else [plain, padded]
    for start, bands in _SENSORS:
        if start.match(stem) or start.match(folder):
            return (*bands.get(number, ()), *names)
    return tuple(names)
