"""What settings say about vectors, in the words of the polygon pipeline."""

from collections.abc import Mapping

from segflow.configs.vector_rules import VectorRules
from segflow.errors import SettingsError
from segflow.segmentation.vectors.polygons.rules import PolygonRules


def polygon_rules(rules: VectorRules, codes: Mapping[str, int]) -> PolygonRules:
    """Give what settings say about polygons.

    Parameters
    ----------
    rules
        The settings.
    codes
        Code of each class by what it may be called.

    Raises
    ------
    SettingsError
        If a minimum area is given for a class that is not among them.
    """
    return PolygonRules(
        min_area_m2=_least_areas(rules, codes),
        min_hole_m2=rules.min_hole,
        simplify_px=rules.simplify,
        smooth=rules.smooth,
        max_vertices=rules.max_vertices,
        max_objects=rules.max_objects,
    )


def least_area_text(rules: VectorRules) -> str:
    """Say which objects are too small, in words."""
    if not isinstance(rules.min_area, dict):
        return f"{rules.min_area:g} m²" if rules.min_area else "one pixel"
    return ", ".join(f"{name} {area:g} m²" for name, area in rules.min_area.items()) + "; of other classes one pixel"


def _least_areas(rules: VectorRules, codes: Mapping[str, int]) -> float | dict[int, float]:
    if not isinstance(rules.min_area, dict):
        return rules.min_area
    for name in rules.min_area:
        if name not in codes:
            known = {code: each for each, code in reversed(codes.items())}  # the first of several names of one class
            msg = f"--min-area names {name!r}, but the classes are {', '.join(reversed(known.values()))}"
            raise SettingsError(msg)
    if len({codes[name] for name in rules.min_area}) < len(rules.min_area):
        msg = f"--min-area names one class twice, by name and by value: {', '.join(rules.min_area)}"
        raise SettingsError(msg)
    return {codes[name]: area for name, area in rules.min_area.items()}
