"""GeoPackages hold what was written, open styled, and depend on their content alone."""

import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.crs import CRS

from segflow.errors import DamagedError, OutputError, SegflowError
from segflow.io.vector import geopackage
from segflow.io.vector.geopackage import GeoPackageWriter, VectorLayer, table_name

UTM = CRS.from_epsg(32631).to_wkt()
FOREST = VectorLayer(name="forest", geometry_type="Polygon", rgb=(10, 150, 20), description="Trees")
ROADS = VectorLayer(name="roads", geometry_type="LineString", rgb=(250, 0, 0))


def squares(count: int, start: int = 0) -> np.ndarray:
    x = np.arange(start, start + count, dtype=float)
    return shapely.box(x, 0, x + 1, 1)


def fields(count: int, start: int = 0) -> dict[str, np.ndarray]:
    index = np.arange(start, start + count)
    return {
        "class_id": np.full(count, 1, np.uint8),
        "class_name": np.full(count, "forêt <&> 'x'", object),
        "area_m2": np.where(index % 2, index / 3, np.nan),
        "n_px": index * 10**10,
        "touches_edge": index % 3 == 0,
    }


def write(path: Path, crs: str | None = UTM, *, parts: tuple[int, ...] = (7,)) -> Path:
    with GeoPackageWriter(path, crs) as writer:
        start = 0
        for count in parts:
            writer.write(FOREST, squares(count, start), fields(count, start))
            start += count
        writer.write(ROADS, np.empty(0, object), fields(0))
    return path


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_features_come_back(tmp_path):
    path = write(tmp_path / "map.gpkg")
    found = pyogrio.read_dataframe(path, layer="forest")

    assert (shapely.to_wkb(found.geometry.to_numpy()) == shapely.to_wkb(squares(7))).all()
    for name, values in fields(7).items():
        np.testing.assert_array_equal(found[name].to_numpy(), values)
    assert found.crs.to_epsg() == 32631
    assert found["touches_edge"].dtype == bool
    assert found["n_px"].dtype == np.int64
    assert names(tmp_path) == ["map.gpkg"]


def test_file_is_a_geopackage_1_3_with_a_spatial_index(tmp_path):
    path = write(tmp_path / "map.gpkg")

    assert query(path, "PRAGMA application_id") == [(0x47504B47,)]
    assert query(path, "PRAGMA user_version") == [(10300,)]
    assert query(path, "SELECT COUNT(*) FROM rtree_forest_geom") == [(7,)]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert query(path, "PRAGMA foreign_key_check") == []
    assert [tuple(layer) for layer in pyogrio.list_layers(path)] == [
        ("forest", "Polygon"),
        ("roads", "LineString"),
        ("layer_styles", None),
    ]


def test_layer_without_features_is_there_with_its_fields(tmp_path):
    info = pyogrio.read_info(write(tmp_path / "map.gpkg"), layer="roads")

    assert info["features"] == 0
    assert list(info["fields"]) == list(fields(0))


def test_parts_become_one_layer(tmp_path):
    whole = write(tmp_path / "a.gpkg", parts=(60,))
    parts = write(tmp_path / "b.gpkg", parts=(10, 0, 49, 1))
    table = 'SELECT geom, class_name, area_m2, n_px FROM "forest" ORDER BY fid'

    assert query(whole, table) == query(parts, table)


def test_reading_leaves_nothing_beside_the_file(tmp_path):
    path = write(tmp_path / "map.gpkg")
    pyogrio.list_layers(path)
    pyogrio.read_dataframe(path, layer="forest")

    assert names(tmp_path) == ["map.gpkg"]


def test_every_layer_has_its_default_style(tmp_path):
    path = write(tmp_path / "map.gpkg")
    columns = query(path, "SELECT table_name, column_name FROM gpkg_geometry_columns ORDER BY 1")
    styles = query(
        path, "SELECT f_table_name, f_geometry_column, useAsDefault, styleQML FROM layer_styles ORDER BY f_table_name"
    )

    assert [row[:2] for row in styles] == columns
    assert {row[2] for row in styles} == {1}
    assert [re.findall('<symbol type="(.*?)"', str(row[3])) for row in styles] == [["fill"], ["line"]]
    assert "10,150,20," in str(styles[0][3])
    assert query(path, "SELECT data_type FROM gpkg_contents WHERE table_name = 'layer_styles'") == [("attributes",)]


def test_bytes_depend_on_the_content_alone(tmp_path):
    first = write(tmp_path / "a.gpkg").read_bytes()
    time.sleep(1.1)  # past the resolution of the times that a GeoPackage notes
    second = write(tmp_path / "b.gpkg").read_bytes()

    assert first == second


@pytest.mark.parametrize(
    "crs",
    [
        None,
        "EPSG:4326",
        "EPSG:7415",
        "ESRI:102039",
        "IGNF:LAMB93",
        "+proj=laea +lat_0=12.3 +lon_0=4.56 +ellps=bessel +units=m",
        'LOCAL_CS["Site",UNIT["metre",1]]',
    ],
)
def test_any_crs_comes_back(tmp_path, crs):
    wanted = None if crs is None else CRS.from_user_input(crs)
    path = write(tmp_path / "map.gpkg", None if wanted is None else wanted.to_wkt())
    found = pyogrio.read_info(path, layer="forest")["crs"]

    assert (None if found is None else CRS.from_user_input(found)) == wanted


def test_scenes_crs_come_back(tmp_path, shared_data):
    for scene in sorted((shared_data / "scenes").glob("*.tif")):
        with rasterio.open(scene) as dataset:
            crs = dataset.crs
        path = write(tmp_path / "map.gpkg", crs.to_wkt())

        assert CRS.from_user_input(pyogrio.read_info(path, layer="forest")["crs"]) == crs


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("forest", set(), "forest"),
        ("Forest", {"forest"}, "Forest_2"),
        ("tree; DROP TABLE x", set(), "tree_DROP_TABLE_x"),
        ("été 2020", set(), "été_2020"),
        ('a"b', {"a_b", "a_b_2"}, "a_b_3"),
        ("gpkg_contents", set(), "class_gpkg_contents"),
        ("layer_styles", set(), "class_layer_styles"),
        ("sqlite_x", set(), "class_sqlite_x"),
        ("", set(), "layer"),
        ("//", {"layer"}, "layer_2"),
    ],
)
def test_table_names_are_safe_and_differ(name, taken, expected):
    assert table_name(name, taken) == expected


def test_layers_of_odd_names_are_written_apart(tmp_path):
    odd = ["a b", "a_b", 'a"b', "gpkg_contents", "été", ""]
    with GeoPackageWriter(tmp_path / "map.gpkg", UTM) as writer:
        for count, name in enumerate(odd, 1):
            layer = VectorLayer(name=name, geometry_type="Polygon", rgb=(1, 2, 3))
            writer.write(layer, squares(count), fields(count))
    counts = [
        pyogrio.read_info(tmp_path / "map.gpkg", layer=layer)["features"]
        for layer, kind in pyogrio.list_layers(tmp_path / "map.gpkg")
        if kind
    ]

    assert counts == [1, 2, 3, 4, 5, 6]


def test_wrong_geometries_and_lengths_are_refused(tmp_path):
    with pytest.raises(ValueError, match="must be of type Polygon"), GeoPackageWriter(tmp_path / "a.gpkg", UTM) as one:
        one.write(FOREST, np.array([shapely.Point(1, 2)], object), fields(1))
    with pytest.raises(ValueError, match="fields of other lengths"), GeoPackageWriter(tmp_path / "a.gpkg", UTM) as two:
        two.write(FOREST, squares(2), fields(3))
    assert names(tmp_path) == []


def test_error_leaves_the_old_file_and_no_leftovers(tmp_path):
    path = write(tmp_path / "map.gpkg")
    before = path.read_bytes()
    with pytest.raises(SegflowError, match="tile 3"), GeoPackageWriter(path, UTM) as writer:  # noqa: PT012
        writer.write(FOREST, squares(1), fields(1))
        msg = "tile 3"
        raise DamagedError(msg)

    assert path.read_bytes() == before
    assert names(tmp_path) == ["map.gpkg"]


KILLED = """
import os, signal, sys
from pathlib import Path
from segflow.io.vector.geopackage import GeoPackageWriter
with GeoPackageWriter(sys.argv[1], None) as writer:
    for name in ("-journal", "-wal"):
        Path(f"{writer._temporary}{name}").write_bytes(b"half a file")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_leftovers_of_a_killed_run_do_no_harm(tmp_path):
    (tmp_path / "out").mkdir()
    expected = write(tmp_path / "map.gpkg").read_bytes()
    subprocess.run([sys.executable, "-c", KILLED, tmp_path / "out" / "map.gpkg"], check=False)
    assert len(names(tmp_path / "out")) == 3

    assert write(tmp_path / "out" / "map.gpkg").read_bytes() == expected
    assert names(tmp_path / "out") == ["map.gpkg"]


def test_file_without_layers_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="would have no layer"), GeoPackageWriter(tmp_path / "map.gpkg", UTM):
        pass
    assert names(tmp_path) == []


def test_folder_that_is_missing_is_one_clear_line(tmp_path):
    with pytest.raises(OutputError, match=r"missing/map\.gpkg cannot be written") as caught:
        write(tmp_path / "missing" / "map.gpkg")

    assert "\n" not in str(caught.value)


SPOILED = {
    "feature": "DELETE FROM forest WHERE fid = 3",
    "geometry": "UPDATE forest SET geom = (SELECT geom FROM forest WHERE fid = 1) WHERE fid = 2",
    "index": "DELETE FROM rtree_forest_geom WHERE id = 1",
}


@pytest.mark.parametrize("change", SPOILED.values(), ids=SPOILED.keys())
def test_file_that_reads_back_differently_is_damaged(tmp_path, monkeypatch, change):
    def spoil(connection: sqlite3.Connection, *_: object) -> None:
        for trigger in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{trigger[0]}"')
        connection.execute(change)

    monkeypatch.setattr(geopackage, "write_layer_styles", spoil)
    with pytest.raises(DamagedError, match="layer forest reads back"):
        write(tmp_path / "map.gpkg")
    assert names(tmp_path) == []


CHILD = """
import resource, signal, sys
from pathlib import Path
from segflow.errors import DamagedError, OutputError
sys.path.insert(0, sys.argv[1])
from tests.io.vector.test_geopackage import names, write

path, parts = Path(sys.argv[2]), (2000, 2000)
whole = write(path, parts=parts).stat().st_size
path.unlink()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for share in (0.01, 0.5, 0.97, 0.98, 0.985, 0.99, 0.995, 0.999):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * whole), resource.RLIM_INFINITY))
    try:
        write(path, parts=parts)
        print(share, "was not told")
    except (OutputError, DamagedError) as error:
        if "map.gpkg" not in str(error) or "\\n" in str(error) or names(path.parent):
            print(share, error, names(path.parent))
"""


def test_full_disk_is_told_and_leaves_nothing(tmp_path, project_root):
    command = [sys.executable, "-W", "ignore", "-c", CHILD, str(project_root), str(tmp_path / "map.gpkg")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
