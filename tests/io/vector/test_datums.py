"""Shifts between datums: what PROJ knows is taken at its word, what it guesses is told with a figure."""

import re
from pathlib import Path

import geopandas
import numpy as np
import pytest
from affine import Affine
from pyproj import CRS, Geod, Transformer
from shapely import Point, Polygon, box

from segflow.errors import SceneError
from segflow.io.labels.points import read_points
from segflow.io.labels.polygons import read_label_polygons
from segflow.io.vector.datums import check_datum_shift, find_datum_shift, reprojection_accuracy
from segflow.tiling import Grid

GERMANY, COLORADO, CHINA = (9.0, 50.5), (-105.0, 40.0), (110.0, 36.0)
LOCAL = (  # what a shapefile says whose datum somebody called "local"
    CRS.from_epsg(31467)
    .to_wkt("WKT1_ESRI")
    .replace("D_Deutsches_Hauptdreiecksnetz", "D_local")
    .replace("GCS_Deutsches_Hauptdreiecksnetz", "GCS_local")
    .replace("DHDN_3_Degree_Gauss_Zone_3", "local_grid")
)


def grid_of(crs: str, place: tuple[float, float], pixel: float = 10) -> Grid:
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(*place)
    return Grid(height=100, width=100, transform=Affine(pixel, 0, x, 0, -pixel, y), crs=CRS(crs).to_wkt())


@pytest.mark.parametrize(
    ("source", "target", "place"),
    [
        ("EPSG:4326", "EPSG:32632", GERMANY),
        ("EPSG:4258", "EPSG:32632", GERMANY),
        ("EPSG:4326", "EPSG:25832", GERMANY),
        ("OGC:CRS84", "EPSG:3857", GERMANY),
        ("EPSG:4979", "EPSG:25832", GERMANY),
        ("EPSG:25832+5783", "EPSG:32632", GERMANY),
        ("EPSG:31467", "EPSG:25832", GERMANY),
        ("EPSG:4269", "EPSG:32613", COLORADO),
        ("EPSG:4326", "EPSG:26913", COLORADO),
        ("EPSG:4490", "EPSG:32649", CHINA),  # PROJ only guesses, but both are tied to the Earth's centre
        ("EPSG:4326", "EPSG:4546", CHINA),
    ],
)
def test_ordinary_pairs_raise_no_alarm_at_ten_metres(source: str, target: str, place: tuple[float, float]) -> None:
    accuracy = reprojection_accuracy(CRS(source), CRS(target), place)

    assert accuracy is not None
    assert accuracy < 10
    assert check_datum_shift(CRS(source), grid_of(target, place), what="labels a.shp", allowed=False) == ()


@pytest.mark.parametrize(
    ("source", "truth", "target", "place"),
    [
        (LOCAL, "EPSG:31467", "EPSG:25832", GERMANY),
        ("+proj=longlat +ellps=intl +type=crs", "EPSG:4230", "EPSG:32632", GERMANY),
        ("EPSG:4267", "EPSG:4267", "EPSG:26913", COLORADO),  # NAD27 and NAD83, without the grid between them
        ("+proj=longlat +ellps=clrk66 +type=crs", "EPSG:4267", "EPSG:26913", COLORADO),
        ("+proj=utm +zone=32 +ellps=bessel +towgs84=0,0,0,0,0,0,0 +type=crs", "EPSG:4314", "EPSG:25832", GERMANY),
    ],
)
def test_a_guess_is_bounded_by_what_the_datum_may_be(
    source: str, truth: str, target: str, place: tuple[float, float]
) -> None:
    found = find_datum_shift(CRS(source), CRS(target), place)
    known = CRS(truth).geodetic_crs
    lon, lat = Transformer.from_crs(4326, known, always_xy=True).transform(*place)
    really = Geod(ellps="WGS84").inv(*place, lon, lat)[2]

    assert found.guessed
    assert found.metres is not None
    assert 0.9 * really <= found.metres <= 400
    with pytest.raises(SceneError, match=r"labels a.shp may be off by \d+ m, [\d.]+ px of the scene.*allow-datum"):
        check_datum_shift(CRS(source), grid_of(target, place), what="labels a.shp", allowed=False)
    for pixel, allowed in ((10, True), (2 * found.metres, False)):  # a pixel that is larger than the shift forgives it
        (told,) = check_datum_shift(CRS(source), grid_of(target, place, pixel), what="labels", allowed=allowed)
        assert re.search(r"off by \d+ m, [\d.]+ px", told)


def test_a_scene_of_an_unknown_datum_is_told_too() -> None:
    x, y = Transformer.from_crs(4326, LOCAL, always_xy=True).transform(*GERMANY)
    grid = Grid(height=50, width=50, transform=Affine(10, 0, x, 0, -10, y), crs=CRS(LOCAL).to_wkt())
    with pytest.raises(SceneError, match="knows no datum shift from WGS 84 to local_grid"):
        check_datum_shift(CRS(4326), grid, what="labels", allowed=False)

    assert check_datum_shift(CRS(LOCAL), grid, what="labels", allowed=False) == ()  # one system, no shift


def test_what_nobody_knows_is_said_so() -> None:
    sphere = "+proj=sinu +R=6371007.181 +type=crs"

    assert reprojection_accuracy(CRS(sphere), CRS(32632), GERMANY) is None
    with pytest.raises(SceneError, match="off by 100 m or more"):
        check_datum_shift(CRS(sphere), grid_of("EPSG:32632", GERMANY), what="labels", allowed=False)
    with pytest.raises(SceneError, match="no way from the coordinate system"):
        check_datum_shift(
            CRS('LOCAL_CS["site",UNIT["metre",1]]'), grid_of("EPSG:32632", GERMANY), what="labels", allowed=True
        )


def test_a_nameless_datum_at_the_centre_of_the_earth_costs_little() -> None:
    source = CRS("+proj=utm +zone=32 +ellps=GRS80 +type=crs")
    (told,) = check_datum_shift(source, grid_of("EPSG:32632", GERMANY), what="labels", allowed=False)

    assert "off by 2 m, 0.2 px" in told
    with pytest.raises(SceneError, match="off by 2 m, 4 px"):
        check_datum_shift(source, grid_of("EPSG:32632", GERMANY, 0.5), what="labels", allowed=False)


def test_a_shift_that_the_file_declares_is_honoured() -> None:
    source = CRS("+proj=utm +zone=32 +ellps=bessel +towgs84=598.1,73.7,418.2,0.202,0.045,-2.455,6.7 +type=crs")

    assert not find_datum_shift(source, CRS(25832), GERMANY).guessed
    assert check_datum_shift(source, grid_of("EPSG:25832", GERMANY), what="labels", allowed=False) == ()


def test_what_proj_knows_is_told_where_it_is_more_than_a_pixel() -> None:
    (told,) = check_datum_shift(CRS(4269), grid_of("EPSG:32613", COLORADO, 0.5), what="labels", allowed=False)

    assert "off by 4 m, 8 px of the scene: that is how well the way from NAD83" in told


def test_labels_and_points_say_it(tmp_path: Path) -> None:
    grid = grid_of("EPSG:25832", GERMANY)
    corner = np.array(grid.corners)
    shape = box(corner[:, 0].min() + 200, corner[:, 1].min() + 200, corner[:, 0].max() - 200, corner[:, 1].max() - 200)
    there = Transformer.from_crs(25832, 31467, always_xy=True)
    xy = np.column_stack(there.transform(*np.array(shape.exterior.coords).T))
    for name, shapes in (("p.shp", [Polygon(xy)]), ("q.shp", [Point(*xy[0])])):
        geopandas.GeoDataFrame({"class": ["wood"]}, geometry=shapes, crs=31467).to_file(tmp_path / name)
        (tmp_path / name).with_suffix(".prj").write_text(LOCAL)
    options = {"field": "class", "values": {}, "names": {"wood": 1}}
    with pytest.raises(SceneError, match="allow_datum_shift"):
        read_label_polygons(str(tmp_path / "p.shp"), grid, **options)  # type: ignore[arg-type]
    with pytest.raises(SceneError, match=r"points .*q.shp may be off by"):
        read_points(str(tmp_path / "q.shp"), grid, "class")
    polygons = read_label_polygons(str(tmp_path / "p.shp"), grid, allow_shift=True, **options)  # type: ignore[arg-type]

    assert "may be off by" in polygons.notes[0]
    assert len(polygons.values) == 1
    assert "may be off by" in read_points(str(tmp_path / "q.shp"), grid, "class", allow_shift=True).notes[0]
