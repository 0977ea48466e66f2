"""Which bands of a scene go into a model, and in which order."""

from dataclasses import dataclass
from typing import Protocol

from segflow.errors import SceneMismatchError
from segflow.io.scene.info import Band


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
    2. Else the bands that carry the wanted names.
    3. Else all bands in the order of the file, if there are as many as wanted
       and their descriptions do not contradict; never of bands in separate files.

    Raises
    ------
    SceneMismatchError
        If none of the three fits; a guess is never made.
    """
    if chosen is not None:
        return _chosen(info, wanted_names, chosen)
    by_name = [_named(info, name) for name in wanted_names]
    if all(len(numbers) == 1 for numbers in by_name):
        return tuple(number for (number,) in by_name)
    if len(info.bands) != len(wanted_names):
        raise _mismatch(info, wanted_names, f"has {_bands_text(info)}")
    described = [band.name for band in info.bands if band.described]
    if isinstance(info, BandList) or set(described) & {name.lower() for name in wanted_names}:
        raise _mismatch(info, wanted_names, f"has bands of other names: {', '.join(map(str, described))}")
    return tuple(band.number for band in info.bands)


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


def _named(info: HasBands, name: str) -> list[int]:
    wanted = name.strip().lower()
    numbers = [band.number for band in info.bands if wanted == band.name or wanted in band.aliases]
    if not numbers and info.alpha is not None and wanted == "alpha":
        return [info.alpha]
    return numbers


def _bands_text(info: HasBands) -> str:
    """Say how many bands a scene has and what they are called."""
    count = len(info.bands)
    names = [band.name or str(band.number) for band in info.bands[:12]]
    text = f"{count} band{'s' if count != 1 else ''} ({', '.join(names)}{', …' if count > len(names) else ''})"
    return text if info.alpha is None else f"{text} and alpha band {info.alpha}"


def _mismatch(info: HasBands, wanted: tuple[str, ...], found: str) -> SceneMismatchError:
    needed = f"{len(wanted)} ({', '.join(wanted)})"
    example = ",".join(map(str, range(1, len(wanted) + 1)))
    return SceneMismatchError(
        f"{info.path} {found}, but the model needs {needed}: choose bands with --bands (such as --bands {example}) "
        "or another model"
    )
