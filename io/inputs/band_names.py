"""What bands are called that lie in files of their own, or in assets of a STAC item."""

import re

from segflow.io.scene.band_words import read_meaning
from segflow.io.scene.sensors import Names, Sensor, product_sensor

_NUMBER = re.compile(r"^B0*(\d{1,2}A?)$", re.IGNORECASE)
_WORDS = 3  # at the end of a file's name that may name its band: a resolution may follow, as in …_B04_10m


def file_band_names(folder: str, stem: str) -> Names | None:
    """Give the names of the band in a file, from the end of its name; None if that names no band.

    ``LC09_…_SR_B4.TIF`` is ``red`` and ``b4``, Landsat 9 being known; ``field_nir.tif`` is ``nir``.

    Parameters
    ----------
    folder, stem
        Names of the folder and of the file without its suffix; either may name the sensor.
    """
    words = re.split(r"[_.\s-]+", stem)
    sensor = product_sensor(stem) or product_sensor(folder)
    for count in range(1, _WORDS + 1):
        word = words[-count] if count <= len(words) else ""
        number = _NUMBER.match(word)
        if number:
            return numbered_names(number.group(1).upper(), sensor)
        common = read_meaning(word).names
        if common and word.isalpha() | (word.lower() in common):
            return tuple(dict.fromkeys((*common, word.lower())))
    return None


def asset_band_names(given: list[str], sensor: Sensor | None) -> Names:
    """Give what a band of a STAC item is called: as it says, then what that means.

    Parameters
    ----------
    given
        Its common name, its own name and that of its asset, as far as there are such; the best first.
    sensor
        The sensor that the item names, or None.
    """
    names = [name.strip().lower() for name in given if name.strip()]
    meant = [word for name in names for word in read_meaning(name).names]
    if not meant:
        for name in names:
            number = _NUMBER.match(name)
            if number:
                meant += [word for word in numbered_names(number.group(1).upper(), sensor) if word not in names]
    return tuple(dict.fromkeys([*names, *meant]))


def numbered_names(number: str, sensor: Sensor | None) -> Names:
    """Give the names of a sensor's band by its number: common ones where the sensor is known, then ``b4``, ``b04``."""
    plain, padded = f"b{number.lower()}", f"b{number.lower().zfill(2)}"
    told = () if sensor is None else sensor.bands.get(number, ())
    return tuple(dict.fromkeys((*told, plain, padded)))
