"""Polygons of labels as mappers hand them over: broken rings, wrong systems, fields that disagree."""

from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from shapely import Geometry, LineString, Polygon, box
from shapely.affinity import rotate

from segflow.errors import SceneError
from segflow.io.labels.fields import class_text, find_contradictions, map_classes
from segflow.io.labels.polygons import LabelPolygons, read_label_polygons
from segflow.io.vector.source import LabelsElsewhereError
from segflow.tiling import Grid, Span, Window

GRID = Grid(height=40, width=50, transform=Affine(10, 0, 500_000, 0, -10, 9_000_000), crs="EPSG:32720")
NAMES = {"other": 0, "wood": 1, "lake": 2}


def at(column: float, row: float, width: float, height: float) -> Polygon:
    x, y = 500_000 + 10 * column, 9_000_000 - 10 * row
    return box(x, y - 10 * height, x + 10 * width, y)


def write(path: Path, shapes: list[Geometry], names: list[object], crs: str = "EPSG:32720", **options: str) -> Path:
    geopandas.GeoDataFrame({"class": names}, geometry=shapes, crs=crs).to_file(path, **options)
    return path


def read(path: Path | str, field: str = "class", **options: object) -> LabelPolygons:
    given: dict[str, object] = {"values": {}, "names": NAMES, **options}
    return read_label_polygons(str(path), GRID, field=field, **given)  # type: ignore[arg-type]


rectangles = st.tuples(st.integers(-5, 45), st.integers(-5, 35), st.integers(1, 30), st.integers(1, 30))
turned = st.builds(lambda place, angle: rotate(at(*place), angle), rectangles, st.integers(0, 89))


@settings(max_examples=40)  # each writes a file
@given(
    st.lists(st.tuples(turned, st.sampled_from(["wood", "lake"])), min_size=1, max_size=5),
    st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted),
    st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted),
)
def test_a_window_holds_what_the_scene_holds_there(
    tmp_path: Path, drawn: list[tuple[Polygon, str]], rows: list[int], cols: list[int]
) -> None:
    shapes, names = zip(*[*drawn, (at(0, 0, 1, 1), "wood")], strict=True)
    labels = read(write(tmp_path / "p.fgb", list(shapes), list(names), SPATIAL_INDEX="NO"))  # else it orders them anew
    whole = labels.read(GRID.window)
    window = Window(Span(*rows), Span(*cols))
    expected = rasterize(
        ((shape, NAMES[name]) for shape, name in zip(shapes, names, strict=True)),
        out_shape=GRID.shape,
        fill=255,
        transform=GRID.transform,
        dtype="uint8",
    )

    assert np.mean(whole != expected) < 0.005  # pixels whose centre lies on an edge
    if window.size:
        assert np.array_equal(labels.read(window), whole[window.slices])


def test_the_last_polygon_counts_and_overlaps_of_classes_are_counted(tmp_path: Path) -> None:
    shapes = [at(0, 0, 10, 10), at(5, 5, 10, 10), at(6, 6, 2, 2), at(8, 0, 4, 4)]
    labels = read(write(tmp_path / "p.shp", shapes, ["wood", "lake", "lake", "wood"]))
    found = labels.read(GRID.window)

    assert (found[5:15, 5:15] == 2).all()
    assert (found[:5, :10] == 1).all()
    assert labels.count_overlaps(GRID.window) == 25  # lakes on lakes and woods on woods are none
    assert np.array_equal(labels.values, [1, 2, 2, 1])


def test_rings_that_cross_themselves_are_repaired_and_counted(tmp_path: Path) -> None:
    x, y = 500_000, 9_000_000
    bow_tie = Polygon([(x, y), (x + 200, y - 200), (x + 200, y), (x, y - 200)])
    twice = Polygon([(x + 300, y), (x + 340, y), (x + 340, y - 40), (x + 310, y - 40), (x + 310, y - 10),
                     (x + 350, y - 10), (x + 350, y - 30), (x + 300, y - 30)])  # fmt: skip
    flat = Polygon([(x, y - 300), (x + 50, y - 300), (x + 100, y - 300)])
    labels = read(write(tmp_path / "p.gpkg", [bow_tie, twice, flat], ["wood", "lake", "wood"]))
    found = labels.read(GRID.window)

    assert (labels.repaired, labels.dropped) == (2, 1)
    assert abs((found == 1).sum() - 200) <= 20  # both halves of the bow tie, but for its edges
    assert (found == 2).sum() == 4 * 3 + 3 + 2  # what was drawn twice is filled, not a hole


def test_every_format_and_one_layer_of_several(tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame({"class": ["wood"]}, geometry=[at(1, 2, 3, 4)], crs=GRID.crs)
    frame.to_crs("EPSG:4326").to_file(tmp_path / "p.geojson")
    frame.to_crs("EPSG:3857").to_file(tmp_path / "p.fgb")
    frame.to_file(tmp_path / "p.gpkg", layer="new")
    frame.iloc[:0].to_file(tmp_path / "p.gpkg", layer="old")
    expected = np.full(GRID.shape, 255)
    expected[2:6, 1:4] = 1

    for name in ("p.geojson", "p.fgb", "p.gpkg|layername=new"):
        assert np.array_equal(read(tmp_path / name).read(GRID.window), expected)
    for name, says in (
        ("p.gpkg", r"2 layers \(there are: new, old\)"),
        ("p.gpkg|layername=x", "no layer 'x'"),
        ("p.gpkg|layername=old", "hold no feature"),
    ):
        with pytest.raises(SceneError, match=says):
            read(tmp_path / name)


def test_coordinates_that_their_crs_cannot_mean(tmp_path: Path) -> None:
    degrees = geopandas.GeoSeries([at(0, 0, 5, 5)], crs=GRID.crs).to_crs("EPSG:4326")
    for shapes, crs, says in (
        ([at(0, 0, 5, 5)], "EPSG:4326", "in WGS 84, but span x 500000 to 500050.* which are no degrees"),
        (list(degrees), "EPSG:32720", "UTM zone 20S, but span x -63.* which look like degrees"),
    ):
        with pytest.raises(SceneError, match=says):
            read(write(tmp_path / "p.shp", shapes, ["wood"], crs))
    with pytest.raises(LabelsElsewhereError, match="miss the scene: in WGS 84 / UTM zone 21S"):
        read(write(tmp_path / "p.shp", [at(0, 0, 5, 5)], ["wood"], "EPSG:32721"))


def test_lines_and_files_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    line = LineString([(500_000, 9_000_000), (500_100, 8_999_900)])
    with pytest.raises(SceneError, match="hold LineString, but need polygons: buffer them"):
        read(write(tmp_path / "p.gpkg", [line], ["wood"]))
    (tmp_path / "p.shp").write_text("<OGRVRTDataSource><OGRVRTLayer/></OGRVRTDataSource>")
    with pytest.raises(SceneError, match="lead to other files"):
        read(tmp_path / "p.shp")
    (tmp_path / "p.csv").write_text("class,WKT\nwood,POINT (0 0)\n")
    with pytest.raises(SceneError, match=r"p\.csv"):
        read(tmp_path / "p.csv")


def test_features_without_a_class_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "p.gpkg", [at(0, 0, 5, 5)] * 3, ["wood", None, " "])
    with pytest.raises(SceneError, match=r"holds '\(no entry\)' \(2×\), known are other, wood, lake"):
        read(path)


def test_entries_mean_classes_by_choice_then_name_then_value() -> None:
    texts = [class_text(entry) for entry in ("Wood", 2.0, "9", "0", " lake ", "trees")]

    assert map_classes(texts, {9: 255, "trees": 1}, NAMES, where="p") == {
        "Wood": 1, "2": 2, "9": 255, "0": 0, "lake": 2, "trees": 1,
    }  # fmt: skip
    assert map_classes(["wood"], {"wood": 0}, NAMES, where="p") == {"wood": 0}
    many = [f"x{number}" for number in range(30)]
    with pytest.raises(SceneError, match="22 more, known are"):
        map_classes(many, {}, NAMES, where="p")


def test_numbers_in_a_field_are_classes_too(tmp_path: Path) -> None:
    path = tmp_path / "p.gpkg"
    frame = geopandas.GeoDataFrame({"id": [2.0, 1.0]}, geometry=[at(0, 0, 5, 5), at(6, 0, 5, 5)], crs=GRID.crs)
    frame.to_file(path)

    assert np.array_equal(read(path, "id", values={1: 2, 2: 1}).values, [1, 2])


def test_fields_that_name_the_same_classes_but_disagree_are_told() -> None:
    table = pd.DataFrame(
        {"name": ["wood"] * 10 + ["lake"] * 10, "id": [1] * 9 + [2] * 11, "note": list("abcdefghijklmnopqrst")}
    )
    (warning,) = find_contradictions(table, "name")

    assert warning == ("fields 'name' and 'id' name the same classes, but disagree on 1 of 20 features: 'name' counts")
    assert find_contradictions(table.assign(id=[1] * 10 + [2] * 10), "name") == ()
    assert find_contradictions(table.assign(id=[1, 2] * 10), "name") == ()
    assert find_contradictions(table.assign(name="wood"), "name") == ()
