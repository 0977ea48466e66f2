"""Every product of a run, on every real scene: valid, on the scene's own grid, and true to each other."""

import hashlib
import json
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pystac
import pytest
import rasterio
from pyproj import CRS
from rasterio.features import shapes
from rio_cogeo.cogeo import cog_validate
from shapely.geometry import shape

from segflow.configs.run import RunSettings
from segflow.flows.run.segment import segment_scene

FIELDS = {
    "class_id",
    "class_name",
    "area_m2",
    "perimeter_m",
    "confidence_mean",
    "confidence_min",
    "n_px",
    "touches_edge",
    "touches_nodata",
    "scene",
    "model",
    "run",
}


def scene_paths(root: Path) -> list[Path]:
    """Give all forest scenes."""
    return sorted((root / "forest-amazon" / "images").glob("*.tif"))


@pytest.fixture(
    scope="module", params=[pytest.param(8, id="some"), pytest.param(1, id="all", marks=pytest.mark.release)]
)
def maps(
    request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[Path, Path]:
    """Folder of the products of every eighth forest scene, or of every one."""
    out = tmp_path_factory.mktemp("maps")
    settings = RunSettings(out=str(out), tile=256, device="cpu", precision="float32")
    paths = scene_paths(shared_data)
    assert len(paths) == 30
    return {path: segment_scene(path, settings).folder for path in paths[:: request.param]}


def test_rasters_are_cogs_on_the_scenes_grid(maps: dict[Path, Path]) -> None:
    """Transform, CRS and shape are those of the scene; colours, names and overviews are there."""
    assert len(maps) in {4, 30}
    for scene, folder in maps.items():
        with rasterio.open(scene) as source:
            expected = (source.transform, source.crs, source.shape)
        for kind in ("classes", "confidence"):
            path = folder / f"{folder.name}_{kind}.tif"
            valid, errors, _ = cog_validate(path, strict=True)
            with rasterio.open(path) as product:
                assert (product.transform, product.crs, product.shape) == expected
                assert (product.count, product.dtypes, product.nodata) == (1, ("uint8",), 255)
            assert (valid, errors) == (True, [])
        with rasterio.open(folder / f"{folder.name}_classes.tif") as classes:
            labels = classes.read(1)
            assert classes.colormap(1)[1][3] == 255
        with rasterio.open(folder / f"{folder.name}_confidence.tif") as confidence:
            percent = confidence.read(1)
        assert set(np.unique(labels)) <= {0, 1}
        assert percent.min() >= 50
        assert percent.max() <= 100
        assert (folder / f"{folder.name}_classes.qml").read_text().count("forest") >= 1
        assert "forest" in (folder / f"{folder.name}_classes.tif.aux.xml").read_text()


def test_vectors_are_those_of_the_whole_raster(maps: dict[Path, Path]) -> None:
    """Layer by layer, the polygons equal those that GDAL finds in the class raster, tiles or not."""
    for folder in maps.values():
        with rasterio.open(folder / f"{folder.name}_classes.tif") as classes:
            labels = classes.read(1)
            oracle = [
                (int(value), shape(geometry))
                for geometry, value in shapes(labels, connectivity=4, transform=classes.transform)
            ]
            bounds = classes.bounds
        layers = {name for name, kind in pyogrio.list_layers(folder / f"{folder.name}.gpkg") if kind is not None}
        assert layers == {"other", "forest"}
        total = 0
        for value, name in enumerate(("other", "forest")):
            frame = geopandas.read_file(folder / f"{folder.name}.gpkg", layer=name)
            expected = [g for v, g in oracle if v == value]
            total += int(frame["n_px"].sum())

            assert set(frame.columns) >= FIELDS
            assert len(frame) == len(expected)
            assert sum(g.area for g in frame.geometry) == pytest.approx(sum(g.area for g in expected))
            assert frame.is_valid.all()
            assert frame.crs == "EPSG:4326"
            assert set(frame["class_name"]) <= {name}
            if len(frame):
                assert frame.total_bounds[0] >= bounds.left - 1e-9
        assert total == labels.size


def test_areas_are_geodesic_and_make_the_scene(maps: dict[Path, Path]) -> None:
    """Areas of polygons add up to the footprint on the ellipsoid, which degrees do not."""
    for folder in maps.values():
        with rasterio.open(folder / f"{folder.name}_classes.tif") as classes:
            left, bottom, right, top = classes.bounds
            crs = classes.crs
        xs = np.concatenate([np.linspace(left, right, 100), np.linspace(right, left, 100)])
        ys = np.concatenate([np.full(100, top), np.full(100, bottom)])
        expected = abs(CRS(crs).get_geod().polygon_area_perimeter(xs, ys)[0])
        areas = [
            pyogrio.read_dataframe(folder / f"{folder.name}.gpkg", layer=name)["area_m2"].sum()
            for name in ("other", "forest")
        ]
        item = json.loads((folder / f"{folder.name}.json").read_text())
        stated = [entry["area_m2"] for entry in item["properties"]["segflow:classes"]]

        assert sum(areas) == pytest.approx(expected, rel=1e-6)
        assert stated[:2] == pytest.approx(areas, rel=1e-4)


def test_items_are_valid_and_say_what_the_files_are(maps: dict[Path, Path]) -> None:
    """STAC 1.1; every checksum is that of the file; nothing else lies in the folder."""
    for folder in maps.values():
        path = folder / f"{folder.name}.json"
        content = json.loads(path.read_text())
        core = {**content, "stac_extensions": []}
        pystac.Item.from_dict(core).validate()
        names = {path.name}
        for asset in content["assets"].values():
            product = folder / asset["href"]
            names.add(product.name)
            assert asset["file:checksum"] == "1220" + hashlib.sha256(product.read_bytes()).hexdigest()
            assert asset["file:size"] == product.stat().st_size

        assert {found.name for found in folder.iterdir()} == names


def test_the_report_needs_no_network(maps: dict[Path, Path]) -> None:
    """One file: nothing in it points outside but to the products."""
    for folder in maps.values():
        text = (folder / f"{folder.name}.html").read_text()

        assert folder.name in text
        assert 'src="http' not in text
        assert 'href="http' not in text
