"""Pure geometry of pixels: grids, windows and tiles. No I/O, no torch."""

from segflow.tiling.grid import Grid
from segflow.tiling.nodata import NODATA
from segflow.tiling.tiles import Tile, TileGrid
from segflow.tiling.window import Span, Window

__all__ = ["NODATA", "Grid", "Span", "Tile", "TileGrid", "Window"]
