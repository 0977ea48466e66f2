"""Labels are found wherever on the globe a scene lies: across the 180th meridian, around a pole, in any system."""

from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import CRS, Transformer
from shapely import Geometry, MultiPolygon, Point, Polygon, box

from segflow.io.labels.points import read_points
from segflow.io.labels.polygons import count_outside, read_label_polygons
from segflow.io.vector.placing import Placing
from segflow.io.vector.source import LabelsElsewhereError, open_source
from segflow.tiling import Grid

SIDE = 80  # px
ROWS, COLS = slice(20, 50), slice(10, 70)  # of the label, over the middle of the scene
LABEL = box(COLS.start, ROWS.start, COLS.stop, ROWS.stop)


def scene_at(crs: str, lon: float, lat: float, pixel: float) -> Grid:
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    half = SIDE / 2 * pixel
    return Grid(
        height=SIDE, width=SIDE, transform=Affine(pixel, 0, x - half, 0, -pixel, y + half), crs=CRS(crs).to_wkt()
    )


FIJI = scene_at("EPSG:32760", 180, -17, 100)
SCENES = {
    "utm at 180°": FIJI,
    "degrees past 180°": scene_at("EPSG:4326", 180, 60, 0.01),
    "degrees before −180°": scene_at("EPSG:4326", -180, 60, 0.01),
    "degrees from 0 to 360": Grid(
        height=SIDE, width=SIDE, transform=Affine(4.5, 0, 0, 0, -1, 40), crs=CRS(4326).to_wkt()
    ),
    "web mercator past 180°": scene_at("EPSG:3857", 179.9999999, 50, 100),
    "north pole": scene_at("EPSG:3995", 0, 90, 1000),
    "south pole": scene_at("EPSG:3031", 0, -90, 1000),
    "beside a pole": scene_at("EPSG:3995", 179.9, 88, 1000),
    "an ordinary place": scene_at("EPSG:32633", 15, 50, 100),
    "antarctic islands in a system around the south pole": scene_at("EPSG:3031", 180, -66, 500),
}


def in_degrees(grid: Grid, shape: Polygon = LABEL) -> Polygon:
    """Give a polygon of pixels in longitude and latitude, its longitudes between −180° and 180°."""
    xy = shapely.get_coordinates(shape.segmentize(1)) @ np.diag([1.0, 1.0])
    a, b, c, d, e, f = tuple(grid.transform)[:6]
    world = a * xy[:, 0] + b * xy[:, 1] + c, d * xy[:, 0] + e * xy[:, 1] + f
    lon, lat = Transformer.from_crs(grid.crs, 4326, always_xy=True).transform(*world)
    return Polygon(np.column_stack([(np.asarray(lon) + 180) % 360 - 180, lat]))


def unwrapped(shape: Polygon) -> Polygon:
    """Give a polygon that goes on past 180°; one around a pole is closed by way of it."""
    lon, lat = shapely.get_coordinates(shape).T
    lon = np.unwrap(lon, period=360)
    ring = np.column_stack([lon, lat])
    if abs(lon[-1] - lon[0]) > 180:
        pole = np.copysign(90, lat.mean())
        ring = np.concatenate([ring, [[lon[-1], pole], [lon[0], pole]]])
    return Polygon(ring)


def cut(shape: Polygon) -> MultiPolygon:
    """Give a polygon cut at the meridian, as RFC 7946 wants it."""
    whole = shapely.make_valid(unwrapped(shape))
    parts = [
        shapely.transform(piece, lambda xy, k=k: xy - np.array([360 * k, 0]))
        for k in (-1, 0, 1)
        for piece in shapely.get_parts(whole & box(360 * k - 180, -90, 360 * k + 180, 90))
        if piece.area > 0
    ]
    return MultiPolygon(parts)


def eastward(shape: Polygon) -> Geometry:
    """Give a polygon with longitudes from 0 to 360."""
    return shapely.transform(unwrapped(shape), lambda xy: xy + np.array([360 * (xy[:, 0].max() <= 180), 0]))


def westward(shape: Polygon) -> Geometry:
    """Give a polygon with longitudes below −180°."""
    return shapely.transform(unwrapped(shape), lambda xy: xy - np.array([360 * (xy[:, 0].min() >= -180), 0]))


WRITERS: dict[str, Callable[[Polygon], Geometry]] = {
    "wrapped": lambda shape: shape, "unwrapped": unwrapped, "cut": cut, "eastward": eastward, "westward": westward
}  # fmt: skip


def write(path: Path, shapes: list[Geometry], crs: object = 4326) -> str:
    geopandas.GeoDataFrame({"class": ["wood"] * len(shapes)}, geometry=shapes, crs=crs).to_file(path)
    return str(path)


def burn(path: str, grid: Grid) -> np.ndarray:
    found = read_label_polygons(path, grid, field="class", values={}, names={"other": 0, "wood": 1})
    return found.read(grid.window)


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "fgb"])
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("scene", SCENES)
def test_labels_in_degrees_are_burnt_where_they_lie(tmp_path: Path, scene: str, writer: str, suffix: str) -> None:
    grid = SCENES[scene]
    elsewhere = box(20, 10, 21, 11)
    found = burn(write(tmp_path / f"p.{suffix}", [WRITERS[writer](in_degrees(grid)), elsewhere]), grid)
    expected = np.full(grid.shape, 255)
    expected[ROWS, COLS] = 1

    assert (found != expected).sum() <= 4  # pixels whose centre lies on an edge


@pytest.mark.parametrize(
    ("scene", "crs"),
    [
        ("utm at 180°", "EPSG:3832"),  # Mercator of the Pacific
        ("utm at 180°", "EPSG:3857"),  # torn at 180°
        ("degrees past 180°", "EPSG:32660"),
        ("degrees before −180°", "EPSG:32601"),
        ("degrees past 180°", "EPSG:3857"),
        ("web mercator past 180°", "EPSG:3832"),
        ("north pole", "EPSG:3413"),
        ("south pole", "EPSG:3976"),
        ("an ordinary place", "EPSG:3035"),
    ],
)
def test_labels_in_projected_systems(tmp_path: Path, scene: str, crs: str) -> None:
    grid = SCENES[scene]
    shape = geopandas.GeoSeries([in_degrees(grid)], crs=4326).to_crs(crs)[0]
    expected = np.full(grid.shape, 255)
    expected[ROWS, COLS] = 1

    assert (burn(write(tmp_path / "p.gpkg", [shape], crs), grid) != expected).sum() <= 4


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("crs", ["ESRI:54008", "ESRI:54009", "EPSG:8857", "EPSG:6933"])
def test_projections_that_are_torn_at_180_degrees(tmp_path: Path, crs: str, writer: str) -> None:
    """Sinusoidal, Mollweide, Equal Earth: a polygon over the meridian lies on both sides, not on all of its row."""
    label = in_degrees(FIJI, box(5, 5, 75, 75)).simplify(0)
    path = write(tmp_path / "p.gpkg", [WRITERS[writer](label), box(20, 10, 21, 11)])
    for lon in (179.97, -179.97, 100):
        grid = scene_at(crs, lon, -17, 100)
        found = burn(path, grid) == 1
        rows, cols = np.mgrid[:SIDE, :SIDE] + 0.5
        there = Transformer.from_crs(crs, 4326, always_xy=True)
        world = np.array(grid.transform @ (cols.ravel(), rows.ravel()))
        degrees = np.array(there.transform(*world))
        again = np.array(there.transform(*degrees, direction="INVERSE"))
        real = (np.abs(again - world) < 1).all(axis=0)  # beyond the edge of the map a point stands for another one
        back = Transformer.from_crs(4326, FIJI.crs, always_xy=True)
        place = np.array(~FIJI.transform @ back.transform(*np.where(real, degrees, 0)))
        expected = (real & (place > 5).all(axis=0) & (place < 75).all(axis=0)).reshape(grid.shape)

        assert (found != expected)[real.reshape(grid.shape)].sum() <= SIDE  # pixels along its edges
        assert expected.any() == (lon != 100)


def test_a_pole_inside_a_scene_in_degrees(tmp_path: Path) -> None:
    grid = Grid(height=40, width=360, transform=Affine(1, 0, -180, 0, -0.5, 90), crs=CRS(4326).to_wkt())
    around = Point(0, 0).buffer(555_000, quad_segs=64)  # 5° around the pole
    found = burn(write(tmp_path / "p.gpkg", [around], "EPSG:3995"), grid)

    assert (found[:8] == 1).all()
    assert (found[13:] == 255).all()


def test_a_cap_of_four_corners_covers_the_pole(tmp_path: Path) -> None:
    grid = SCENES["north pole"]
    found = burn(write(tmp_path / "p.geojson", [box(-180, 89.8, 180, 90)]), grid)
    y, x = np.mgrid[: grid.height, : grid.width] - (SIDE - 1) / 2.0

    radius = np.abs(Transformer.from_crs(4326, 3995, always_xy=True).transform(0, 89.8)[1]) / 1000  # px
    assert np.array_equal(found == 1, np.hypot(x, y) < radius)


def test_holes_go_with_their_polygon(tmp_path: Path) -> None:
    for number, grid in enumerate(SCENES.values()):
        shell, hole = in_degrees(grid), in_degrees(grid, box(50, 30, 60, 40))
        path = write(tmp_path / f"{number}.gpkg", [Polygon(shell.exterior, [hole.exterior])])
        expected = np.full(grid.shape, 255)
        expected[ROWS, COLS] = 1
        expected[30:40, 50:60] = 255

        assert (burn(path, grid) != expected).sum() <= 8


def test_what_lies_on_no_scene_is_counted_and_far_away_is_no_crash(tmp_path: Path) -> None:
    far = [box(95, 40, 96, 41), box(-91, -60, -80, -50), box(20, 10, 21, 11), box(179, 89, 180, 90)]
    path = write(tmp_path / "p.gpkg", [in_degrees(FIJI), *far])
    other = SCENES["an ordinary place"]
    near = read_label_polygons(path, FIJI, field="class", values={}, names={"wood": 1})
    none = read_label_polygons(path, other, field="class", values={}, names={"wood": 1})

    assert (len(near.values), len(none.values)) == (1, 0)
    assert count_outside([near, none]) == (4, 5)
    assert near.dropped == none.dropped == 0


def test_a_polygon_around_the_globe_covers_every_scene(tmp_path: Path) -> None:
    path = write(tmp_path / "p.gpkg", [box(-180, -90, 180, 90)])
    for grid in SCENES.values():
        assert (burn(path, grid) == 1).mean() > 0.99


def test_scenes_elsewhere_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "p.gpkg", [in_degrees(SCENES["an ordinary place"])])
    for name in ("utm at 180°", "north pole", "south pole", "web mercator past 180°"):
        with pytest.raises(LabelsElsewhereError, match="miss the scene"):
            burn(path, SCENES[name])


def test_points_lie_in_their_pixels(tmp_path: Path) -> None:
    for number, grid in enumerate(SCENES.values()):
        lonlat = np.array([in_degrees(grid, Point(c + 0.5, r + 0.5).buffer(0.01)).exterior.coords[0]
                           for c, r in ((5, 7), (40, 33), (70, 2))])  # fmt: skip
        for turn in (-360, 0, 360):
            file = tmp_path / f"{number}_{turn}.gpkg"
            shapes = [Point(lon + turn * (turn * lon < 0), lat) for lon, lat in lonlat]
            found = read_points(write(file, [*shapes]), grid, "class")

            assert found.places.tolist() == [[7, 5], [33, 40], [2, 70]]


def test_a_box_is_searched_only_where_there_is_one(tmp_path: Path) -> None:
    path = write(tmp_path / "p.gpkg", [box(0, 0, 1, 1), box(14, 49, 16, 51)])
    boxes = {name: Placing(open_source(path).crs, grid).box for name, grid in SCENES.items()}

    assert {name for name, found in boxes.items() if np.isinf(found).any()} == {
        "north pole", "south pole",
    }  # fmt: skip
    assert np.allclose(boxes["an ordinary place"], (14.94, 49.96, 15.06, 50.04), atol=0.02)
