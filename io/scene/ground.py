"""Where a grid lies on the ground: the name of its CRS, and how much ground a pixel covers."""

import math

import numpy as np
import rasterio.crs
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from segflow.tiling import Grid


def crs_name(wkt: str | None) -> str:
    """Give the code of a CRS, ``EPSG:32632``, or else its name; "none" where there is none."""
    if wkt is None:
        return "none"
    code = rasterio.crs.CRS.from_wkt(wkt).to_authority()
    return ":".join(code) if code else wkt.partition(",")[0].partition("[")[2].strip('"')


def gsd(grid: Grid) -> float | None:
    """Give the ground sampling distance at the scene's centre [m].

    The geometric mean of a pixel's two sides on the ellipsoid, so that degrees, feet and projections
    that stretch (Web Mercator at 60° doubles lengths) all come out as metres on the ground.
    None for a grid without CRS, or with one that has no relation to the ground.
    """
    sides = ground_sides(grid)
    return None if sides is None else math.sqrt(sides[0] * sides[1])


def ground_sides(grid: Grid) -> tuple[float, float] | None:
    """Give how long the sides of the pixel at the scene's centre are on the ground: (down, across) [m].

    None for a grid without CRS, or with one that has no relation to the ground.
    """
    if grid.crs is None:
        return None
    try:
        crs = CRS.from_wkt(grid.crs)
        sides = _ellipsoidal_sides(grid, crs)
    except ProjError:
        return None
    if not all(side > 0 and math.isfinite(side) for side in sides):
        sides = _planar_sides(grid, crs)
    product = sides[0] * sides[1]
    return sides if product > 0 and math.isfinite(product) else None


def _ellipsoidal_sides(grid: Grid, crs: CRS) -> tuple[float, float]:
    """Measure the pixel at the centre along the geodesic through its middle: (down, across) [m]."""
    geographic, geod = crs.geodetic_crs, crs.get_geod()
    if geographic is None or geod is None:
        return math.nan, math.nan
    a, b, c, d, e, f = tuple(grid.transform)[:6]
    rows = grid.height / 2 + np.array([-0.5, 0.5, 0.0, 0.0])
    cols = grid.width / 2 + np.array([0.0, 0.0, -0.5, 0.5])
    xs, ys = a * cols + b * rows + c, d * cols + e * rows + f
    degrees = math.degrees(geographic.axis_info[0].unit_conversion_factor)
    transformer = Transformer.from_crs(crs, geographic, always_xy=True)
    lons, lats = np.asarray(transformer.transform(xs, ys)) * degrees
    if not np.isfinite([lons, lats]).all():  # beyond the edge of the Earth's disc, as geostationary corners are
        return math.nan, math.nan
    _, _, lengths = geod.inv(lons[0::2], lats[0::2], lons[1::2], lats[1::2])
    return float(lengths[0]), float(lengths[1])


def _planar_sides(grid: Grid, crs: CRS) -> tuple[float, float]:
    """Measure a pixel in the plane of a CRS with lengths: (down, across) [m]; 0 for one without."""
    if crs.is_geographic or not crs.axis_info:
        return 0.0, 0.0
    metres = crs.axis_info[0].unit_conversion_factor
    a, b, _, d, e, _ = tuple(grid.transform)[:6]
    return math.hypot(b, e) * metres, math.hypot(a, d) * metres
