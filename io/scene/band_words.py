"""What the names of bands mean, where that is certain.

A description is read word by word. It means a common name if it holds one, in English or another language, and
nothing else that could change its meaning: ``Band 2 - Blue``, ``sr_red``, ``Grün``, ``Near Infrared`` do, ``red std``
and ``blue sky index`` do not. A number such as ``B4`` means a band only of a sensor that is known.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from segflow.io.scene.sensors import MSI, Names, Sensor, sensor_by_bands

_VOCABULARY = """
coastal   coastal, coastal aerosol, coastal blue, ultra blue
blue      blue, blau, bleu, azul, blu, blauw, niebieski
green     green, grun, gruen, vert, verde, groen, zielony
yellow    yellow, gelb, jaune, amarillo, amarelo, giallo, geel
red       red, rot, rouge, rojo, vermelho, rosso, rood, czerwony
rededge   red edge, rededge, vegetation red edge
rededge1  red edge 1, rededge 1, rededge1, vegetation red edge 1
rededge2  red edge 2, rededge 2, rededge2, vegetation red edge 2
rededge3  red edge 3, rededge 3, rededge3, vegetation red edge 3
nir       nir, near infrared, near infra red, near ir, nearinfrared, nahes infrarot, nahinfrarot, proche infrarouge
nir       pir, infrarrojo cercano, infravermelho proximo, infrarosso vicino, vicino infrarosso, nabij infrarood
nir08     nir08, nir narrow, narrow nir, narrow near infrared, near infrared narrow
nir09     nir09, water vapour, water vapor
swir16    swir16, swir1, swir 1, shortwave infrared 1, short wave infrared 1
swir22    swir22, swir2, swir 2, shortwave infrared 2, short wave infrared 2
pan       pan, panchromatic, panchromatique, panchromatisch, pancromatico
cirrus    cirrus
lwir      lwir, thermal, thermal infrared, tir
lwir11    lwir11, tirs1, tirs 1, thermal infrared 1
lwir12    lwir12, tirs2, tirs 2, thermal infrared 2
"""
_PHRASES = {
    phrase.strip(): line.split()[0]
    for line in _VOCABULARY.strip().splitlines()
    for phrase in line.partition(" ")[2].split(",")
}
_ALSO: dict[str, Names] = {"nir08": ("nir",), "swir16": ("swir1",), "swir22": ("swir2",), "rededge1": ("rededge",)}
_NOISE = frozenset(  # words that leave the meaning as it is
    [
        "b",
        "band",
        "bande",
        "banda",
        "kanal",
        "canal",
        "channel",
        "layer",
        "spectral",
        "the",
        "sr",
        "st",
        "toa",
        "boa",
        "rho",
        "refl",
        "surface",
        "reflectance",
        "reflectanz",
        "bottom",
        "top",
        "of",
        "atmosphere",
        "corrected",
        "dn",
        "nm",
        "um",
        "micrometers",
        "colour",
        "color",
        "light",
        "visible",
        "vis",
        "10m",
        "20m",
        "30m",
        "60m",
        "msi",
        "oli",
        "etm",
        "tm",
        "l1c",
        "l2a",
        "l2sp",
        "sentinel",
        "sentinel2",
        "landsat",
        "s2",
        "s2a",
        "s2b",
        "l8",
        "l9",
        "wavelength",
        "central",
        "image",
        "value",
        "values",
    ]
)
_NUMBER = re.compile(r"^(?:sr|st|toa|boa)?b(\d{1,2}a?)$")
_FIGURE = re.compile(r"^\d+(?:nm|um|m)?$")
_LONGEST = 4  # words of a phrase
_PLACE = re.compile(r"^(?:b|band|bande|banda|kanal|layer|channel|canal)?(\d+)$")
_SAYS_NOTHING = re.compile(r"^(?:band|bande|banda|kanal|layer|channel|canal)?(\d+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a description says of a band.

    Attributes
    ----------
    names
        Common names that it certainly means, the usual one first.
    number
        The band's number as a sensor has it, ``4`` or ``8A`` or ``04``, or empty.
    place
        The place in a stack that it names, or None.
    """

    names: Names = ()
    number: str = ""
    place: int | None = None


def plain_words(text: str) -> list[str]:
    """Give the words of a text in lower case, without accents and punctuation; ``ß`` and the like are spelt out."""
    flat = unicodedata.normalize("NFKD", text.replace("ø", "o").replace("Ø", "o").replace("å", "a"))
    letters = "".join(sign for sign in flat if not unicodedata.combining(sign)).casefold()
    return re.findall(r"[a-z0-9]+", letters)


def read_meaning(text: str) -> Meaning:
    """Read what a description or a name says by itself, no sensor being known."""
    words = plain_words(text)
    found, number, rest = _take_apart(words)
    joined = "".join(words)
    place = _PLACE.match(joined)
    if len(found) == 1 and not rest:
        name = found.pop()
        return Meaning(names=(name, *_ALSO.get(name, ())), number=number)
    if found or rest:
        return Meaning()
    plain = place is not None and not place.group(1).startswith("0")
    return Meaning(number=number, place=int(place.group(1)) if plain and place else None)


def says_nothing(text: str) -> bool:
    """Tell whether a description merely counts bands: ``Band 1``, ``layer_2``."""
    return _SAYS_NOTHING.match("".join(plain_words(text))) is not None


def understand_bands(descriptions: Sequence[str], sensor: Sensor | None) -> list[Names]:
    """Give the common names that the descriptions of a file's bands certainly mean; empty where they do not.

    Parameters
    ----------
    descriptions
        One for each band, empty for none.
    sensor
        The sensor, where it is known.
    """
    found = [read_meaning(text) for text in descriptions]
    numbers = [meaning.number for meaning in found if meaning.number]
    known = sensor or sensor_by_bands(numbers)
    return [_certain(meaning, known) for meaning in found]


def _certain(meaning: Meaning, sensor: Sensor | None) -> Names:
    if not meaning.number:
        return meaning.names
    if sensor is not None:
        told = sensor.bands.get(meaning.number.lstrip("0").upper(), ())
    else:  # who spells blue B02 has green B03 and red B04, on Sentinel-2, Landsat 8 and 9, and HLS
        told = MSI.bands[meaning.number[1]] if meaning.number in {"02", "03", "04"} else ()
    if meaning.names and told and not set(meaning.names) & set(told):
        return ()  # the word and the number contradict each other
    return meaning.names or told


def _take_apart(words: list[str]) -> tuple[set[str], str, list[str]]:
    """Give the common names that words hold, the band's number, and the words that mean neither."""
    found: set[str] = set()
    number, rest, index = "", [], 0
    while index < len(words):
        for length in range(min(_LONGEST, len(words) - index), 0, -1):
            phrase = " ".join(words[index : index + length])
            if phrase in _PHRASES:
                found.add(_PHRASES[phrase])
                index += length - 1
                break
        else:
            word = words[index]
            match = _NUMBER.match(word)
            if match:
                rest += [word] if number else []
                number = number or match.group(1)
            elif word not in _NOISE and not _FIGURE.match(word):
                rest.append(word)
        index += 1
    return found, number, rest
