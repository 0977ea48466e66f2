"""What vectors are to be: the settings that `segflow run` and `segflow vectorize` share."""

from dataclasses import dataclass
from typing import Annotated

from segflow.configs.fields import settings_class
from segflow.configs.kinds import Amount, Count, Limits, MinAreas, Names, Positive
from segflow.configs.setting import NOTHING, PRODUCTS, Panel, Setting


@settings_class
@dataclass(frozen=True, slots=True, kw_only=True)
class VectorRules:
    """What becomes of a class raster's objects on their way to polygons and centrelines."""

    classes: Annotated[
        Names | None,
        Setting(PRODUCTS, Panel.VECTORS, "Classes to vectorise: forest,water.", unset="all"),
    ] = None
    min_area: Annotated[
        MinAreas,
        Setting(
            PRODUCTS,
            Panel.VECTORS,
            "Give objects smaller than this to the neighbour they border most [m²]; "
            "by class: forest=5000,water=1000, others have no minimum.",
            metavar="M2|CLASS=M2,…",
        ),
    ] = 0.0
    min_hole: Annotated[
        Amount,
        Setting(PRODUCTS, Panel.VECTORS, "Fill holes smaller than this, whatever lies in them [m²]."),
    ] = 0.0
    simplify: Annotated[
        Amount,
        Setting(PRODUCTS, Panel.VECTORS, "Simplify edges; shared ones stay shared, none moves farther [px]."),
    ] = 0.0
    smooth: Annotated[
        Count,
        Setting(PRODUCTS, Panel.VECTORS, "Round corners so many times; shared edges stay shared."),
    ] = 0
    max_vertices: Annotated[
        Annotated[int, Limits(ge=4)] | None,
        Setting(PRODUCTS, Panel.VECTORS, "Cut polygons with more corners along a grid.", unset="whole"),
    ] = None
    max_objects: Annotated[
        Positive,
        Setting(NOTHING, Panel.VECTORS, "Stop at more objects, as noise has them."),
    ] = 10_000_000
    max_gap: Annotated[
        Amount,
        Setting(PRODUCTS, Panel.VECTORS, "Centrelines: bridge gaps up to this between aligned ends [m]."),
    ] = 0.0
    min_length: Annotated[
        Amount | None,
        Setting(PRODUCTS, Panel.VECTORS, "Centrelines: leave out networks shorter than this [m].", unset="10 px"),
    ] = None

    @property
    def areas(self) -> dict[str, float]:
        """The smallest areas of single classes by name [m²]; empty where one holds for all."""
        return self.min_area if isinstance(self.min_area, dict) else {}

    @property
    def sieves(self) -> bool:
        """Whether small objects or holes change their class."""
        least = self.areas.values() if isinstance(self.min_area, dict) else (self.min_area,)
        return self.min_hole > 0 or any(area > 0 for area in least)
