"""A class as settings name it."""

from dataclasses import dataclass
from typing import Annotated

from segflow.configs.kinds import Colour, Geometry, Limits, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSettings:
    """One class: its value in labels and maps, and how a GIS shows it."""

    value: Annotated[int, Limits(ge=0, lt=254)]
    name: Word
    colour: Colour
    geometry: Geometry = "polygon"
