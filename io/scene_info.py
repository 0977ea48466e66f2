"""What is known of a scene without reading its pixels."""

from dataclasses import dataclass

from affine import Affine

from segflow.tiling import Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One band of data.

    Attributes
    ----------
    number
        Place in the file, from 1.
    name
        The band's description, else its colour interpretation, in lower case; None if neither says anything.
    nodata
        The value that stands for "outside the data", or None.
    described
        Whether `name` is a description, which somebody wrote on purpose; colour interpretations are often defaults.
    """

    number: int
    name: str | None
    nodata: float | None
    described: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneInfo:
    """A scene as its file describes it.

    Attributes
    ----------
    path
        Absolute path, or the address of a remote scene.
    grid
        Shape, transform and CRS.
    bands
        The bands of data in the order of the file; a genuine alpha band is not one.
    alpha
        Number of the alpha band, or None.
    dtype
        NumPy name of the pixels' type.
    has_mask
        Whether the file holds a mask of its own (GDAL: PER_DATASET).
    acquired
        When the scene was taken, ISO 8601 in UTC, if the file says so.
    gcps
        Whether the file has ground control points besides its transform.
    """

    path: str
    grid: Grid
    bands: tuple[Band, ...]
    alpha: int | None
    dtype: str
    has_mask: bool
    acquired: str | None
    gcps: bool

    @property
    def georeferenced(self) -> bool:
        """Whether the pixels have a place in the world."""
        return self.grid.crs is not None or self.grid.transform != Affine.identity()

    @property
    def band_count(self) -> int:
        """Number of bands in the file, with the alpha band."""
        return len(self.bands) + (self.alpha is not None)
