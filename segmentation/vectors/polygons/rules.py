"""Rules for the polygons of a class raster: minimum mapping unit, simplification, size."""

from collections.abc import Mapping
from dataclasses import dataclass

MAX_OBJECTS = 10_000_000  # about 2 GB of statistics and places; noise of 12,000 × 12,000 px has 144 million
NOISE = 0.05  # objects per pixel above which a class raster looks like noise
FEW = 100_000  # objects; no warning up to this number


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonRules:
    """Rules for the polygons of a class raster.

    Attributes
    ----------
    min_area_m2
        Smaller objects take the class of a neighbour [m²]; or such areas by class, where others have no minimum.
    min_hole_m2
        Smaller holes are filled [m²].
    simplify_px
        How far a boundary may move when it is simplified [px].
    smooth
        Rounds of corner cutting.
    max_vertices
        Polygons with more corners are cut along a grid; None: they stay whole.
    max_objects
        With more objects, vectorising stops.
    """

    min_area_m2: float | Mapping[int, float] = 0.0
    min_hole_m2: float = 0.0
    simplify_px: float = 0.0
    smooth: int = 0
    max_vertices: int | None = None
    max_objects: int = MAX_OBJECTS

    @property
    def sieves(self) -> bool:
        """Whether there is a minimum mapping unit for objects or holes."""
        least = self.min_area_m2.values() if isinstance(self.min_area_m2, Mapping) else (self.min_area_m2,)
        return self.min_hole_m2 > 0 or any(area > 0 for area in least)

    @property
    def shapes(self) -> bool:
        """Whether boundaries are simplified or smoothed."""
        return self.simplify_px > 0 or self.smooth > 0
