"""Areas and lengths are those on the ellipsoid."""

import numpy as np
import pytest
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Proj, Transformer

from segflow.segmentation.vectors.geodesy import Ground
from segflow.tiling import Grid

SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])

SCENES = {
    "UTM": (Affine(10, 0, 300_000, 0, -10, 9_000_000), "EPSG:32721"),
    "UTM, far north": (Affine(10, 0, 300_000, 0, -10, 8_500_000), "EPSG:32633"),
    "UTM, south up": (Affine(10, 0, 300_000, 0, 10, 5_000_000), "EPSG:32633"),
    "rotated": (Affine(30, 12, 300_000, 12, -30, 7_000_000), "EPSG:32633"),
    "geographic": (Affine(1e-3, 0, -60, 0, -1e-3, -3), "EPSG:4326"),
    "antimeridian": (Affine(0.1, 0, 175, 0, -0.1, 65), "EPSG:4326"),
    "antimeridian, projected": (Affine(500, 0, 470_000, 0, -500, 7_000_000), "EPSG:32660"),
    "pole": (Affine(1000, 0, -50_000, 0, -1000, 50_000), "EPSG:3031"),
    "feet": (Affine(100, 0, 900_000, 0, -100, 200_000), "EPSG:2263"),
    "Mercator": (Affine(10, 0, 1_000_000, 0, -10, 6_000_000), "EPSG:3857"),
}


def ground_of(transform: Affine, crs: str | None) -> Ground:
    ground = Ground.of(Grid(height=100, width=100, transform=transform, crs=crs))
    assert ground is not None
    return ground


def rectangle(width: float, height: float, col: float = 0, row: float = 0) -> NDArray[np.float64]:
    return SQUARE * [width, height] + [col, row]


def on_ground(corners: NDArray[np.float64], transform: Affine, crs: str, step: float) -> shapely.LineString:
    """Give a dense ring or line in longitude and latitude."""
    dense = shapely.get_coordinates(shapely.segmentize(shapely.linestrings(corners), step))
    x, y = transform * dense.T
    to = Transformer.from_crs(crs, CRS(crs).geodetic_crs, always_xy=True)
    return shapely.linestrings(np.stack(to.transform(x, y), axis=1))


@pytest.mark.parametrize("name", SCENES)
def test_rings_measure_what_a_geodesic_polygon_does(name: str) -> None:
    transform, crs = SCENES[name]
    ring = rectangle(80, 60, col=7, row=12)
    (area,), (length,) = ground_of(transform, crs).measure_rings(ring, np.array([0, 4]))
    dense = on_ground(np.vstack([ring, ring[:1]]), transform, crs, 0.05)
    geod = CRS(crs).get_geod()
    expected, _ = geod.geometry_area_perimeter(shapely.Polygon(dense))

    assert area == pytest.approx(abs(expected), rel=2e-7)
    assert length == pytest.approx(geod.geometry_length(dense), rel=1e-7)


@pytest.mark.parametrize("name", ["UTM", "UTM, far north", "UTM, south up", "feet"])
def test_a_pixel_measures_what_the_projection_says(name: str) -> None:
    transform, crs = SCENES[name]
    (area,), (length,) = ground_of(transform, crs).measure_rings(rectangle(1, 1, 50, 50), np.array([0, 4]))
    metre = CRS(crs).axis_info[0].unit_conversion_factor
    longitude, latitude = Proj(crs)(*(transform * (50.5, 50.5)), inverse=True)
    factors = Proj(crs).get_factors(longitude, latitude)

    assert area == pytest.approx(abs(transform.determinant) * metre**2 / factors.areal_scale, rel=1e-7)
    assert length == pytest.approx(4 * transform.a * metre / factors.meridional_scale, rel=1e-7)


def test_the_whole_earth() -> None:
    grid = Grid(height=180, width=360, transform=Affine(1, 0, -180, 0, -1, 90), crs="EPSG:4326")
    ground = Ground.of(grid)
    assert ground is not None
    (area,), _ = ground.measure_rings(rectangle(360, 180), np.array([0, 4]))

    assert area == pytest.approx(510_065_621_724_089, rel=1e-9)  # m²; authalic radius 6,371,007.1809 m


def test_a_ring_around_the_pole() -> None:
    transform, crs = SCENES["pole"]
    (area,), _ = ground_of(transform, crs).measure_rings(rectangle(100, 100), np.array([0, 4]))
    halves = np.vstack([rectangle(37, 100), rectangle(63, 100, col=37)])
    parts, _ = ground_of(transform, crs).measure_rings(halves, np.array([0, 4, 8]))

    assert parts.sum() == pytest.approx(area, rel=1e-9)


def test_lines_are_measured_like_rings() -> None:
    transform, crs = SCENES["UTM"]
    ground = ground_of(transform, crs)
    ring = rectangle(80, 60)
    lines = np.vstack([ring, ring[:1], [[0, 0], [80, 0]]])
    whole, side = ground.measure_lines(lines, np.array([0, 5, 7]))
    _, (length,) = ground.measure_rings(ring, np.array([0, 4]))
    expected = CRS(crs).get_geod().geometry_length(on_ground(lines[5:], transform, crs, 1))

    assert whole == pytest.approx(length, rel=1e-12)
    assert side == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    "crs", [None, 'ENGCRS["site",EDATUM["site"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]']
)
def test_no_ground_without_an_ellipsoid(crs: str | None) -> None:
    assert Ground.of(Grid(height=5, width=5, transform=Affine.identity(), crs=crs)) is None


def test_unusual_coordinate_systems() -> None:
    paris = ground_of(Affine(1e-3, 0, 2, 0, -1e-3, 52), "EPSG:4807")  # grads from the meridian of Paris
    compound = ground_of(Affine(10, 0, 300_000, 0, -10, 5_000_000), "EPSG:32633+5773")
    flat = ground_of(Affine(10, 0, 300_000, 0, -10, 5_000_000), "EPSG:32633")
    (grads,), _ = paris.measure_rings(rectangle(1, 1), np.array([0, 4]))
    latitude = np.radians(52 * 0.9)

    assert grads == pytest.approx((np.radians(9e-4) * 6_378_000) ** 2 * np.cos(latitude), rel=1e-2)
    assert compound.measure_rings(SQUARE, np.array([0, 4])) == flat.measure_rings(SQUARE, np.array([0, 4]))


def test_places_off_the_map_have_no_measure() -> None:
    ground = ground_of(Affine(1e9, 0, 1e10, 0, -1e9, 1e10), "EPSG:32633")
    areas, lengths = ground.measure_rings(SQUARE, np.array([0, 4]))

    assert np.isnan(areas).all()
    assert np.isnan(lengths).all()
