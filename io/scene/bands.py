"""Which bands of a scene go into a model, and in which order: by what they are called, never by a guess."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from segflow.errors import SceneMismatchError
from segflow.io.scene.band_words import plain_words, read_meaning
from segflow.io.scene.info import Band

_SHOWN = 24  # bands in a message
_POSITION = re.compile(r"^b[1-9]\d*$")  # names that projects give to bands without names: places in a stack


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
    3. Else all bands in the order of the file, if there are as many as wanted and none has a name that says what it is;
       never of bands in separate files.

    A model whose bands are places in a stack (``b1``, ``b2``, …) takes the bands of a stack of as many, in their order,
    and never a sensor's: the sixth band of a stack is not Landsat's B6.

    Raises
    ------
    SceneMismatchError
        If none of these fits; a guess is never made.
    """
    if chosen is not None:
        return _chosen(info, wanted_names, chosen)
    ordered = not isinstance(info, BandList) and len(info.bands) == len(wanted_names)
    by_name = [_named(info, name) if ordered or not _POSITION.match(name) else () for name in wanted_names]
    if all(len(numbers) == 1 for numbers in by_name) and len(set(by_name)) == len(by_name):
        return tuple(number for (number,) in by_name)
    places = tuple(f"b{place}" for place in range(1, len(wanted_names) + 1))
    counted = wanted_names == places and not any(band.common and band.described for band in info.bands)
    if ordered and (counted or not any(band.described for band in info.bands)):
        return tuple(band.number for band in info.bands)
    named = any(band.described for band in info.bands)
    found = f"has bands of other or uncertain names: {_bands_text(info)}" if named else f"has {_bands_text(info)}"
    raise _mismatch(info, wanted_names, found, by_name)


def describe_choice(info: HasBands, wanted: tuple[str, ...], numbers: tuple[int, ...]) -> str:
    """Say which band of a scene each band of the model is: ``red ← 3 (B04)``."""
    names = {band.number: band.name for band in info.bands}
    parts = []
    for name, number in zip(wanted, numbers, strict=True):
        called = names.get(number, "alpha" if number == info.alpha else None)
        parts.append(f"{name} ← {number}" + (f" ({called})" if called and called != name else ""))
    return ", ".join(parts)


def find_contradictions(info: HasBands, numbers: tuple[int, ...]) -> tuple[str, ...]:
    """Give a line where chosen bands are described as something else than what their colour interpretation says."""
    lines = [
        f"band {band.number} is described as {band.name} ({band.common[0]}), but its colour interpretation says "
        f"{band.colour}: the description counts"
        for band in info.bands
        if band.number in numbers and band.described and band.common and band.colour not in {"", *band.common}
    ]
    return tuple(lines)


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
    numbers = _named(info, text)
    if len(numbers) != 1:
        found = "no band" if not numbers else f"{len(numbers)} bands"
        raise _mismatch(info, wanted, f"has {found} named {text} (it has {_bands_text(info)})")
    return numbers[0]


def _named(info: HasBands, name: str) -> tuple[int, ...]:
    """Give the numbers of bands that go by a name: as it is written, else as the word that it means."""
    wanted = _flat(name)
    found = [band for band in info.bands if wanted in {_flat(other) for other in (band.name or "", *band.aliases)}]
    if not found:
        words = set(read_meaning(name).names[:1]) or {wanted}
        found = [band for band in info.bands if words & set(band.common[:1])]
        found = found or [band for band in info.bands if words & {*band.common, *band.aliases}]
    if not found and info.alpha is not None and wanted == "alpha":
        return (info.alpha,)
    return tuple(band.number for band in found)


def _flat(name: str) -> str:
    """Give a name as it is compared: composed, in lower case, without blanks around it."""
    return unicodedata.normalize("NFC", name).strip().lower()


def _bands_text(info: HasBands) -> str:
    """Say how many bands a scene has, what they are called and what that means."""
    count = len(info.bands)
    names = [_band_text(band) for band in info.bands[:_SHOWN]]
    text = f"{count} band{'s' if count != 1 else ''} ({', '.join(names)}{', …' if count > len(names) else ''})"
    return text if info.alpha is None else f"{text} and alpha band {info.alpha}"


def _band_text(band: Band) -> str:
    if not band.name:
        return str(band.number)
    means = band.common[0] if band.common and plain_words(band.name) != plain_words(band.common[0]) else ""
    return band.name + (f" = {means}" if means else "")


def _mismatch(
    info: HasBands, wanted: tuple[str, ...], found: str, by_name: Sequence[tuple[int, ...]] = ()
) -> SceneMismatchError:
    needed = f"{len(wanted)} ({', '.join(wanted)})"
    known = [str(numbers[0]) if len(numbers) == 1 else "?" for numbers in by_name] or ["?"] * len(wanted)
    example = ",".join(known) if set(known) != {"?"} else ",".join(["N"] * len(wanted))
    return SceneMismatchError(
        f"{info.path} {found}, but the model needs {needed}: say which band is which with --bands {example}, in the "
        "model's order, or choose another model"
    )
