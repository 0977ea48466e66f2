"""What bands are called that lie in files of their own, or in assets of a STAC item."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from segflow.io.names.sensors import PADDED, PLAIN, Names, Sensor, known_sensor, sensors_with, shared_names
from segflow.io.names.words import read_meaning

_NUMBER = re.compile(r"^(?:sr|st)?(?:b|band)(0?)(\d{1,2}a?)$", re.IGNORECASE)
_LONGEST = 4  # words of a file's name that may name its band together: red_edge_1
_AFTER = re.compile(  # words that may follow the name of a band: its resolution, a date, what was done to the file
    r"^(?:\d+m?|v\d+|sr|toa|boa|refl|reflectance|clip|clipped|crop|cropped|subset|cut|cog|utm|merged|mosaic|resampled"
    r"|reprojected|warped|tile|u?int8|u?int16|float32|vcid|dn)$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What a name says of its band: words, or a sensor's number and whether it is spelt with two digits."""

    name: str = ""
    number: str = ""
    spelling: str = ""


def name_band_files(paths: Sequence[str], product: str = "") -> list[Names]:
    """Give the names of the bands in files that belong together, from the ends of their names; empty for no band.

    ``LC09_…_SR_B4.TIF`` is ``red`` and ``b4``, Landsat 9 being known by name; ``field_nir.tif`` is ``nir``.

    Parameters
    ----------
    paths
        The files; their own names or those of the two folders around them may tell the sensor.
    product
        What their metadata say of satellite or product, which may tell it too.
    """
    found = [_read_stem(PurePath(path).stem) for path in paths]
    alike = _sensors_of([said for said in found if said is not None])
    names = []
    for path, said in zip(paths, found, strict=True):
        sensor = known_sensor({"product": product}, path) if said is not None and said.number else None
        names.append(() if said is None else _names(said, alike if sensor is None else (sensor,)))
    return names


def asset_band_names(given: Sequence[str], sensors: Sequence[Sensor]) -> Names:
    """Give what a band of a STAC item is called: as it says, then what that means.

    Parameters
    ----------
    given
        Its common name, its own name and that of its asset, as far as there are such; the best first.
    sensors
        The sensor that the item names, or those that may be meant.
    """
    names = [name.strip().lower() for name in given if name.strip()]
    meant = [word for name in given for word in read_meaning(name).names]
    numbers = [said.number for name in given if (said := _read_word(name.strip())) is not None]
    told = shared_names(sensors, numbers[0]) if numbers else ()
    if not meant or meant[0] in told:
        meant = [*told]
    spelt = [word for number in numbers for word in _spelt(number)]
    return tuple(dict.fromkeys([*names, *meant, *spelt]))


def sensors_by_assets(names: Sequence[str]) -> tuple[Sensor, ...]:
    """Give the sensors that have all the bands with numbers among these names, such as ``B8A``."""
    return _sensors_of([said for name in names if (said := _read_word(name.strip())) is not None])


def _read_stem(stem: str) -> _Said | None:
    """Read what the end of a file's name says of its band; in it ``b4`` is a sensor's, for the file is no stack."""
    words = [word for word in re.split(r"[_.\s-]+", stem) if word]
    while words:
        for count in range(min(_LONGEST, len(words)), 0, -1):
            names = read_meaning(" ".join(words[-count:])).names
            if names:
                return _Said(name=names[0])
        said = _read_word(words[-1])
        if said is not None or not _AFTER.match(words.pop().lower()):
            return said
    return None


def _read_word(word: str) -> _Said | None:
    match = _NUMBER.match(word)
    if match is None:
        return None
    number = match[2].upper()
    return _Said(number=number, spelling=PADDED if match[1] else PLAIN if len(number) == 1 else "")


def _sensors_of(found: Sequence[_Said]) -> tuple[Sensor, ...]:
    """Give the sensors that have all these bands; none where the numbers may only count files."""
    numbers = sorted({(said.number, said.spelling) for said in found if said.number})
    if not numbers or {number for number, _ in numbers} == {str(place) for place in range(1, len(numbers) + 1)}:
        return ()
    return sensors_with(numbers)


def _names(said: _Said, sensors: Sequence[Sensor]) -> Names:
    if said.name:
        return (said.name,)
    return tuple(dict.fromkeys((*shared_names(sensors, said.number), *_spelt(said.number))))


def _spelt(number: str) -> Names:
    """Give a number as products spell it: ``b4``, ``b04``."""
    return tuple(dict.fromkeys((f"b{number.lower()}", f"b{number.lower().zfill(2)}")))
