"""A real QGIS opens the products: valid, in place, styled without a click, with the names of the classes."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
import torch
from affine import Affine
from rasterio.crs import CRS

from segflow.configs.run import RunSettings
from segflow.flows.run.segment import segment_scene
from segflow.io.models.packages import write_model_file
from segflow.io.vector.geopackage import GeoPackageWriter, VectorLayer
from segflow.segmentation.networks.registry import build_network
from segflow.segmentation.predict.weights import pack_weights
from segflow.segmentation.spec import BandSpec, ClassSpec, ModelSpec
from tests.scenes import write_scene

pytestmark = pytest.mark.qgis

PYTHON = os.environ.get("SEGFLOW_QGIS_PYTHON", "/usr/bin/python3")  # the one that QGIS was installed for
INSPECT = Path(__file__).parent / "qgis_inspect.py"
FILL_ALPHA = 110  # of 255: the scene stays visible under the polygons

CLASSES = (
    ClassSpec(value=0, name='dense "old" forest', colour="#1b7837"),
    ClassSpec(value=1, name="Wald; Stämme", colour="#d9c88f"),
    ClassSpec(value=2, name="水 & <sea>, o'hara's", colour="#2b7bba"),
    ClassSpec(value=3, name="lane", colour="#e0301e", geometry="line"),
    ClassSpec(value=4, name="nothing here", colour="#777777"),
)
FIELDS = {
    "class_id",
    "class_name",
    "confidence_mean",
    "confidence_min",
    "n_px",
    "touches_edge",
    "scene",
    "model",
    "run",
}
CRSS = {
    "UTM": "EPSG:32720",
    "degrees": "EPSG:4326",
    "custom": CRS.from_proj4("+proj=laea +lat_0=-9 +lon_0=-63 +x_0=5000 +y_0=7000 +ellps=bessel +units=m +no_defs"),
}
PLACES = {
    "UTM": Affine(10, 0, 300_000, 0, -10, 9_400_000),
    "degrees": Affine(1e-4, 0, -63, 0, -1e-4, -9),
    "custom": Affine(10, 0, 5_000, 0, -10, 7_000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Products, the scene they were made of, and what QGIS says of them."""

    scene: Path
    folder: Path
    report: Mapping[str, Any]

    @property
    def classes(self) -> Mapping[str, Any]:
        return self.report["rasters"][f"{self.folder.name}_classes.tif"]

    @property
    def confidence(self) -> Mapping[str, Any]:
        return self.report["rasters"][f"{self.folder.name}_confidence.tif"]

    @property
    def layers(self) -> Mapping[str, Mapping[str, Any]]:
        return self.report["vectors"]


def stepped_model(path: Path) -> Path:
    """Write a model of one 1×1 convolution: class k where the first band lies in [50 k, 50 k + 50)."""
    network = build_network("pixelwise", {}, in_channels=1, classes=len(CLASSES))
    state = network.state_dict()
    weight = next(tensor for tensor in state.values() if tensor.ndim == 4)
    bias = next(tensor for tensor in state.values() if tensor.ndim == 1)
    steps = torch.arange(len(CLASSES), dtype=torch.float32)
    weight[:, 0, 0, 0] = steps  # lines whose upper envelope turns at 1, 2, 3, …
    bias[:] = -steps * (steps + 1) / 2
    spec = ModelSpec(
        name="steps",
        version="1",
        architecture="pixelwise",
        arguments={},
        bands=(BandSpec(name="grey", mean=0.0, std=50.0),),
        dtype="uint8",
        gsd=10.0,
        gsd_range=(1e-6, 1e9),
        classes=CLASSES,
        stride=1,
        dependency=0,
        margin=0,
        guarantee="exact",
    )
    write_model_file(path, spec.to_json(), pack_weights(network))
    return path


def land(height: int = 300, width: int = 400) -> np.ndarray:
    """Give (1, h, w) uint8 pixels: two kinds of land with islands, a lake, roads across, nothing of the last class."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.where(columns < 220, 25, 75)
    pixels[(rows // 20 % 5 == 0) & (columns // 20 % 4 == 0)] = 75
    pixels[np.hypot(rows - 180, columns - 300) < 70] = 125
    pixels[np.hypot(rows - 180, columns - 300) < 20] = 25
    pixels[(np.abs(rows - 60) < 4) | (np.abs(columns - 110) < 4)] = 175
    return pixels[None].astype(np.uint8)


def inspect(folder: Path, workplace: Path) -> Mapping[str, Any]:
    """Open all in a folder with QGIS; give its report."""
    report = workplace / "report.json"
    done = subprocess.run(
        [PYTHON, str(INSPECT), str(folder), str(report), str(workplace / "pictures")],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(workplace),
            "QT_QPA_PLATFORM": "offscreen",
            "XDG_RUNTIME_DIR": str(workplace),
            "LC_ALL": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if "No module named 'qgis'" in done.stderr:
        pytest.fail(
            f"{PYTHON} has no QGIS: apt-get install python3-qgis, or set SEGFLOW_QGIS_PYTHON to a Python that has it"
        )
    assert done.returncode == 0, done.stderr[-2000:]
    warned = [line for line in done.stderr.splitlines() if "Warning" in line or "ERROR" in line]
    return {**json.loads(report.read_text(encoding="utf-8")), "warned": warned}


@pytest.fixture(scope="module", params=list(CRSS))
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """Make a real run on a scene of one CRS and open all that it wrote."""
    place = tmp_path_factory.mktemp("qgis")
    scene = write_scene(
        place / "the scene.tif", land(), crs=CRSS[request.param], transform=PLACES[request.param], nodata=0
    )
    model = stepped_model(place / "steps.safetensors")
    segment_scene(str(scene), RunSettings(model=str(model), out=str(place / "maps")))
    folder = place / "maps" / "the scene"
    before = sorted(path.name for path in folder.iterdir())
    report = inspect(folder, place)
    assert sorted(path.name for path in folder.iterdir()) == before  # no statistics beside them, no journals
    return Opened(scene=scene, folder=folder, report=report)


def named(name: str) -> ClassSpec:
    return next(entry for entry in CLASSES if entry.name == name)


def test_all_is_offered_and_valid(opened: Opened) -> None:
    polygons = {entry.name for entry in CLASSES if entry.geometry == "polygon"}

    assert {f"{opened.folder.name}_{kind}.tif" for kind in ("classes", "confidence")} == set(opened.report["rasters"])
    assert all(raster["valid"] for raster in opened.report["rasters"].values())
    assert len(opened.layers) in {len(polygons), len(CLASSES)}  # one per class, and layer_styles is none
    assert all(layer["valid"] for layer in opened.layers.values())


def test_nothing_is_warned_of(opened: Opened) -> None:
    assert opened.report["warned"] == []


def test_layers_can_be_edited(opened: Opened) -> None:
    """Triggers keep the count and the spatial index when a user moves and deletes features."""
    for layer in opened.layers.values():
        if layer["features"]:
            edited = layer["edited"]
            assert edited["saved"] == [True] * 4
            assert edited["before"] == edited["after"] == layer["features"]
            assert edited["found"] == 1


def test_every_layer_holds_one_class(opened: Opened) -> None:
    held = [layer["names"] for layer in opened.layers.values()]
    present = {entry.name for entry in CLASSES if entry.geometry == "polygon"} - {"nothing here"}

    assert all(len(names) <= 1 for names in held)
    assert present <= {name for names in held for name in names}
    for layer in opened.layers.values():
        line = layer["names"] == ["lane"]
        assert layer["geometry"] == ("LineString" if line else "Polygon")
        assert FIELDS | {"length_m" if line else "area_m2"} <= layer["fields"].keys()
        assert layer["spatial_index"]


def test_the_place_is_the_scenes(opened: Opened) -> None:
    with rasterio.open(opened.scene) as scene:
        crs, bounds, shape = pyproj.CRS.from_wkt(scene.crs.to_wkt()), scene.bounds, scene.shape
    step = 1e-6 * (bounds.right - bounds.left)

    for product in (*opened.report["rasters"].values(), *opened.layers.values()):
        assert product["crs"]["valid"]
        found = pyproj.CRS.from_wkt(product["crs"]["wkt"])
        assert found.equals(crs, ignore_axis_order=True) or found.to_authority() == crs.to_authority() != None  # noqa: E711
    for raster in opened.report["rasters"].values():
        assert raster["extent"] == pytest.approx(bounds, abs=step)
        assert raster["size"] == [shape[1], shape[0]]
    boxes = [layer["extent"] for layer in opened.layers.values() if layer["features"]]
    union = [min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)]
    assert union == pytest.approx(bounds, abs=step)  # what the classes cover is the scene, whole


def test_geometries_are_valid(opened: Opened) -> None:
    assert [layer["invalid"] for layer in opened.layers.values()] == [[]] * len(opened.layers)
    assert sum(layer["features"] for layer in opened.layers.values()) > 10


def test_the_class_raster_shows_names_not_256_entries(opened: Opened) -> None:
    expected = [[entry.value, entry.colour, entry.name] for entry in CLASSES]

    assert opened.classes["renderer"] == "paletted"
    assert opened.classes["classes"] == expected
    assert opened.classes["legend"] == [[entry.name, entry.colour] for entry in CLASSES]


def test_the_confidence_raster_shows_percent(opened: Opened) -> None:
    assert opened.confidence["renderer"] == "singlebandpseudocolor"
    assert [label for label, _ in opened.confidence["legend"]] == ["0 %", "25 %", "50 %", "75 %", "100 %"]


def test_every_layer_has_the_colour_of_its_class(opened: Opened) -> None:
    for layer in opened.layers.values():
        assert layer["renderer"] == "singleSymbol"
        assert layer["styles"] == 1
        if layer["names"]:
            assert layer["colour"] == named(layer["names"][0]).colour
            assert layer["alpha"] == (FILL_ALPHA if layer["geometry"] == "Polygon" else 255)


def test_the_picture_shows_every_class(opened: Opened) -> None:
    with rasterio.open(opened.folder / f"{opened.folder.name}_classes.tif") as dataset:
        labels = dataset.read(1)
    drawn = opened.classes["colours"]

    for entry in CLASSES:  # drawn at the raster's own size; a row may fall to its neighbour by rounding
        assert drawn.get(entry.colour, 0) == pytest.approx((labels == entry.value).mean(), abs=5e-3)
    for layer in opened.layers.values():
        if layer["names"] and layer["geometry"] == "Polygon":
            entry = named(layer["names"][0])
            covered = shade_share(layer["colours"], entry.rgb)
            assert covered == pytest.approx((labels == entry.value).mean(), rel=0.2)  # outlines hide some of the fill


def shade_share(drawn: Mapping[str, float], rgb: tuple[int, int, int]) -> float:
    """Give the share of a picture that a colour covers, drawn half transparent over white."""
    wanted = [round(255 + (value - 255) * FILL_ALPHA / 255) for value in rgb]
    near = (
        share
        for name, share in drawn.items()
        if max(abs(a - b) for a, b in zip(bytes.fromhex(name[1:]), wanted, strict=True)) <= 2
    )
    return sum(near)


def test_lines_are_drawn_in_their_colour(tmp_path: Path) -> None:
    """Layers of lines as the writer makes them, beside a raster for the frame."""
    folder = tmp_path / "products"
    folder.mkdir()
    write_scene(folder / "frame.tif", np.ones((1, 200, 200), np.uint8), transform=PLACES["UTM"])
    lines = np.array([shapely.LineString([(300_100, 9_399_000), (301_800, 9_399_000), (301_900, 9_398_200)])])
    layer = VectorLayer(name='ro\'ads; "a"', geometry_type="LineString", rgb=(224, 48, 30), description="x")
    with GeoPackageWriter(folder / "lines.gpkg", pyproj.CRS("EPSG:32720").to_wkt()) as writer:
        writer.write(layer, lines, {"class_name": np.array(["lane"], object), "length_m": np.array([2.5])})
    (found,) = inspect(folder, tmp_path)["vectors"].values()

    assert (found["valid"], found["geometry"], found["features"], found["invalid"]) == (True, "LineString", 1, [])
    assert (found["colour"], found["crs"]["authid"]) == ("#e0301e", "EPSG:32720")
    assert found["fields"].keys() == {"fid", "class_name", "length_m"}
    assert 0.001 < found["colours"]["#e0301e"] < 0.1
