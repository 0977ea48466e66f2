"""Kinds of values that settings take, and how they are read from a text.

Pydantic calls the checks when it reads settings; nothing here imports it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a text must match: a regular expression."""

    expression: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:  # noqa: ANN401  # pydantic's signature
        """Give pydantic's schema of such a text."""
        return {**handler(source), "pattern": self.expression}


@dataclass(frozen=True, slots=True)
class ReadBy:
    """Reads a value, by a function, before it is checked."""

    function: Callable[[object], object]

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:  # noqa: ANN401  # pydantic's signature
        """Give pydantic's schema of such a value."""
        read = {"type": "no-info", "function": self.function}
        return {"type": "function-before", "function": read, "schema": handler(source)}


def _split(value: object) -> object:
    """Read ``a,b,c`` from an option or a variable as a list."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _pairs(value: object) -> object:
    """Read ``a=b,c=d`` from an option or a variable as a mapping."""
    if not isinstance(value, str):
        return value
    parts = [part.partition("=") for part in value.split(",") if part.strip()]
    return {key.strip(): text.strip() for key, _, text in parts}


def _band(value: object) -> object:
    """Read a band as a number where it looks like one, else as a name."""
    return int(value) if isinstance(value, str) and value.strip().isdigit() else value


Count = Annotated[int, Ge(0)]
Positive = Annotated[int, Gt(0)]
Amount = Annotated[float, Ge(0)]
Rate = Annotated[float, Gt(0)]
Spread = Annotated[float, Ge(0), Le(2)]
Chance = Annotated[float, Ge(0), Le(1)]
Decay = Annotated[float, Ge(0), Lt(1)]

Geometry = Literal["polygon", "line", "none"]
Device = Annotated[str, Pattern(r"^(auto|cpu|cuda(:\d+)?)$")]
Colour = Annotated[str, Pattern(r"^#[0-9a-fA-F]{6}$")]
ModelName = Annotated[str, Pattern(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
DeploymentName = Annotated[str, Pattern(r"^[^/%&<>]+$")]
SceneName = Annotated[str, Pattern(r"^[^/\\]+$")]

Names = Annotated[tuple[str, ...], ReadBy(_split), MinLen(1)]
Bands = Annotated[tuple[Annotated[int | str, ReadBy(_band)], ...], ReadBy(_split), MinLen(1)]
ClassNames = Annotated[dict[int, str], ReadBy(_pairs)]
Geometries = Annotated[dict[str, Geometry], ReadBy(_pairs)]
