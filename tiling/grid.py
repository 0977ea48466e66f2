"""The grid of a raster: shape, affine transform and coordinate reference system."""

from dataclasses import dataclass

from affine import Affine

from segflow.tiling.window import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Where the pixels of a raster lie in the world.

    Attributes
    ----------
    height, width
        Shape of the raster [px].
    transform
        Maps (column, row) of a pixel's upper left corner to world (x, y) [CRS unit].
    crs
        Coordinate reference system as WKT, or None for a raster without one.
    """

    height: int
    width: int
    transform: Affine
    crs: str | None

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            msg = f"a grid needs at least one pixel, got {self.height} × {self.width}"
            raise ValueError(msg)
        if self.transform.determinant == 0:
            msg = f"a grid's transform must be invertible, got {tuple(self.transform)[:6]}"
            raise ValueError(msg)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) [px]."""
        return self.height, self.width

    @property
    def window(self) -> Window:
        """The window of all pixels."""
        return Window.of_shape(self.height, self.width)

    @property
    def pixel_area(self) -> float:
        """Area of one pixel in the plane of the CRS [CRS unit²]."""
        return abs(self.transform.determinant)

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """World (x, y) of the corners: upper left, upper right, lower right, lower left."""
        h, w = self.shape
        return tuple(self.transform @ corner for corner in ((0, 0), (w, 0), (w, h), (0, h)))

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Smallest upright rectangle around all pixels: (left, bottom, right, top) [CRS unit]."""
        xs, ys = zip(*self.corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def crop(self, window: Window) -> "Grid":
        """Give the grid of the pixels in `window`."""
        return Grid(
            height=len(window.rows),
            width=len(window.cols),
            transform=self.transform @ Affine.translation(window.cols.start, window.rows.start),
            crs=self.crs,
        )
