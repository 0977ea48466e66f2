"""Labels on a scene's grid: rasters only where they lie on it, polygons from any CRS."""

from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from shapely.geometry import box

from segflow.errors import SceneError
from segflow.io.labels.rasters import Labels, open_label_raster, read_label_polygons, same_grid
from segflow.io.scene.scenes import describe_scene
from segflow.tiling import Grid

UTM = CRS.from_epsg(32720).to_wkt()
GRID = Grid(height=40, width=50, transform=Affine(10, 0, 500_000, 0, -10, 9_000_000), crs=UTM)


def write_raster(path: Path, pixels: np.ndarray, grid: Grid = GRID, nodata: float | None = 255) -> Path:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=grid.height,
        width=grid.width,
        count=len(pixels),
        dtype=pixels.dtype,
        transform=grid.transform,
        crs=grid.crs,
        nodata=nodata,
    ) as raster:
        raster.write(pixels)
    return path


def burn(path: Path, grid: Grid, *, field: str, values: dict[str, int], background: int = 0) -> Labels:
    found = read_label_polygons(str(path), grid, field=field, values=values, names={}, background=background)
    return found.read(grid.window)


def some_labels() -> np.ndarray:
    labels = np.random.default_rng(0).integers(0, 3, GRID.shape).astype(np.uint8)
    labels[0] = 255
    return labels


def test_a_raster_comes_back_with_255_where_it_holds_nothing(tmp_path: Path) -> None:
    labels = some_labels()
    path = write_raster(tmp_path / "l.tif", labels[None])

    assert np.array_equal(open_label_raster(path, GRID, [0, 1, 2]).read(GRID.window), labels)


def test_wider_types_and_other_nodata_values(tmp_path: Path) -> None:
    labels = some_labels()
    path = write_raster(tmp_path / "l.tif", np.where(labels == 255, -1, labels).astype(np.int16)[None], nodata=-1)

    assert np.array_equal(open_label_raster(path, GRID, [0, 1, 2]).read(GRID.window), labels)


@pytest.mark.parametrize(
    "other",
    [
        Grid(height=40, width=50, transform=GRID.transform * Affine.translation(1, 0), crs=UTM),
        Grid(height=40, width=50, transform=GRID.transform * Affine.scale(1.001), crs=UTM),
        Grid(height=40, width=50, transform=GRID.transform, crs=CRS.from_epsg(32721).to_wkt()),
        Grid(height=40, width=51, transform=GRID.transform, crs=UTM),
    ],
    ids=["shifted", "scaled", "other CRS", "other shape"],
)
def test_a_raster_on_another_grid_is_refused(tmp_path: Path, other: Grid) -> None:
    path = write_raster(tmp_path / "l.tif", np.zeros((1, *other.shape), np.uint8), other)

    with pytest.raises(SceneError, match="another grid"):
        open_label_raster(path, GRID, [0, 1]).read(GRID.window)


def test_grids_that_differ_by_rounding_are_the_same() -> None:
    rounded = Grid(height=40, width=50, transform=GRID.transform * Affine.translation(1e-6, 0), crs=UTM)

    assert same_grid(GRID, rounded)
    assert same_grid(GRID, Grid(height=40, width=50, transform=GRID.transform, crs=None))


def test_values_that_are_no_class_are_named(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "l.tif", some_labels()[None])
    with pytest.raises(SceneError, match=r"hold 2 \([\d,]+ px\), but the classes are 0, 1"):
        open_label_raster(path, GRID, [0, 1]).read(GRID.window)


def test_a_raster_with_several_bands_is_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "l.tif", np.zeros((3, *GRID.shape), np.uint8))
    with pytest.raises(SceneError, match="3 bands, but need one"):
        open_label_raster(path, GRID, [0]).read(GRID.window)


def write_polygons(path: Path, crs: str = "EPSG:32720", shift: float = 0) -> Path:
    """A wood of 10 × 20 px from row 5, column 10, and a lake of 4 × 4 px in it."""
    left, top = 500_100 + shift, 9_000_000 - 50
    shapes = [box(left, top - 100, left + 200, top), box(left + 20, top - 60, left + 60, top - 20)]
    geopandas.GeoDataFrame({"class": ["wood", "lake"]}, geometry=shapes, crs="EPSG:32720").to_crs(crs).to_file(path)
    return path


def expected_polygons(background: int = 0) -> np.ndarray:
    labels = np.full(GRID.shape, background, np.uint8)
    labels[5:15, 10:30] = 1
    labels[7:11, 12:16] = 2
    return labels


@pytest.mark.parametrize("crs", ["EPSG:32720", "EPSG:4326", "EPSG:3857"])
@pytest.mark.parametrize("suffix", [".shp", ".gpkg"])
def test_polygons_of_any_crs_land_on_their_pixels(tmp_path: Path, crs: str, suffix: str) -> None:
    path = write_polygons(tmp_path / f"p{suffix}", crs)
    found = burn(path, GRID, field="class", values={"wood": 1, "lake": 2})

    assert np.array_equal(found, expected_polygons())


def test_the_background_may_be_ignored(tmp_path: Path) -> None:
    path = write_polygons(tmp_path / "p.gpkg")
    found = burn(path, GRID, field="class", values={"wood": 1, "lake": 2}, background=255)

    assert np.array_equal(found, expected_polygons(255))


def test_a_scene_between_the_polygons_is_all_background(tmp_path: Path) -> None:
    path = write_polygons(tmp_path / "p.gpkg")
    frame = geopandas.read_file(path)
    far = frame.set_geometry(frame.translate(-20_000))
    geopandas.GeoDataFrame(geopandas.pd.concat([frame.set_geometry(frame.translate(20_000)), far])).to_file(path)

    assert not burn(path, GRID, field="class", values={"wood": 1, "lake": 2}).any()


def test_polygons_elsewhere_are_refused(tmp_path: Path) -> None:
    path = write_polygons(tmp_path / "p.gpkg", shift=50_000)
    with pytest.raises(SceneError, match="miss the scene"):
        burn(path, GRID, field="class", values={"wood": 1, "lake": 2})


@pytest.mark.parametrize(
    ("field", "values", "says"),
    [
        ("kind", {"wood": 1}, "no field 'kind', only class:"),
        ("class", {"wood": 1}, r"holds 'lake' \(1×\), known are wood"),
    ],
)
def test_classes_that_are_not_known_are_refused(tmp_path: Path, field: str, values: dict[str, int], says: str) -> None:
    path = write_polygons(tmp_path / "p.gpkg")
    with pytest.raises(SceneError, match=says):
        burn(path, GRID, field=field, values=values)


def test_polygons_need_a_crs_a_file_and_a_placed_scene(tmp_path: Path) -> None:
    path = write_polygons(tmp_path / "p.shp")
    path.with_suffix(".prj").unlink()
    with pytest.raises(SceneError, match="have no CRS"):
        burn(path, GRID, field="class", values={"wood": 1, "lake": 2})
    with pytest.raises(SceneError, match="do not exist"):
        burn(tmp_path / "none.shp", GRID, field="class", values={})
    (tmp_path / "text.shp").write_text("not a shapefile")
    with pytest.raises(SceneError, match="cannot be read"):
        burn(tmp_path / "text.shp", GRID, field="class", values={})
    unplaced = Grid(height=40, width=50, transform=GRID.transform, crs=None)
    with pytest.raises(SceneError, match="has no CRS"):
        burn(path, unplaced, field="class", values={})


def test_real_polygons_equal_the_real_rasters(shared_data: Path) -> None:
    """The forest shapefile burns to the label rasters, to the last pixel."""
    folder = shared_data / "forest-amazon"
    for name in ("Amazon_1110_25", "Amazon_970_1", "Amazon_404_52"):
        grid = describe_scene(folder / "images" / f"{name}.tif").grid
        raster = open_label_raster(folder / "labels" / f"{name}.tif", grid, [0, 1]).read(grid.window)
        burnt = burn(folder / "labels_shp" / "forest.shp", grid, field="class", values={"forest": 1})

        assert np.array_equal(raster, burnt)
