"""Ground sampling distance: metres on the ground whatever the CRS."""

import math

import pytest
from affine import Affine
from pyproj import CRS

from segflow.io.scene.ground import gsd
from segflow.tiling import Grid


def grid(crs, transform):
    return Grid(height=100, width=100, transform=transform, crs=None if crs is None else CRS(crs).to_wkt())


def square(size, x, y):
    return Affine(size, 0, x, 0, -size, y)


def test_no_crs_has_no_ground():
    assert gsd(grid(None, Affine.identity())) is None


@pytest.mark.parametrize(
    ("crs", "transform", "expected"),
    [
        ("EPSG:32633", square(10, 500_000, 5_000_000), 10),
        ("EPSG:4326", square(9e-5, -60, 0.0045), 9e-5 * math.pi / 180 * math.sqrt(6378137 * 6335439)),
        ("EPSG:2263", square(1, 980_000, 200_000), 1200 / 3937),  # US survey feet
        ("EPSG:3857", square(10, 0, 8_399_737.9), 5.0),  # 60° N: lengths are doubled
        ("EPSG:4807", square(1e-4, 0, 50), 8.424),  # grads from Paris: 10.00 m by 7.10 m at 45° N
    ],
)
def test_units_and_stretch_come_out_as_metres(crs, transform, expected):
    assert gsd(grid(crs, transform)) == pytest.approx(expected, rel=2e-3)


def test_rotation_and_south_up_do_not_matter():
    upright = grid("EPSG:32633", square(10, 500_000, 5_000_000))
    turned = grid("EPSG:32633", Affine.translation(500_000, 5_000_000) @ Affine.rotation(30) @ Affine.scale(10, 10))

    assert gsd(turned) == pytest.approx(gsd(upright), rel=1e-4)


def test_pixels_that_are_not_square_count_with_their_geometric_mean():
    oblong = grid("EPSG:32633", Affine(20, 0, 500_000, 0, -5, 5_000_000))

    assert gsd(oblong) == pytest.approx(10, rel=1e-3)


def test_a_crs_without_relation_to_the_earth_counts_in_its_unit():
    site = 'ENGCRS["site",EDATUM["site"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]'

    assert gsd(Grid(height=9, width=9, transform=square(2, 0, 0), crs=site)) == pytest.approx(2)


def test_beyond_the_edge_of_the_disc_the_plane_counts():
    disc = "+proj=geos +h=35785831 +lon_0=0 +sweep=y"

    assert gsd(grid(disc, square(3000, 9_000_000, 9_000_000))) == pytest.approx(3000)
