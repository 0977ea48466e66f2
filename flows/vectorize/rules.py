"""What settings say about vectors, in the words of the polygon pipeline."""

from segflow.configs.vector_rules import VectorRules
from segflow.segmentation.vectors.polygons.rules import PolygonRules


def polygon_rules(rules: VectorRules) -> PolygonRules:
    """Give what settings say about polygons."""
    return PolygonRules(
        min_area_m2=rules.min_area,
        min_hole_m2=rules.min_hole,
        simplify_px=rules.simplify,
        smooth=rules.smooth,
        max_vertices=rules.max_vertices,
        max_objects=rules.max_objects,
    )
