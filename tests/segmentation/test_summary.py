"""The summary of a map: areas add up, and blocks do not matter."""

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS, Geod

from segflow.segmentation.summary import MapSummary
from segflow.tiling import Grid, Span, TileGrid, Window

GRIDS = {
    "geographic": Grid(
        height=300, width=200, transform=Affine(1e-3, 0, -60, 0, -1e-3, -3), crs=CRS.from_epsg(4326).to_wkt()
    ),
    "projected": Grid(
        height=300, width=200, transform=Affine(10, 0, 5e5, 0, -10, 9e6), crs=CRS.from_epsg(32720).to_wkt()
    ),
    "rotated": Grid(height=300, width=200, transform=Affine(8, 3, 5e5, 3, -8, 9e6), crs=CRS.from_epsg(32720).to_wkt()),
}


def summarise(grid: Grid, labels: np.ndarray, confidence: np.ndarray, block: int) -> MapSummary:
    """Count a map in blocks."""
    summary = MapSummary(grid)
    for tile in TileGrid(height=grid.height, width=grid.width, core=block, margin=0, stride=1):
        summary.add(tile.core, labels[tile.core.slices], confidence[tile.core.slices])
    return summary


@pytest.mark.parametrize("name", GRIDS)
def test_areas_of_all_values_make_the_scene(name: str) -> None:
    """Classes and nodata together cover the footprint, as one geodesic polygon measures it."""
    grid = GRIDS[name]
    rng = np.random.default_rng(0)
    labels = rng.choice(np.array([0, 1, 255], np.uint8), grid.shape)
    summary = summarise(grid, labels, np.full(grid.shape, 70, np.uint8), 128)
    crs = CRS.from_wkt(grid.crs)
    outline = [grid.transform @ (c, r) for r, c in _outline(grid.window)]
    lons, lats = np.array(outline).T
    if crs.is_projected:
        from pyproj import Transformer

        lons, lats = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(lons, lats)
    expected = abs(Geod(ellps="WGS84").polygon_area_perimeter(lons, lats)[0])

    assert summary.area.sum() == pytest.approx(expected, rel=1e-7)


def test_counts_are_those_of_the_whole_map() -> None:
    """Pixels and confidence equal direct counting; nodata has no confidence."""
    grid = GRIDS["projected"]
    rng = np.random.default_rng(1)
    labels = rng.choice(np.array([0, 1, 255], np.uint8), grid.shape)
    confidence = np.where(labels == 255, 255, rng.integers(50, 101, grid.shape)).astype(np.uint8)
    summary = summarise(grid, labels, confidence, 64)

    assert [summary.count(value) for value in (0, 1, 255)] == [np.sum(labels == value) for value in (0, 1, 255)]
    assert summary.mean_confidence(1) == pytest.approx(confidence[labels == 1].mean() / 100)
    assert summary.pixels[255, 0] == np.sum(labels == 255)
    np.testing.assert_array_equal(summary.pixels, summarise(grid, labels, confidence, 256).pixels)


def test_without_a_crs_there_is_no_area() -> None:
    """NaN, never a number that looks like square metres."""
    grid = Grid(height=4, width=4, transform=Affine.identity(), crs=None)
    summary = summarise(grid, np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8), 4)

    assert np.isnan(summary.area[0])
    assert summary.count(0) == 16
    assert np.isnan(summary.mean_confidence(1))


def _outline(window: Window, step: int = 5) -> list[tuple[int, int]]:
    """Give points along the border of a window, (row, column), as a ring."""
    h, w = window.shape
    top = [(0, c) for c in range(0, w, step)]
    right = [(r, w) for r in range(0, h, step)]
    bottom = [(h, c) for c in range(w, 0, -step)]
    left = [(r, 0) for r in range(h, 0, -step)]
    assert window == Window(Span(0, h), Span(0, w))
    return top + right + bottom + left
