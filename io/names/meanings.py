"""What the bands of a file certainly mean, taken together: by words, or by numbers of a sensor that is known.

A sensor is known where tags, product name or folder tell it, or where only sensors that agree have bands of all these
numbers in this spelling. Names that count a stack from its first band on, ``B1``, ``B2``, …, are a known sensor's
only if the stack is as long as its products; else the second band may be any.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from segflow.io.names.sensors import PADDED, PLAIN, Names, Sensor, named_sensor, sensors_with, shared_names
from segflow.io.names.words import Meaning, place_of, plain_words, read_meaning, says_nothing

_LETTERS = {"r": ("red",), "g": ("green",), "b": ("blue",)}
_COUNTED = re.compile(r"^(.*?)0*(\d+)$", re.DOTALL)
_DEFAULT_COLOURS = {"red", "green", "blue"}  # which writers of rasters set unasked
_NO_COLOURS = {"", "undefined", "gray", "palette"}  # that name no band
_COLOUR_NAMES = {"tir": "lwir", "swir": "swir", "lwir": "lwir"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BandName:
    """What one band of a file is called; the fields are those of `Band` of the same names."""

    name: str | None
    described: bool
    common: Names
    text: str
    colour: str


def name_bands(descriptions: Sequence[str], colours: Sequence[str], sensor: Sensor | None) -> list[BandName]:
    """Give what the bands of a file are called.

    Parameters
    ----------
    descriptions
        One for each band, empty for none.
    colours
        GDAL's names of their colour interpretations, in lower case.
    sensor
        The sensor, where it is known.
    """
    silent = says_less(descriptions)
    texts = ["" if less else text.strip() for text, less in zip(descriptions, silent, strict=True)]
    told = ["" if colour in _NO_COLOURS else colour for colour in colours]
    meant = understand_bands(texts, sensor)
    on_purpose = any(colour not in {"", "alpha", *_DEFAULT_COLOURS} for colour in told)
    unasked = _DEFAULT_COLOURS if _contradict(told, meant) else ()  # set by a writer, and naming no band
    names = ["" if colour in unasked else colour for colour in told]
    found = []
    for text, colour, name, common in zip(texts, told, names, meant, strict=True):
        by_colour = read_meaning(_COLOUR_NAMES.get(name, name)).names
        found.append(
            BandName(
                name=unicodedata.normalize("NFC", text).lower() or name or None,
                described=bool(text) or (on_purpose and name not in {"", "alpha"}),
                common=common if text else by_colour,
                text=text,
                colour=colour,
            )
        )
    return found


def _contradict(colours: Sequence[str], meant: Sequence[Names]) -> bool:
    """Tell whether some band is certainly called something else than the red, green or blue of its colour."""
    pairs = zip(colours, meant, strict=True)
    return any(colour in _DEFAULT_COLOURS and bool(names) and colour not in names for colour, names in pairs)


def understand_bands(descriptions: Sequence[str], sensor: Sensor | None) -> list[Names]:
    """Give the common names that the descriptions of a file's bands certainly mean; empty where they do not.

    Parameters
    ----------
    descriptions
        One for each band of the file, empty for none.
    sensor
        The sensor, where it is known.
    """
    letters = [text.strip().lower() for text in descriptions]
    if all(letters.count(letter) == 1 for letter in _LETTERS):
        return [
            _LETTERS.get(text, read_meaning(texts).names) for text, texts in zip(letters, descriptions, strict=True)
        ]
    found = [_read_file_name(text) or read_meaning(text) for text in descriptions]
    if any(meaning.number == "8A" for meaning in found):  # beside b8a, b4 is no place in a stack
        found = [
            read_meaning(text.upper()) if not meaning.names else meaning
            for text, meaning in zip(descriptions, found, strict=True)
        ]
    if _only_counts(found) and (sensor is None or len(found) not in sensor.whole):
        return [meaning.names for meaning in found]
    sensors = (sensor,) if sensor is not None else sensors_with(_numbers(found))
    return [_certain(meaning, sensors) for meaning in found]


def common_words(names: Iterable[str]) -> Names:
    """Give the common names among the names of one band, in their order."""
    return tuple(dict.fromkeys(word for name in names for word in read_meaning(name).names[:1]))


def says_less(descriptions: Sequence[str]) -> list[bool]:
    """Tell of each description whether it says no more of its band than the number in the file does.

    So do none, ``Band 3`` on the third band, and descriptions that differ in a running number only, as R writes them.
    """
    counted = _count_alike(descriptions)
    return [
        counted or not plain_words(text) or (says_nothing(text) and place_of(text) in {None, number})
        for number, text in enumerate(descriptions, start=1)
    ]


def _count_alike(descriptions: Sequence[str]) -> bool:
    """Tell whether all descriptions are one text, or one text and the band's number, and the text means nothing."""
    texts = [text.strip() for text in descriptions]
    if len(texts) < 2 or not all(texts):  # noqa: PLR2004 - one alone does not count
        return False
    found = [_COUNTED.match(text) for text in texts]
    if len(set(texts)) > 1 and not all(match and int(match[2]) == n for n, match in enumerate(found, start=1)):
        return False
    starts = {match[1] if match and len(set(texts)) > 1 else text for match, text in zip(found, texts, strict=True)}
    if len(starts) > 1:
        return False
    start = starts.pop()
    meaning = read_meaning(start)
    words = plain_words(start)
    return bool(words) and words[-1] not in {"b", "srb", "stb", "r", "g"} and not meaning.names and not meaning.number


def _read_file_name(text: str) -> Meaning | None:
    """Give the meaning of a description that is the name of a product's file: ``LC08_…_SR_B4``."""
    sensor = named_sensor(text)
    if sensor is None:
        return None
    words = [word for word in re.split(r"[_.\s-]+", text.strip()) if word]
    for count in (1, 2, 3):
        meaning = read_meaning(words[-count]) if count <= len(words) else Meaning()
        number = meaning.number
        if number or meaning.names:
            told = sensor.bands.get(number, ()) if number else meaning.names
            return Meaning(names=told, number="" if told else number)
    return None


def _only_counts(found: Sequence[Meaning]) -> bool:
    """Tell whether all numbers are those of the bands' places in the file."""
    return all(
        meaning.spelling in {PLAIN, PADDED, ""} and meaning.number == str(place)
        for place, meaning in enumerate(found, start=1)
    )


def _numbers(found: Sequence[Meaning]) -> list[tuple[str, str]]:
    return [(meaning.number, meaning.spelling) for meaning in found if meaning.number]


def _certain(meaning: Meaning, sensors: Sequence[Sensor]) -> Names:
    """Give what word and number of a band mean together; nothing if they contradict each other."""
    told = shared_names(sensors, meaning.number) if meaning.number else ()
    if meaning.names and told and not set(meaning.names) & set(told):
        return ()
    return tuple(dict.fromkeys((*told, *meaning.names)))
