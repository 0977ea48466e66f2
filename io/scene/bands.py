"""Which bands of a scene go into a model, and in which order: by what they are called, never by a guess."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from segflow.errors import SceneMismatchError
from segflow.io.names.meanings import common_words, understand_bands
from segflow.io.names.sensors import Names
from segflow.io.names.words import place_of, plain_words, read_meaning
from segflow.io.scene.info import Band

_SHOWN = 64  # bands in a message


class HasBands(Protocol):
    """What bands are chosen from: a scene, or files that could become one."""

    @property
    def path(self) -> str:
        """What errors name."""

    @property
    def bands(self) -> tuple[Band, ...]:
        """The bands, without the alpha band."""

    @property
    def alpha(self) -> int | None:
        """Number of the alpha band, or None."""

    @property
    def band_count(self) -> int:
        """Number of bands, with the alpha band."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandList:
    """Bands that lie in separate files: they have names, and no order.

    Attributes
    ----------
    path
        What errors name.
    bands
        The bands.
    """

    path: str
    bands: tuple[Band, ...]
    alpha: None = None

    @property
    def band_count(self) -> int:
        """Number of bands."""
        return len(self.bands)


def select_bands(
    info: HasBands, wanted_names: tuple[str, ...], chosen: tuple[int | str, ...] | None = None
) -> tuple[int, ...]:
    """Give the numbers of the bands that a model gets, in its order.

    1. What the user chose, by number or name, if the count is right. The alpha band may be chosen.
    2. Else the bands that certainly go by the wanted names, each once.
    3. Else all bands in the order of the file, if there are as many as wanted and those that have names lie where
       these are wanted; never of bands in separate files.

    A name that counts a stack (``b6``, ``band 6``) is a place in a stack of as many bands as the model has, and never
    a sensor's: the sixth band of a stack is not Landsat's B6.

    Raises
    ------
    SceneMismatchError
        If none of these fits; a guess is never made.
    """
    if chosen is not None:
        return _chosen(info, wanted_names, chosen)
    known = _Names(info, count=len(wanted_names))
    by_name = known.find_all(wanted_names)
    if all(len(numbers) == 1 for numbers in by_name) and len(set(by_name)) == len(by_name):
        return tuple(number for (number,) in by_name)
    if known.in_order(wanted_names):
        return tuple(band.number for band in info.bands)
    raise _mismatch(info, wanted_names, f"has {_bands_text(info)}", by_name)


def describe_choice(info: HasBands, wanted: tuple[str, ...], numbers: tuple[int, ...]) -> str:
    """Say which band of a scene each band of the model is: ``red ← band 3 (B04)``."""
    bands = {band.number: band for band in info.bands}
    parts = []
    for name, number in zip(wanted, numbers, strict=True):
        called = _label(bands[number]) if number in bands else "alpha" if number == info.alpha else ""
        parts.append(f"{name} ← band {number}" + (f" ({called})" if called and called != name else ""))
    return ", ".join(parts)


def find_contradictions(info: HasBands, numbers: tuple[int, ...]) -> tuple[str, ...]:
    """Give a line for each chosen band that is described as something else than its colour interpretation says."""
    lines = [
        f"band {band.number} is described as {_label(band)}, but its colour interpretation says {band.colour}: "
        "the description counts"
        for band in info.bands
        if band.number in numbers and band.text and band.common and band.colour not in {"", *band.common}
    ]
    return tuple(lines)


class _Names:
    """What the bands of a scene go by, for somebody who wants `count` of them."""

    def __init__(self, info: HasBands, *, count: int) -> None:
        self._info = info
        self._common = _common_names(info)
        self._stack = not isinstance(info, BandList)
        self._alike = self._stack and len(info.bands) == count  # a place in another stack says something of this one

    def find_all(self, wanted: tuple[str, ...]) -> list[tuple[int, ...]]:
        """Give for each name of a model's bands the numbers of the bands that certainly go by it."""
        return [self.find(name, meant) for name, meant in zip(wanted, understand_bands(wanted, None), strict=True)]

    def find(self, name: str, meant: Names = ()) -> tuple[int, ...]:
        """Give the numbers of the bands of a name: as it is written, else as the word that it means.

        Parameters
        ----------
        name, meant
            The name, and what it is known to mean besides what it says itself.
        """
        place = place_of(name)
        if place is not None and not meant:
            return self._at_place(place) if self._alike else ()
        words, flat = meant or read_meaning(name).names, _flat(name)
        tiers: tuple[Callable[[Band], bool], ...] = (
            lambda band: flat in {band.name, _flat(band.text)} and not self._means_other(band, words),
            lambda band: words[:1] == self._common[band.number][:1] != (),
            lambda band: flat in map(_flat, band.aliases) and not self._means_other(band, words),
            lambda band: words[:1] != () and words[0] in self._common[band.number],
        )
        for fits in tiers:
            found = tuple(band.number for band in self._info.bands if fits(band))
            if found:
                return found
        return (self._info.alpha,) if self._info.alpha is not None and flat == "alpha" else ()

    def find_chosen(self, name: str) -> tuple[int, ...]:
        """Give the numbers of the bands of a name that a user gives: also any band's number as its sensor has it."""
        flat, number = _flat(name), read_meaning(name.upper()).number
        tiers: tuple[Callable[[Band], bool], ...] = (
            lambda band: flat in _written(band),
            lambda band: number != "" and number in {read_meaning(text.upper()).number for text in _written(band)},
        )
        for fits in tiers:
            found = tuple(band.number for band in self._info.bands if fits(band))
            if found:
                return found
        place = place_of(name)
        if place is not None and self._stack:
            return self._at_place(place) or tuple(
                band.number for band in self._info.bands if band.number == place and not band.described
            )
        return self.find(name)

    def in_order(self, wanted: tuple[str, ...]) -> bool:
        """Tell whether the bands may be taken as they lie: as many as wanted, and no name says otherwise."""
        if not self._alike:
            return False
        return not all(band.described for band in self._info.bands) and all(
            not band.described or band.number in self.find(name)
            for band, name in zip(self._info.bands, wanted, strict=True)
        )

    def _at_place(self, place: int) -> tuple[int, ...]:
        """Give the numbers of the bands that are called after this place, and are certainly nothing else."""
        return tuple(
            band.number
            for band in self._info.bands
            if band.described and not self._common[band.number] and place_of(band.text or band.name or "") == place
        )

    def _means_other(self, band: Band, words: Names) -> bool:
        """Tell whether a band of the same spelling certainly means something else: B5 of another sensor."""
        common = self._common[band.number]
        return bool(words and common) and not set(words) & set(common)


def _common_names(info: HasBands) -> dict[int, Names]:
    """Give the common names of bands by number; where nobody has looked yet, from names and aliases."""
    open_bands = [band for band in info.bands if band.common is None]
    texts = [band.text or band.name or "" for band in open_bands]
    meant = understand_bands(texts, None)
    told = {
        band.number: tuple(dict.fromkeys((*names, *common_words(band.aliases))))
        for band, names in zip(open_bands, meant, strict=True)
    }
    return {band.number: told[band.number] if band.common is None else band.common for band in info.bands}


def _chosen(info: HasBands, wanted: tuple[str, ...], chosen: tuple[int | str, ...]) -> tuple[int, ...]:
    if len(chosen) != len(wanted):
        raise _mismatch(info, wanted, f"was given {len(chosen)} bands ({', '.join(map(str, chosen))})")
    return tuple(_chosen_number(info, wanted, choice) for choice in chosen)


def _chosen_number(info: HasBands, wanted: tuple[str, ...], choice: int | str) -> int:
    text = str(choice).strip()
    if text.isdecimal():
        if 1 <= int(text) <= info.band_count:
            return int(text)
        raise _mismatch(info, wanted, f"has no band {text} (it has {_bands_text(info)})")
    numbers = _Names(info, count=len(wanted)).find_chosen(text)
    if len(numbers) != 1:
        found = "no band" if not numbers else f"{len(numbers)} bands"
        raise _mismatch(info, wanted, f"has {found} named {text} (it has {_bands_text(info)})")
    return numbers[0]


def _written(band: Band) -> set[str]:
    return {_flat(name) for name in (band.name or "", band.text, *band.aliases) if name}


def _label(band: Band) -> str:
    return band.text or band.name or ""


def _flat(name: str) -> str:
    """Give a name as it is compared: composed, in lower case, without blanks around it."""
    return unicodedata.normalize("NFC", name).strip().lower()


def _bands_text(info: HasBands) -> str:
    """Say how many bands a scene has, what they are called and what that is understood as."""
    count, common = len(info.bands), _common_names(info)
    names = [_band_text(band, common[band.number]) for band in info.bands[:_SHOWN]]
    text = f"{count} band{'s' if count != 1 else ''} ({', '.join(names)}{', …' if count > len(names) else ''})"
    return text if info.alpha is None else f"{text} and alpha band {info.alpha}"


def _band_text(band: Band, common: Names) -> str:
    label = " ".join(_label(band).split())
    if not label:
        return str(band.number)
    if not common:
        return f"{band.number} {label}" + (" → ?" if band.described else "")
    return f"{band.number} {label}" + (f" → {common[0]}" if plain_words(label) != plain_words(common[0]) else "")


def _mismatch(
    info: HasBands, wanted: tuple[str, ...], found: str, by_name: Sequence[tuple[int, ...]] = ()
) -> SceneMismatchError:
    """Give the error of bands that do not fit; it proposes those numbers only that are certain."""
    needed = f"{len(wanted)} ({', '.join(wanted)})"
    known = [str(numbers[0]) if len(numbers) == 1 else "N" for numbers in by_name] or ["N"] * len(wanted)
    why = ", and names with → ? are not certain" if any(b.described for b in info.bands) and "→ ?" in found else ""
    return SceneMismatchError(
        f"{info.path} {found}, but the model needs {needed}{why}: say which band is which with "
        f"--bands {','.join(known)} (numbers or names, in the model's order) or choose another model"
    )
