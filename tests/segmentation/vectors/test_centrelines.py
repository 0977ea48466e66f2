"""Centrelines of networks whose truth is known: where they run, how they meet, what their fields say."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import Geod
from shapely import LineString, affinity

from segflow.segmentation.vectors.lines.centrelines import LineTable
from tests.segmentation.vectors.road_networks import (
    Raster,
    RoadNetwork,
    grid_of,
    junctions,
    noisy,
    score,
    star,
    town,
    trace,
)

NODATA = 255
WIDTHS = [5, 6, 7, 8, 9]  # px
ANGLES = [0, 13, 30, 45, 77]  # degrees
CORNERS = [(0, 90, 180), (20, 110, 200), (0, 120, 240), (0, 40, 200), (10, 100, 190, 280), (45, 135, 225, 315)]
NARROW = [(0, 60, 180, 240), (30, 75, 210, 255), (0, 35, 180, 215), (0, 25, 180, 205)]
MANY = [(0, 72, 144, 216, 288)]


def assert_shows(network: RoadNetwork, table: LineTable) -> None:
    found = score(network, table.geometry)

    assert found.completeness >= 0.98
    assert found.correctness >= 0.97
    assert found.rms <= 0.7
    assert junctions(table) == network.degrees


def ends_of(table: LineTable) -> list[tuple[float, float]]:
    return [line.coords[place] for line in table.geometry for place in (0, -1)]


def straight(angle: float, *offsets: float) -> RoadNetwork:
    lines = [affinity.rotate(LineString([(30, 200 + y), (370, 200 + y)]), angle, origin=(200, 200)) for y in offsets]
    return RoadNetwork(lines=tuple(lines), shape=(400, 400))


def with_gaps(labels: Raster, angle: float, gap: float) -> Raster:
    cuts = [affinity.rotate(shapely.box(x - gap / 2, 150, x + gap / 2, 250), angle, origin=(200, 200)) for x in GAPS]
    return labels * (1 - rasterio.features.rasterize(cuts, labels.shape, dtype="uint8"))


GAPS = 100, 180, 300


@pytest.mark.parametrize("width", WIDTHS)
def test_streets_of_a_town(width: int) -> None:
    network = town(width)

    assert_shows(network, trace(network.draw(width)))


@pytest.mark.parametrize("width", [(4, 8), (7, 13)])
def test_streets_of_varying_width(width: tuple[float, float]) -> None:
    network = town(4)

    assert_shows(network, trace(network.draw(width)))


@pytest.mark.parametrize("width", [5, 7, 9])
@pytest.mark.parametrize("share", [0.005, 0.02])
def test_noise_does_not_matter(width: int, share: float) -> None:
    network = town(10 + width)

    assert_shows(network, trace(noisy(network.draw(width), share, seed=width)))


@pytest.mark.parametrize("width", [5, 9])
@pytest.mark.parametrize("angles", CORNERS + NARROW + MANY, ids=str)
def test_junctions_of_straight_roads(angles: tuple[float, ...], width: int) -> None:
    network = star(angles)
    table = trace(network.draw(width))
    centre = shapely.Point(network.lines[0].coords[0])

    assert_shows(network, table)
    assert len(table) == len(angles)
    assert shapely.distance(table.geometry, centre).min() < 1
    assert shapely.distance(shapely.MultiPoint(ends_of(table)), centre) < 1.5


@pytest.mark.parametrize("width", [5, 6, 9])
@pytest.mark.parametrize("angle", ANGLES)
def test_parallel_roads_stay_apart(angle: float, width: int) -> None:
    network = straight(angle, -(width + 3), 0, width + 2)
    table = trace(network.draw(width))

    assert_shows(network, table)
    assert len(table) == 3


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize(("width", "gap"), [(5, 4), (7, 12), (9, 8)])
def test_gaps_are_bridged_as_far_as_asked(angle: float, width: int, gap: float) -> None:
    network = straight(angle, 0)
    labels = with_gaps(network.draw(width), angle, gap)

    assert len(trace(labels)) == 4
    assert len(trace(labels, max_gap_px=gap - 3)) == 4
    table = trace(labels, max_gap_px=gap + 1)
    assert len(table) == 1
    assert_shows(network, table)


def test_ends_that_point_elsewhere_are_not_bridged() -> None:
    first = LineString([(20, 50), (90, 50)])
    corner = RoadNetwork(lines=(first, LineString([(100, 60), (100, 130)])), shape=(150, 150))
    beside = RoadNetwork(lines=(first, LineString([(100, 62), (180, 62)])), shape=(150, 200))
    over = RoadNetwork(
        lines=(LineString([(20, 50), (80, 50)]), LineString([(100, 50), (180, 50)]), LineString([(90, 5), (90, 95)])),
        shape=(100, 200),
    )

    assert [len(trace(n.draw(5), max_gap_px=20)) for n in (corner, beside, over)] == [2, 2, 3]


def test_lines_meet_in_nodes_and_nowhere_else() -> None:
    table = trace(noisy(town(2).draw(7), 0.01, seed=2), max_gap_px=12)
    nodes = np.concatenate([table.start_node, table.end_node])
    degrees = np.concatenate([table.start_degree, table.end_degree])
    points = np.concatenate([shapely.get_point(table.geometry, place) for place in (0, -1)])
    place = dict(zip(nodes.tolist(), shapely.to_wkb(points).tolist(), strict=True))
    tree = shapely.STRtree(table.geometry)
    one, other = tree.query(table.geometry, predicate="intersects")
    shared = shapely.intersection(table.geometry[one[one < other]], table.geometry[other[one < other]])

    assert [place[node] for node in nodes.tolist()] == shapely.to_wkb(points).tolist()
    assert len(set(place.values())) == len(place)
    assert [Counter(nodes.tolist())[node] for node in nodes.tolist()] == degrees.tolist()
    assert 2 not in degrees
    assert shapely.is_simple(table.geometry).all()
    assert set(shapely.to_wkb(shapely.get_parts(shared)).tolist()) <= set(place.values())
    assert len(set(table.first_px.tolist())) == len(table)


def test_a_ring_is_one_closed_line() -> None:
    ring = LineString(shapely.Point(100, 100).buffer(60, quad_segs=64).exterior)
    table = trace(RoadNetwork(lines=(ring,), shape=(200, 200)).draw(7))

    assert len(table) == 1
    assert shapely.is_closed(table.geometry).all()
    assert table.start_node == table.end_node
    assert (table.start_degree, table.end_degree) == (2, 2)
    assert shapely.length(table.geometry)[0] == pytest.approx(2 * np.pi * 60, rel=0.01)


def test_a_wider_line_is_smoother_but_ends_where_it_did() -> None:
    labels = noisy(straight(13, 0).draw(7), 0.02, seed=1)
    rough, soft = trace(labels, smooth_px=0, simplify_px=0), trace(labels, smooth_px=6, simplify_px=0)

    assert shapely.get_point(rough.geometry, 0) == shapely.get_point(soft.geometry, 0)
    assert shapely.get_point(rough.geometry, -1) == shapely.get_point(soft.geometry, -1)
    assert shapely.length(soft.geometry) < shapely.length(rough.geometry)


def test_branches_go_by_the_width_of_the_road() -> None:
    lines = LineString([(20, 60), (180, 60)]), LineString([(100, 60), (100, 40)])
    labels = RoadNetwork(lines=lines, shape=(120, 200)).draw(9)

    assert len(trace(labels)) == 3
    assert len(trace(labels, spur_factor=6)) == 1
    assert len(trace(labels, min_length_px=400)) == 0


@pytest.mark.parametrize("angle", [0, 20, 45, 70, 90])
def test_lines_reach_the_edge_of_the_scene(angle: float) -> None:
    line = affinity.rotate(LineString([(-200, 100.3), (400, 100.3)]), angle, origin=(100, 100))
    table = trace(RoadNetwork(lines=(line,), shape=(200, 200)).draw(9))
    inside = line.intersection(shapely.box(0, 0, 200, 200))
    ends = shapely.get_point(table.geometry[0], 0), shapely.get_point(table.geometry[0], -1)

    assert len(table) == 1
    assert table.touches_edge.all()
    assert not table.touches_nodata.any()
    assert max(end.distance(shapely.box(0, 0, 200, 200).exterior) for end in ends) == 0
    assert max(end.distance(inside.boundary) for end in ends) < 1.5


def test_lines_reach_the_edge_of_the_data() -> None:
    labels = straight(0, 0).draw(8)
    labels[:, 300:] = NODATA
    table = trace(labels)

    assert table.touches_nodata.all()
    assert not table.touches_edge.any()
    assert shapely.bounds(table.geometry)[0][2] == pytest.approx(300, abs=0.3)


def test_a_road_in_the_open_touches_nothing() -> None:
    table = trace(straight(30, 0).draw(7))

    assert not table.touches_edge.any()
    assert not table.touches_nodata.any()


@pytest.mark.parametrize("width", [5, 6, 7, 9, 15])
@pytest.mark.parametrize("angle", [0, 10, 30, 45])
def test_width_is_that_of_the_road(angle: float, width: int) -> None:
    labels = straight(angle, 0.2).draw(width)
    table = trace(labels, grid=grid_of(labels, Affine(2, 0, 5e5, 0, -2, 5e6), "EPSG:32633"))

    assert table.width_m[0] == pytest.approx(2 * width, abs=2 * 0.6)
    assert table.width_min_m[0] == pytest.approx(2 * width, abs=2 * 1.1)
    assert table.width_min_m[0] <= table.width_m[0] + 1e-9


def test_confidence_is_that_of_the_pixels_below() -> None:
    labels = straight(0, 0).draw(5)
    table = trace(labels)
    row = round(shapely.bounds(table.geometry)[0][1] - 0.5)
    first, n = int(table.first_px[0] % 400), int(table.n_px[0])
    under = (row * 37 + np.arange(first, first + n) * 11) % 101 / 100

    assert table.first_px[0] // 400 == row
    assert table.confidence_mean[0] == pytest.approx(under.mean())
    assert table.confidence_min[0] == under.min()


def test_holes_that_are_filled_have_no_confidence() -> None:
    labels = straight(0, 0).draw(5)
    whole = trace(labels)
    middle = divmod(int(whole.first_px[0]) + 100, 400)
    labels[middle] = 0
    holed = trace(labels)

    assert holed.n_px == whole.n_px
    assert holed.confidence_mean != whole.confidence_mean
    assert shapely.equals(holed.geometry, whole.geometry).all()


@pytest.mark.parametrize("turn", [0, 33])
def test_lengths_are_geodesic_on_rotated_grids(turn: float) -> None:
    labels = straight(13, 0).draw(7)
    transform = Affine(5, 0, 3e5, 0, -5, 6e6) @ Affine.rotation(turn)
    table = trace(labels, grid=grid_of(labels, transform, "EPSG:32633"))

    assert table.length_m[0] == pytest.approx(shapely.length(table.geometry)[0], rel=1e-3)
    assert table.length_m[0] != shapely.length(table.geometry)[0]
    assert table.length_m[0] == pytest.approx(340 * 5, rel=0.02)
    assert table.width_m[0] == pytest.approx(7 * 5, abs=3)


@pytest.mark.parametrize(("angle", "across"), [(0, 1.114), (90, 0.558)])
def test_metres_are_those_of_the_ground_on_geographic_grids(angle: float, across: float) -> None:
    labels = straight(angle, 0).draw(7)
    grid = grid_of(labels, Affine(1e-5, 0, 10, 0, -1e-5, 60), "EPSG:4326")
    table = trace(labels, grid=grid)

    assert table.length_m[0] == pytest.approx(Geod(ellps="WGS84").geometry_length(table.geometry[0]), rel=1e-6)
    assert table.width_m[0] == pytest.approx(7 * across, rel=0.1)


def test_a_scene_without_crs_has_no_metres() -> None:
    table = trace(straight(13, 0).draw(7))

    assert np.isnan(table.length_m).all()
    assert np.isnan(table.width_m).all()
    assert np.isnan(table.width_min_m).all()


def labels_of(folder: Path, name: str) -> tuple[Raster, Affine, str]:
    with rasterio.open(folder / "roads-massachusetts" / "labels" / name) as source:
        labels: NDArray[np.uint8] = source.read(1)
        return labels, source.transform, source.crs.to_wkt()


def test_real_roads(shared_data: Path) -> None:
    labels, transform, crs = labels_of(shared_data, "23279080.tif")
    table = trace(labels, 256, 256, grid=grid_of(labels, transform, crs))
    burnt = rasterio.features.rasterize(shapely.buffer(table.geometry, 3.5), labels.shape, transform=transform)
    road = labels == 1

    assert (road & (burnt > 0)).sum() / road.sum() > 0.95
    assert (road & (burnt > 0)).sum() / (burnt > 0).sum() > 0.9
    assert np.median(table.width_m) == pytest.approx(7, abs=0.5)
    assert shapely.is_simple(table.geometry).all()
