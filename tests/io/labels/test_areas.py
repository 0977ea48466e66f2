"""Areas of interest lie where their file says, across the 180th meridian too, and say how far they may be off."""

from pathlib import Path

import geopandas
import numpy as np
import pytest
from affine import Affine
from pyproj import CRS, Transformer
from shapely import Polygon, box, get_coordinates

from segflow.errors import SceneError
from segflow.io.labels.areas import read_area
from segflow.tiling import Grid


def grid_at(crs: str, lon: float, lat: float) -> Grid:
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    transform = Affine(10, 0, round(x) - 400, 0, -10, round(y) + 400)
    return Grid(height=80, width=80, transform=transform, crs=CRS(crs).to_wkt())


def write(path: Path, grid: Grid, crs: object, shape: Polygon) -> str:
    """Write a polygon of pixels in another system."""
    world = np.array(grid.transform @ get_coordinates(shape.segmentize(1)).T)
    xy = np.column_stack(Transformer.from_crs(grid.crs, crs, always_xy=True).transform(*world))
    geopandas.GeoDataFrame({"a": [1]}, geometry=[Polygon(xy)], crs=crs).to_file(path)
    return str(path)


@pytest.mark.parametrize(
    ("crs", "place"),
    [("EPSG:32760", (180, -17)), ("EPSG:3995", (0, 90)), ("EPSG:3031", (180, -80)), ("EPSG:32633", (15, 50))],
)
def test_an_area_in_degrees_holds_its_pixels(tmp_path: Path, crs: str, place: tuple[float, float]) -> None:
    grid = grid_at(crs, *place)
    area = read_area(write(tmp_path / "a.gpkg", grid, 4326, box(10, 20, 70, 60)), grid)
    expected = np.zeros(grid.shape, bool)
    expected[20:60, 10:70] = True

    assert (area.inside(grid.window) != expected).sum() <= 4
    assert area.notes == ()


def test_a_guessed_datum_stops_until_it_is_allowed(tmp_path: Path) -> None:
    grid = grid_at("EPSG:25832", 9, 50.5)
    path = write(tmp_path / "a.gpkg", grid, CRS("+proj=longlat +ellps=bessel +type=crs"), box(10, 20, 70, 60))
    with pytest.raises(SceneError, match=r"area of interest .* may be off by 1\d\d m, 1\d px of the scene"):
        read_area(path, grid)

    assert "may be off by" in read_area(path, grid, allow_shift=True).notes[0]
