"""Items are valid STAC 1.1 and say where the map lies, what its pixels mean and what its files are."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import Transformer
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from segflow.flows.products.entries import CLASSES, PRODUCTS
from segflow.flows.products.product import Product
from segflow.io.raster.sidecars import LegendEntry
from segflow.io.stac.footprints import footprint
from segflow.io.stac.items import ItemAsset, build_item, crs_code, write_item
from segflow.segmentation.training.leakage import find_overlaps
from segflow.tiling import Grid

NORTH_UP = Affine(10, 0, 500_000, 0, -10, 9_400_000)
LEGEND = (
    LegendEntry(value=0, name="not forest", rgb=(200, 180, 20)),
    LegendEntry(value=1, name="森", rgb=(1, 2, 3)),
    LegendEntry(value=2, name="not/forest", rgb=(1, 2, 4)),
)


def grid_of(crs: str | None, transform: Affine = NORTH_UP, shape: tuple[int, int] = (100, 200)) -> Grid:
    wkt = None if crs is None else CRS.from_user_input(crs).to_wkt()
    return Grid(height=shape[0], width=shape[1], transform=transform, crs=wkt)


def asset_of(product: Product, name: str, sha256: str, size: int) -> ItemAsset:
    return ItemAsset(
        key=product.name,
        name=name,
        media_type=product.media_type,
        roles=product.roles,
        title=product.title,
        sha256=sha256,
        size=size,
        content=product.pixels and product.pixels.content(LEGEND),
    )


def item_of(grid: Grid, **options: object) -> dict[str, object]:
    assets = [asset_of(product, product.file_name("a b"), sha256="0" * 64, size=3) for product in PRODUCTS]
    defaults = {"name": "a b", "assets": assets, "scene_hrefs": ["../a b.tif"]}
    return build_item(grid=grid, **{**defaults, **options})


def validate(item: dict[str, object]) -> None:
    """Validate against the core schema that pystac carries; the extensions' lie on the network."""
    plain = json.loads(json.dumps(item, allow_nan=False))
    JsonSchemaSTACValidator().validate_core(plain, pystac.STACObjectType.ITEM, "1.1.0")


@pytest.mark.parametrize(
    "crs", ["EPSG:32720", "ESRI:102039", "IGNF:LAMB93", "+proj=laea +lat_0=12 +ellps=bessel", None]
)
@pytest.mark.parametrize("acquired", ["2020-01-02T03:04:05Z", "2020-01-01T00:00:00Z/2020-01-31T23:59:59Z", None])
def test_item_is_valid(crs, acquired):
    item = item_of(
        grid_of(crs, Affine(10, 0, 5e5, 0, -10, 4e6)),
        acquired=acquired,
        gsd=10.0,
        model_href="model.json",
        software={"segflow": "1"},
        lineage="x",
    )
    validate(item)

    assert (item["geometry"] is None) == (crs is None)
    assert ("bbox" in item) == (crs is not None)
    assert pystac.Item.from_dict(json.loads(json.dumps(item))).id == "a b"


def test_item_says_where_the_grid_lies():
    grid = grid_of("EPSG:32720")
    item = pystac.Item.from_dict(item_of(grid))
    found = ProjectionExtension.ext(item)

    assert found.code == "EPSG:32720"
    assert found.wkt2 is None
    assert tuple(found.shape) == grid.shape
    assert Affine(*found.transform) == grid.transform
    assert tuple(found.bbox) == grid.bounds


def test_crs_without_a_code_is_spelt_out():
    grid = grid_of("+proj=laea +lat_0=12.3 +lon_0=4.56 +ellps=bessel +units=m")
    found = ProjectionExtension.ext(pystac.Item.from_dict(item_of(grid)))

    assert found.code is None
    assert CRS.from_wkt(found.wkt2) == CRS.from_wkt(grid.crs)


@pytest.mark.parametrize("code", ["EPSG:32720", "EPSG:4326", "EPSG:28992", "EPSG:7415", "ESRI:102039"])
def test_codes_are_certain_or_left_out(code):
    assert crs_code(CRS.from_user_input(code).to_wkt()) == code
    assert crs_code(CRS.from_user_input(code).to_wkt().replace("Transverse_Mercator", "Mystery")) in (code, None)


def test_assets_say_what_they_are(tmp_path):
    (tmp_path / "m_classes.tif").write_bytes(b"abc")
    asset = ItemAsset.of(
        tmp_path / "m_classes.tif", key="classes", media_type=CLASSES.media_type, roles=("data",), title="Classes"
    )
    item = pystac.Item.from_dict(item_of(grid_of("EPSG:32720"), assets=[asset]))
    found = FileExtension.ext(item.assets["classes"])

    assert found.checksum == "1220" + hashlib.sha256(b"abc").hexdigest()
    assert found.size == 3
    assert item.assets["classes"].href == "./m_classes.tif"


def test_classes_are_those_of_the_legend_and_nodata():
    item = pystac.Item.from_dict(item_of(grid_of("EPSG:32720")))
    classes = ClassificationExtension.ext(item.assets["classes"]).classes

    assert [entry.value for entry in classes] == [0, 1, 2, 255]
    assert [entry.name for entry in classes] == ["not-forest", "class-1", "not-forest-2", "nodata"]
    assert [entry.color_hint for entry in classes] == ["C8B414", "010203", "010204", None]
    assert [entry.to_dict().get("title") for entry in classes[:3]] == [entry.name for entry in LEGEND]
    assert all(re.fullmatch("[0-9A-Za-z_-]+", entry.name) for entry in classes)


def test_bands_say_type_nodata_and_scale():
    assets = item_of(grid_of("EPSG:32720"))["assets"]

    assert [band["data_type"] for band in assets["probabilities"]["bands"]] == ["uint8"] * 3
    assert [band["name"] for band in assets["probabilities"]["bands"]] == [entry.name for entry in LEGEND]
    assert assets["confidence"]["bands"][0]["raster:scale"] == 0.01
    assert assets["classes"]["bands"][0]["nodata"] == 255
    assert assets["classes"]["href"] == "./a%20b_classes.tif"


def test_file_is_the_same_for_the_same_item(tmp_path):
    item = item_of(grid_of("EPSG:32720"), properties={"b": 1, "a": {"z": 1, "é": 2}})
    write_item(tmp_path / "a.json", item)
    write_item(tmp_path / "b.json", dict(reversed(item.items())))

    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == json.loads(json.dumps(item))
    with pytest.raises(ValueError, match="Out of range"):
        write_item(tmp_path / "a.json", {"x": float("nan")})


@pytest.mark.parametrize(
    ("code", "x", "y", "size"),
    [
        ("EPSG:32720", 5e5, 9.4e6, 10),
        ("EPSG:28992", 1e5, 4e5, 0.1),
        ("EPSG:4326", -60, -5, 1e-3),
        ("EPSG:3577", 0, -4e6, 90),
    ],
)
def test_footprint_is_the_grids_outline(code, x, y, size):
    transform = Affine(size, 0, x, 0, -size, y)
    place = footprint(grid_of(code, transform))
    shape = shapely.geometry.shape(place.geometry)
    grid = grid_of(code, transform)

    assert place.bbox == pytest.approx(transform_bounds(grid.crs, "EPSG:4326", *grid.bounds), abs=1e-6)
    assert shape.bounds == place.bbox
    assert shape.is_valid
    assert shape.exterior.is_ccw


ODD_PLACES = {
    "antimeridian": (grid_of("EPSG:4326", Affine(0.1, 0, 175, 0, -0.1, 50)), (175, 40, -165, 50), 20 * 10),
    "before it": (grid_of("EPSG:4326", Affine(0.1, 0, -185, 0, -0.1, 50)), (175, 40, -165, 50), 20 * 10),
    "0 to 360": (grid_of("EPSG:4326", Affine(0.1, 0, 200, 0, -0.1, 50)), (-160, 40, -140, 50), 20 * 10),
    "globe": (grid_of("EPSG:4326", Affine(1, 0, -180, 0, -1, 90), (180, 360)), (-180, -90, 180, 90), 360 * 180),
    "south-up": (grid_of("EPSG:4326", Affine(0.1, 0, 10, 0, 0.1, 40)), (10, 40, 30, 50), 20 * 10),
}


@pytest.mark.parametrize("name", ODD_PLACES)
def test_footprint_holds_in_odd_places(name):
    grid, bbox, area = ODD_PLACES[name]
    place = footprint(grid)
    shape = shapely.geometry.shape(place.geometry)

    assert place.bbox == pytest.approx(bbox)
    assert shape.area == pytest.approx(area)
    assert shape.is_valid
    assert shape.bounds[0] >= -180
    assert shape.bounds[2] <= 180
    validate(item_of(grid))


@pytest.mark.parametrize(("code", "pole"), [("EPSG:3995", 90), ("EPSG:3031", -90)])
def test_footprint_around_a_pole_holds_it(code, pole):
    grid = grid_of(code, Affine(1000, 0, -500_000, 0, -1000, 500_000), (1000, 1000))
    place = footprint(grid)

    assert pole in (place.bbox[1], place.bbox[3])
    assert shapely.geometry.shape(place.geometry).covers(shapely.Point(123.4, pole * 0.99))


@pytest.mark.parametrize("side", [2, 3])  # a pole in a corner of four scenes, and amid nine
def test_footprints_of_neighbours_around_a_pole_share_nothing(side):
    shapes, span = {}, 100_000
    for row, col in np.ndindex(side, side):
        corner = Affine(1000, 0, (col - side / 2) * span, 0, -1000, (side / 2 - row) * span)
        inner = grid_of("EPSG:3995", corner @ Affine.translation(0.5, 0.5), (99, 99))
        shape = shapely.geometry.shape(footprint(inner).geometry)
        x, y = inner.transform @ np.mgrid[3:97:7, 3:97:7].reshape(2, -1)
        lon, lat = Transformer.from_crs(3995, 4326, always_xy=True).transform(x, y)
        assert shape.is_valid
        assert shapely.contains_xy(shape, lon, lat).all()
        shapes[f"{row}{col}"] = shape

    assert find_overlaps(shapes) == []
    assert find_overlaps({"a": shapes["00"], "b": shapes["00"]}) == [("a", "b")]


@pytest.mark.parametrize("crs", [None, 'LOCAL_CS["Site",UNIT["metre",1]]', "+proj=geos +h=35785831 +lon_0=0"])
def test_grid_without_a_place_on_earth_has_no_footprint(crs):
    grid = grid_of(crs, Affine(30_000, 0, -6e6, 0, -30_000, 6e6), (400, 400))

    assert footprint(grid) is None
    validate(item_of(grid))


def test_real_scenes_give_valid_items(shared_data):
    for path in sorted((shared_data / "scenes").glob("*.tif")):
        with rasterio.open(path) as dataset:
            grid = Grid(
                height=dataset.height, width=dataset.width, transform=dataset.transform, crs=dataset.crs.to_wkt()
            )
        item = item_of(grid, name=Path(path).stem)
        validate(item)

        assert item["geometry"] is not None
