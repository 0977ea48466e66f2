"""Kinds of values that settings take, and how they are read from a text.

Pydantic calls the checks when it reads settings; nothing here imports it.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, fields
from math import isfinite
from typing import Annotated, Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a value must keep to, in pydantic's words; None: no limit.

    Attributes
    ----------
    ge, gt, le, lt, multiple_of
        Of a number.
    min_length
        Of a list, and so it stands before `ReadBy`, which makes one of a text.
    pattern
        A regular expression, of a text.
    """

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    multiple_of: int | None = None
    min_length: int | None = None
    pattern: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:  # noqa: ANN401  # pydantic's signature
        """Give pydantic's schema of such a value."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**handler(source), **{name: limit for name, limit in given.items() if limit is not None}}


@dataclass(frozen=True, slots=True)
class ReadBy:
    """Reads a value, by a function, before it is checked."""

    function: Callable[[object], object]

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:  # noqa: ANN401  # pydantic's signature
        """Give pydantic's schema of such a value."""
        read = {"type": "no-info", "function": self.function}
        return {"type": "function-before", "function": read, "schema": handler(source)}


def composed(value: object) -> object:
    """Give a text with its letters composed (NFC), so that a name is one name however its umlauts were typed."""
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


def _split(value: object) -> object:
    """Read ``a,b,c`` from an option or a variable as a list."""
    parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    return [composed(part) for part in parts] if isinstance(parts, list | tuple) else parts


def _pairs(value: object) -> object:
    """Read ``a=b,c=d`` from an option or a variable as a mapping."""
    if isinstance(value, str):
        parts = [part.partition("=") for part in value.split(",") if part.strip()]
        value = {key.strip(): text.strip() for key, _, text in parts}
    return {composed(key): composed(text) for key, text in value.items()} if isinstance(value, dict) else value


def _band(value: object) -> object:
    """Read a band as a number where it looks like one, else as a name."""
    return int(value) if isinstance(value, str) and value.strip().isdigit() else composed(value)


def _split_masks(value: object) -> object:
    """Read ``scl; clouds.tif:1,2`` from an option or a variable as a list; commas part the values of one mask."""
    return [part.strip() for part in value.split(";") if part.strip()] if isinstance(value, str) else value


def _ends(value: object) -> object:
    """Read ``LOW:HIGH`` from an option or a variable as two numbers.

    Raises
    ------
    ValueError
        If these are not two numbers of which the second is the higher one.
    """
    parts = value.split(":") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or len(parts) != 2:  # noqa: PLR2004
        msg = f"reads LOW:HIGH, such as 0:3000, got {value!r}"
        raise ValueError(msg)
    low, high = (float(part) for part in parts)
    if not (isfinite(low) and isfinite(high) and low < high):
        msg = f"needs two numbers, the second higher than the first, got {value!r}"
        raise ValueError(msg)
    return low, high


def _areas(value: object) -> object:
    """Read one area for all classes, or ``forest=5000,water=1000`` as areas of some.

    Raises
    ------
    ValueError
        If an area is no number of at least 0, or a class is named twice.
    """
    if isinstance(value, str) and "=" in value:
        parts = [part.rpartition("=") for part in value.split(",") if part.strip()]
        names = [name.strip() for name, _, _ in parts]
        if twice := [name for name in names if names.count(name) > 1]:
            msg = f"names class {twice[0]!r} twice"
            raise ValueError(msg)
        value = dict(zip(names, (number.strip() for _, _, number in parts), strict=True))
    if isinstance(value, dict):
        return {composed(str(name)): _area(number, str(name)) for name, number in value.items()}
    return _area(value, "all classes")


def _area(value: object, name: str) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else -1.0
    except ValueError:
        number = -1.0
    if not (name and isfinite(number) and number >= 0):
        msg = f"{name or 'a class without a name'} needs an area of at least 0 m², as in 5000 or forest=5000,water=1000"
        raise ValueError(msg)
    return number


Word = Annotated[str, ReadBy(composed)]
Count = Annotated[int, Limits(ge=0)]
Positive = Annotated[int, Limits(gt=0)]
Amount = Annotated[float, Limits(ge=0)]
Rate = Annotated[float, Limits(gt=0)]
Spread = Annotated[float, Limits(ge=0, le=2)]
Chance = Annotated[float, Limits(ge=0, le=1)]
Decay = Annotated[float, Limits(ge=0, lt=1)]

Geometry = Literal["polygon", "line", "none"]
Device = Annotated[str, Limits(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
Colour = Annotated[str, Limits(pattern=r"^#[0-9a-fA-F]{6}$")]
ModelName = Annotated[str, Limits(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
DeploymentName = Annotated[str, Limits(pattern=r"^[^/%&<>]+$")]
SceneName = Annotated[str, Limits(pattern=r"^[^/\\]+$")]

Names = Annotated[tuple[str, ...], Limits(min_length=1), ReadBy(_split)]
Bands = Annotated[tuple[Annotated[int | str, ReadBy(_band)], ...], Limits(min_length=1), ReadBy(_split)]
Masks = Annotated[tuple[str, ...], Limits(min_length=1), ReadBy(_split_masks)]
Ends = Annotated[tuple[float, float], ReadBy(_ends)]
ClassNames = Annotated[dict[int, str], ReadBy(_pairs)]
MinAreas = Annotated[float | dict[str, float], ReadBy(_areas)]
Geometries = Annotated[dict[str, Geometry], ReadBy(_pairs)]
