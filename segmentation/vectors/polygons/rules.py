"""What polygons of a class raster are to be."""

from dataclasses import dataclass

MAX_OBJECTS = 10_000_000  # about 2 GB of what is known of each; noise of 12,000 × 12,000 px has 144 million
NOISE = 0.05  # objects per pixel from which on a class raster looks like noise
FEW = 100_000  # objects, of which nobody needs to be warned


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonRules:
    """What polygons of a class raster are to be.

    Attributes
    ----------
    min_area_m2
        Smaller objects go to their neighbours [m²].
    min_hole_m2
        Smaller holes are filled [m²].
    simplify_px
        How far a boundary may move when it is simplified [px].
    smooth
        Rounds of corner cutting.
    max_vertices
        Objects with more corners are cut along a grid; None: they stay whole.
    max_objects
        Number of objects at which to stop.
    """

    min_area_m2: float = 0.0
    min_hole_m2: float = 0.0
    simplify_px: float = 0.0
    smooth: int = 0
    max_vertices: int | None = None
    max_objects: int = MAX_OBJECTS

    @property
    def sieves(self) -> bool:
        """Whether small objects or holes go."""
        return self.min_area_m2 > 0 or self.min_hole_m2 > 0

    @property
    def shapes(self) -> bool:
        """Whether boundaries change."""
        return self.simplify_px > 0 or self.smooth > 0
