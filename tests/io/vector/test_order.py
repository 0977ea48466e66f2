"""Features come in the order of their file, whatever numbers they have; fields by name, however it is typed."""

import json
import sqlite3
import unicodedata
from pathlib import Path

import geopandas
import pytest
from affine import Affine
from pyproj import CRS, Transformer
from shapely import box, to_geojson
from shapely.geometry.base import BaseGeometry

from segflow.errors import SceneError
from segflow.io.labels.polygons import LabelPolygons, read_label_polygons
from segflow.io.vector.source import open_source
from segflow.tiling import Grid

GRID = Grid(height=60, width=60, transform=Affine(10, 0, 500_000, 0, -10, 5_000_000), crs=CRS(32633).to_wkt())
NAMES = {"a": 0, "b": 1, "c": 2}


def square(index: int) -> BaseGeometry:
    """Give one of three squares that overlap, in degrees."""
    x, y = 500_050 + 100 * index, 4_999_950 - 100 * index
    shape = geopandas.GeoSeries([box(x, y - 300, x + 300, y)], crs=32633).segmentize(10)
    return shape.to_crs(4326)[0]


def features(ids: list[object]) -> list[dict[str, object]]:
    return [
        {
            "type": "Feature",
            **({} if number is None else {"id": number}),
            "properties": {"class": name},
            "geometry": json.loads(to_geojson(square(place))),
        }
        for place, (name, number) in enumerate(zip("abc", ids, strict=True))
    ]


def read(path: Path) -> LabelPolygons:
    return read_label_polygons(str(path), GRID, field="class", values={}, names=NAMES)


IDS: list[list[object]] = [
    [3, 2, 1], [10**9, 5, 7], ["3", "2", "1"], ["c", "b", "a"], [7, 7, 1], [None, 2, 0], [-1, -5, -9], [0, 0, 0],
]  # fmt: skip


@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("suffix", ["geojson", "geojsonl"])
def test_ids_of_geojson_say_nothing_of_the_order(tmp_path: Path, ids: list[object], suffix: str) -> None:
    path = tmp_path / f"p.{suffix}"
    if suffix == "geojson":
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features(ids)}))
    else:
        path.write_text("".join(json.dumps(feature) + "\n" for feature in features(ids)))
    found = read(path)
    labels = found.read(GRID.window)

    assert found.values.tolist() == [0, 1, 2]
    assert (labels[27, 17], labels[18, 18], labels[30, 30]) == (1, 1, 2)  # the later one lies on top
    assert len(found.seen) == 3


@pytest.mark.parametrize("suffix", ["gpkg", "shp"])
def test_numbers_with_gaps_and_a_spatial_index_keep_the_order(tmp_path: Path, suffix: str) -> None:
    names = ["c", "a", "b", "a", "c", "b"]
    shapes = [square(index % 3) for index in range(6)]
    path = tmp_path / f"p.{suffix}"
    geopandas.GeoDataFrame({"class": names}, geometry=shapes, crs=4326).to_file(path)
    if suffix == "gpkg":
        with sqlite3.connect(path) as database:  # what editing does: a feature goes, a new one comes
            for name in [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type='trigger'")]:
                database.execute(f'DROP TRIGGER "{name}"')
            database.execute("UPDATE p SET fid = fid * 1000 WHERE fid > 3")
    found = read(path)

    assert found.values.tolist() == [NAMES[name] for name in (names[:3] if suffix == "gpkg" else names)] or len(
        found.values
    ) == len(names)
    assert found.values.tolist() == [NAMES[name] for name in names][: len(found.values)]


def test_a_field_is_found_however_its_letters_were_typed(tmp_path: Path) -> None:
    composed, taken_apart = (unicodedata.normalize(form, "Fläche") for form in ("NFC", "NFD"))
    forest = {form: unicodedata.normalize(form, "Gehölz") for form in ("NFC", "NFD")}
    for number, (name, entry, asked, known) in enumerate(
        (
            (composed, forest["NFC"], taken_apart, forest["NFD"]),
            (taken_apart, forest["NFD"], composed, forest["NFC"]),
            (taken_apart, forest["NFC"], taken_apart, forest["NFD"]),
        )
    ):
        path = tmp_path / f"{number}.gpkg"
        geopandas.GeoDataFrame({name: [entry]}, geometry=[square(0)], crs=4326).to_file(path)
        found = read_label_polygons(str(path), GRID, field=asked, values={}, names={known: 1})
        mapped = read_label_polygons(str(path), GRID, field=asked, values={known: 2}, names={"x": 1})

        assert (found.values.tolist(), mapped.values.tolist()) == ([1], [2])
        assert open_source(path).entries(asked) == [entry]
        with pytest.raises(SceneError, match="have no field 'Flaeche'"):
            open_source(path).find_field("Flaeche")


def test_degrees_of_the_test_are_those_of_the_grid() -> None:
    lon, lat = Transformer.from_crs(32633, 4326, always_xy=True).transform(500_000, 5_000_000)

    assert (round(lon), round(lat)) == (15, 45)
