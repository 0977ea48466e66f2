"""`segflow vectorize` on class rasters of any origin, good and bad."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.features
import shapely
from affine import Affine
from rasterio.enums import ColorInterp

from segflow.configs.vectors import VectorizeSettings
from segflow.errors import ClusterError, OutputExistsError, SegflowError, SettingsError
from segflow.flows.progress import Silence
from segflow.flows.vectorize.pool import open_pool
from segflow.flows.vectorize.vectorize import vectorize
from segflow.io.raster.sidecars import LegendEntry, aux_path, write_class_attributes
from segflow.segmentation.vectors.polygons import long_objects
from tests.class_rasters import NODATA, Raster, picture, write_raster
from tests.scenes import write_scene

SMALL = picture("""
    1111111
    1000001
    10221.1
    100001.
    1111111
""")


def patches(side: int, values: int = 3, seed: int = 3, noise: float = 0.1) -> Raster:
    rng = np.random.default_rng(seed)
    coarse = rng.choice([*range(values), NODATA], (side // 8 + 1,) * 2, p=[0.9 / values] * values + [0.1])
    labels = np.kron(coarse, np.ones((8, 8), int))[:side, :side].astype(np.uint8)
    spots = rng.random(labels.shape) < noise
    labels[spots] = rng.integers(0, values, int(spots.sum()))
    return labels


def run(path: Path, progress: Any = None, **settings: Any) -> Any:
    return vectorize(path, VectorizeSettings(**({"workers": 1} | settings)), progress)


def read(path: Path) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Give geometries and fields of every layer."""
    found = {}
    for name, kind in pyogrio.list_layers(path):
        if kind is not None:
            meta, _, geometry, columns = pyogrio.raw.read(path, layer=name)
            found[name] = shapely.from_wkb(geometry), dict(zip(meta["fields"], columns, strict=True))
    return found


def burnt(layers: dict[str, tuple[np.ndarray, dict[str, np.ndarray]]], shape: tuple[int, int]) -> Raster:
    transform = Affine(10, 0, 300_000, 0, -10, 9_000_000)
    shapes = [
        (g, int(v)) for geometry, fields in layers.values() for g, v in zip(geometry, fields["class_id"], strict=True)
    ]
    return rasterio.features.rasterize(shapes, shape, fill=NODATA, transform=transform, dtype="uint8")


def test_a_raster_comes_back_from_its_polygons(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a_classes.tif", SMALL, nodata=NODATA)
    done = run(path)
    layers = read(done.path)

    assert done.path == tmp_path / "a.gpkg"
    assert done.counts == {"class_0": 1, "class_1": 2, "class_2": 1}
    assert (burnt(layers, SMALL.shape) == SMALL).all()
    assert layers["class_1"][1]["scene"].tolist() == ["a", "a"]
    assert np.isnan(layers["class_1"][1]["confidence_mean"]).all()


def test_processes_change_no_byte(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", patches(2100, noise=0.002), nodata=NODATA)
    options = {"min_area": 500.0, "min_hole": 500.0, "simplify": 1.0}
    one = run(path, out=str(tmp_path / "1.gpkg"), workers=1, **options)
    two = run(path, out=str(tmp_path / "2.gpkg"), workers=2, **options)

    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.moved == two.moved
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1.gpkg", "2.gpkg", "a.tif"]


def test_long_objects_are_written_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_raster(tmp_path / "a.tif", patches(400, 2), nodata=NODATA)
    whole = run(path, out=str(tmp_path / "whole.gpkg"))
    for module in ("long_objects", "portions"):
        monkeypatch.setattr(f"segflow.segmentation.vectors.polygons.{module}.LONG", 40)
    pieces = run(path, out=str(tmp_path / "pieces.gpkg"))
    expected, actual = read(whole.path), read(pieces.path)

    assert long_objects.LONG == 40
    assert whole.counts == pieces.counts
    for name, (geometry, fields) in expected.items():
        assert shapely.to_wkb(geometry).tolist() == shapely.to_wkb(actual[name][0]).tolist()
        for field, values in fields.items():
            if values.dtype.kind == "f":
                np.testing.assert_allclose(actual[name][1][field], values, rtol=1e-9)
            else:
                assert values.tolist() == actual[name][1][field].tolist()


@pytest.mark.parametrize("options", [{"simplify": 1.5}, {"smooth": 2}, {"simplify": 3.0, "smooth": 2}])
def test_shaped_neighbours_keep_their_edges(tmp_path: Path, options: dict[str, Any]) -> None:
    labels = patches(260)
    path = write_raster(tmp_path / "a.tif", labels, nodata=NODATA)
    exact = read(run(path, out=str(tmp_path / "exact.gpkg")).path)
    done = run(path, out=str(tmp_path / "shaped.gpkg"), **options)
    geometry = np.concatenate([layer[0] for layer in read(done.path).values()])
    area = sum(shapely.area(layer[0]).sum() for layer in exact.values())

    assert shapely.is_valid(geometry).all()
    assert shapely.coverage_is_valid(geometry)
    assert shapely.area(geometry).sum() == pytest.approx(area, rel=0.05)  # what nodata gives and takes
    assert len(geometry) == sum(len(layer[0]) for layer in exact.values())


def test_names_and_colours_come_from_the_sidecar(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", SMALL, nodata=NODATA)
    legend = [LegendEntry(value=v, name=n, rgb=(v, 7, 9)) for v, n in ((0, "water"), (1, "été; forêt"), (5, "never"))]
    write_class_attributes(path, aux_path(path), legend)
    done = run(path, names={2: "crops"})

    assert done.counts == {"water": 1, "été; forêt": 2, "crops": 1, "never": 0}
    with closing(sqlite3.connect(done.path)) as connection:
        styles = dict(connection.execute("SELECT styleName, styleQML FROM layer_styles").fetchall())
    assert "5,7,9," in styles["never"]


def test_confidence_is_found_beside_the_raster(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a_classes.tif", SMALL, nodata=NODATA)
    write_raster(tmp_path / "a_confidence.tif", np.full_like(SMALL, 80), nodata=NODATA)

    assert read(run(path).path)["class_2"][1]["confidence_mean"].tolist() == [0.8]


@pytest.mark.parametrize("kind", ["mask", "alpha", "nodata"])
def test_what_a_raster_calls_invalid_becomes_no_object(tmp_path: Path, kind: str) -> None:
    """As in `segflow run`: by its nodata value, by a mask of its own, by an alpha band."""
    labels = np.ones((60, 80), np.uint8)
    labels[:, 40:], labels[:, :30] = 2, 0
    options: dict[str, Any] = {"nodata": 0} if kind == "nodata" else {}
    bands = labels[None] if kind != "alpha" else np.stack([labels, np.where(labels, 255, 0).astype(np.uint8)])
    path = write_scene(tmp_path / "a.tif", bands, mask=labels > 0 if kind == "mask" else None, **options)
    if kind == "alpha":
        with rasterio.open(path, "r+") as dataset:
            dataset.colorinterp = [ColorInterp.gray, ColorInterp.alpha]
    done = run(path)
    layers = read(done.path)

    assert done.counts == {"class_1": 1, "class_2": 1}
    assert sum(fields["n_px"].sum() for _, fields in layers.values()) == (labels > 0).sum()


def test_values_of_any_whole_number(tmp_path: Path) -> None:
    values = np.array([[-5, -5, 300], [70_000, 300, 300], [0, 0, -9999]], np.int32)
    path = write_raster(tmp_path / "a.tif", values, nodata=-9999)
    done = run(path)

    assert sorted(done.counts) == ["class_-5", "class_0", "class_300", "class_70000"]
    assert {int(f["class_id"][0]) for _, f in read(done.path).values()} == {-5, 0, 300, 70_000}


def test_255_may_be_a_class(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.array([[255, 255], [0, 7]], np.uint8), nodata=0)

    assert run(path).counts == {"class_7": 1, "class_255": 1}


@pytest.mark.parametrize(
    ("values", "profile", "message"),
    [
        (np.ones((4, 4), np.float32), {}, "holds float32 values, but classes are whole numbers"),
        (np.arange(300, dtype=np.uint16).reshape(20, 15), {}, "has 300 values, but at most 255 can be classes"),
        (np.full((4, 4), 255, np.uint8), {"nodata": 255}, "every pixel is nodata"),
    ],
)
def test_rasters_that_hold_no_classes(
    tmp_path: Path, values: np.ndarray, profile: dict[str, Any], message: str
) -> None:
    path = write_raster(tmp_path / "a.tif", values, **profile)
    with pytest.raises(SegflowError, match=message) as caught:
        run(path)

    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif"]


def test_nodata_alone_gives_empty_layers_where_names_are_known(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.full((4, 4), 255, np.uint8), nodata=255)

    assert run(path, names={0: "water", 1: "forest"}).counts == {"water": 0, "forest": 0}


class Notes(Silence):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


def test_a_raster_without_crs_has_no_areas(tmp_path: Path) -> None:
    path, notes = write_raster(tmp_path / "a.tif", SMALL, crs=None, nodata=NODATA), Notes()
    done = run(path, notes)

    assert "areas and lengths are left out" in notes.lines[0]
    assert np.isnan(read(done.path)["class_1"][1]["area_m2"]).all()
    with pytest.raises(SettingsError, match="no coordinate reference system"):
        run(path, min_area=5, overwrite=True)


@pytest.mark.parametrize("name", ["water", "2"])
def test_each_class_has_its_own_minimum_area(tmp_path: Path, name: str) -> None:
    """By its name or its value; the moves are told."""
    path = write_raster(tmp_path / "a.tif", SMALL, nodata=NODATA)
    done = run(path, names={2: "water"}, min_area={name: 1000.0})

    assert done.counts == {"class_0": 1, "class_1": 2, "water": 0}
    assert [(a, b, pixels) for a, b, pixels, _ in done.moved] == [("water", "class_0", 2)]
    for wrong, message in (
        ({"wood": 1.0}, "--min-area names 'wood', but the classes are"),
        ({"2": 1.0, "water": 2.0}, "twice"),
    ):
        with pytest.raises(SettingsError, match=message):
            run(path, names={2: "water"}, min_area=wrong, overwrite=True)


def test_a_rotated_grid_keeps_its_places(tmp_path: Path) -> None:
    transform = Affine(8, 6, 300_000, 6, -8, 9_000_000)
    done = run(write_raster(tmp_path / "a.tif", SMALL, nodata=NODATA, transform=transform), min_area=150)
    geometry = np.concatenate([layer[0] for layer in read(done.path).values()])

    assert shapely.area(geometry).sum() == pytest.approx(100 * (SMALL != NODATA).sum())
    assert shapely.is_valid(geometry).all()


def test_noise_is_told_and_stops_at_the_limit(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 9, (450, 450)).astype(np.uint8)
    path, notes = write_raster(tmp_path / "a.tif", noise, nodata=NODATA), Notes()
    done = run(path, notes)

    assert sum(done.counts.values()) > 120_000
    assert "look like noise" in notes.lines[0]
    for options in ({}, {"min_area": 200.0}):
        with pytest.raises(SettingsError, match="more than 1,000 objects, as noise has"):
            run(path, overwrite=True, max_objects=1000, **options)


def test_a_file_that_stands_there_is_kept(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", SMALL, nodata=NODATA)
    before = run(path).path.read_bytes()
    with pytest.raises(OutputExistsError, match="--overwrite, or add to it with --append"):
        run(path)

    assert before == run(path, overwrite=True).path.read_bytes()


def test_appending_adds_features_and_layers(tmp_path: Path) -> None:
    out = str(tmp_path / "all.gpkg")
    run(write_raster(tmp_path / "a.tif", SMALL, nodata=NODATA), out=out)
    run(write_raster(tmp_path / "b.tif", SMALL + np.uint8(1), nodata=0), out=out, append=True)
    layers = read(Path(out))

    assert {name: len(geometry) for name, (geometry, _) in layers.items()} == {
        "class_0": 1,
        "class_1": 3,
        "class_2": 3,
        "class_3": 1,
    }
    assert layers["class_1"][1]["scene"].tolist() == ["a", "a", "b"]
    with closing(sqlite3.connect(out)) as connection:
        assert connection.execute("SELECT rtreecheck('rtree_class_1_geom')").fetchall() == [("ok",)]
        assert connection.execute("SELECT COUNT(*) FROM rtree_class_1_geom").fetchall() == [(3,)]
    other = write_raster(tmp_path / "c.tif", SMALL, nodata=NODATA, crs="EPSG:4326")
    with pytest.raises(SegflowError, match="another CRS"):
        run(other, out=out, append=True)


@pytest.mark.parametrize("kind", ["flatgeobuf", "geoparquet"])
def test_other_formats_hold_the_same(tmp_path: Path, kind: str) -> None:
    path = write_raster(tmp_path / "a.tif", SMALL, nodata=NODATA)
    expected = read(run(path).path)
    done = run(path, format=kind)
    if kind == "flatgeobuf":
        found = pyogrio.read_dataframe(done.path)
    else:
        import geopandas

        found = geopandas.read_parquet(done.path)

    assert found.crs.to_epsg() == 32721
    assert len(found) == sum(len(geometry) for geometry, _ in expected.values())
    for name, (geometry, _) in expected.items():
        same = found[found["class_name"] == name].geometry.to_numpy()
        assert {shapely.to_wkb(g) for g in same} == {shapely.to_wkb(g) for g in geometry}


def test_geoparquet_without_its_extra_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"pip install 'segflow\[parquet\]'"):
        run(write_raster(tmp_path / "a.tif", SMALL, nodata=NODATA), format="geoparquet")


def test_lines_are_a_layer_of_their_own(tmp_path: Path) -> None:
    labels = np.zeros((80, 120), np.uint8)
    labels[38:43, 5:115] = 1
    done = run(write_raster(tmp_path / "a.tif", labels, nodata=NODATA), names={1: "road"}, geometry={"road": "line"})
    geometry, fields = read(done.path)["road"]

    assert done.counts == {"class_0": 1, "road": 1}
    assert shapely.get_type_id(geometry).tolist() == [shapely.GeometryType.LINESTRING]
    assert fields["length_m"][0] == pytest.approx(1100, abs=60)
    assert fields["width_m"][0] == pytest.approx(50, abs=8)


def test_wrong_names_are_one_line(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", SMALL, nodata=NODATA)
    for options, message in (
        ({"classes": ("forest",)}, "--classes names 'forest', but the raster has class_0"),
        ({"geometry": {"road": "line"}}, "--geometry names 'road'"),
        ({"append": True, "overwrite": True}, "exclude each other"),
    ):
        with pytest.raises(SettingsError, match=message):
            run(path, **options)


def test_the_command_line(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", SMALL, nodata=NODATA)
    command = [sys.executable, "-m", "segflow.cli", "vectorize", str(path), "--min-area", "250", "--json"]
    done = subprocess.run([*command, "--names", "1=forest"], capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)

    assert answer["features"] == {"class_0": 1, "forest": 1, "class_2": 0}
    assert {(m["from"], m["to"], m["pixels"]) for m in answer["moved"]} >= {("class_2", "class_0", 2)}


def double(number: int) -> int:
    return 2 * number


def die(number: int) -> int:
    if number == 0:
        return 0
    os._exit(3)


def test_results_come_in_order() -> None:
    with open_pool(2) as pool:
        assert list(pool.run(double, range(50))) == list(range(0, 100, 2))


def test_a_killed_process_is_one_line() -> None:
    with pytest.raises(ClusterError, match="worker process was killed"), open_pool(2) as pool:
        list(pool.run(die, [1]))


def test_long_polygons_are_cut_along_the_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segflow.segmentation.vectors.polygons.cutting.GRID", 64)
    labels = patches(200, 2)
    path = write_raster(tmp_path / "a.tif", labels, nodata=NODATA)
    whole = read(run(path, out=str(tmp_path / "whole.gpkg")).path)
    cut = read(run(path, out=str(tmp_path / "cut.gpkg"), max_vertices=300).path)
    geometry = np.concatenate([layer[0] for layer in cut.values()])
    lines = (shapely.bounds(geometry)[:, 0] - 300_000) % 640 == 0

    assert shapely.get_num_coordinates(geometry).max() <= 1500
    assert len(geometry) > sum(len(layer[0]) for layer in whole.values())
    assert shapely.is_valid(geometry).all()
    assert lines.any()
    assert (burnt(cut, labels.shape) == labels).all()
    for name, (_, fields) in whole.items():
        assert fields["n_px"].sum() == cut[name][1]["n_px"].sum()
        assert fields["area_m2"].sum() == pytest.approx(cut[name][1]["area_m2"].sum(), rel=1e-6)
