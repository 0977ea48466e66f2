"""What is known of a scene without reading its pixels."""

import unicodedata
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Self

from affine import Affine

from segflow.tiling import Grid, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One band of measurements.

    Attributes
    ----------
    number
        Place in the file, from 1.
    name
        The band's description, else its colour interpretation, in lower case; None if neither says anything.
    nodata
        Its nodata value, or None.
    described
        Whether `name` was written on purpose, as a description; the colours red, green and blue are often defaults.
    aliases
        Other names that the band goes by, in lower case.
    common
        Common names, ``red``, that it certainly goes by, the usual one first; empty where none is certain, and None
        where nobody has looked.
    text
        Its description as it is written in the file; empty for none.
    colour
        Its colour interpretation, empty where that names no colour.
    scale, offset
        What the file, its product or its STAC item declares a pixel to mean: scale × pixel + offset, such as
        reflectance; 1 and 0 where nothing is declared.
    """

    number: int
    name: str | None
    nodata: float | None
    described: bool = False
    aliases: tuple[str, ...] = ()
    common: tuple[str, ...] | None = None
    text: str = ""
    colour: str = ""
    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if self.name is not None:  # letters composed, so that a name is one name however it was typed
            object.__setattr__(self, "name", unicodedata.normalize("NFC", self.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some pixels of one file, and where they lie in a scene of many files.

    Attributes
    ----------
    path
        Absolute path of the GeoTIFF, or its address.
    bands
        Numbers of the scene's bands that it gives.
    numbers
        Numbers of the file's bands, one for each of `bands`.
    nodata
        Nodata values besides the file's own, one or None for each of `bands`.
    source
        The pixels taken from the file.
    place
        Where they lie in the scene; of the same shape as `source`.
    """

    path: str
    bands: tuple[int, ...]
    numbers: tuple[int, ...]
    nodata: tuple[float | None, ...]
    source: Window
    place: Window

    def __post_init__(self) -> None:
        if not len(self.bands) == len(self.numbers) == len(self.nodata) or self.source.shape != self.place.shape:
            msg = f"a part needs a file's band and a nodata value per band, and windows of one shape, got {self}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class BandConversion:
    """What becomes of the stored numbers of a band: a pixel is gain × stored + bias."""

    number: int
    gain: float
    bias: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What becomes of the stored numbers of a scene before anybody sees them as pixels.

    Attributes
    ----------
    stored
        NumPy name of the type that the files hold.
    bands
        What becomes of each band that is read.
    """

    stored: str
    bands: tuple[BandConversion, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskCause:
    """One reason for which pixels are masked.

    Attributes
    ----------
    name
        What it is called: ``cloud``.
    ranges
        (first, last) of the mask's values that mean it.
    bit
        A bit of the mask's values that means it where it is set; or None.
    """

    name: str
    ranges: tuple[tuple[int, int], ...] = ()
    bit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityMask:
    """A raster whose values say which pixels of a scene are nodata, such as clouds.

    Attributes
    ----------
    name
        What the user calls it: ``scl``, or the name of its file.
    path
        The raster.
    grid
        Its grid: of the scene's CRS, without rotation, with pixels of any size.
    dtype
        NumPy name of its type, a whole number of at most 16 bits.
    nodata
        Its own nodata value, or None; there the quality is not known, and the scene is masked.
    causes
        Why its values mask, in the order in which they count; a value belongs to its first cause.
    """

    name: str
    path: str
    grid: Grid
    dtype: str
    nodata: int | None
    causes: tuple[MaskCause, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneInfo:
    """A scene as its file, or its files, describe it.

    Attributes
    ----------
    path
        Absolute path, or the address of a remote scene; of a mosaic the first file's.
    grid
        Shape, transform and CRS.
    bands
        The bands in the order of the file, without a genuine alpha band.
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
    title
        Name of a scene that is not called after one file: that of its STAC item or its folder of bands.
    stacks
        Of a scene of many files: stacks of parts, each stack for other bands. The parts of a stack give the
        same bands, and where they overlap the first valid pixel counts. Empty for a scene that is one GeoTIFF.
    native
        The grid of the files, where the scene is resampled to another; None where it is read as it is.
    quality
        Quality rasters that come with the scene, as (kind, path): kinds are ``scl`` (Sentinel-2 scene
        classification), ``qa_pixel`` (Landsat Collection 2) and ``fmask`` (HLS).
    conversion
        How the stored numbers become the pixels that are read, of type `dtype`; None: they are the pixels.
    masks
        What makes further pixels nodata.
    """

    path: str
    grid: Grid
    bands: tuple[Band, ...]
    alpha: int | None
    dtype: str
    has_mask: bool
    acquired: str | None
    gcps: bool
    title: str | None = None
    stacks: tuple[tuple[Part, ...], ...] = ()
    native: Grid | None = None
    quality: tuple[tuple[str, str], ...] = ()
    conversion: Conversion | None = None
    masks: tuple[QualityMask, ...] = ()

    @property
    def plain(self) -> Self:
        """The scene as its files store it: neither converted nor masked."""
        return replace(self, dtype=self.stored_dtype, conversion=None, masks=())

    @property
    def stored_dtype(self) -> str:
        """NumPy name of the type that the files hold."""
        return self.dtype if self.conversion is None else self.conversion.stored

    @property
    def georeferenced(self) -> bool:
        """Whether the pixels have a place in the world."""
        return self.grid.crs is not None or self.grid.transform != Affine.identity()

    @property
    def band_count(self) -> int:
        """Number of bands in the file, with the alpha band."""
        return len(self.bands) + (self.alpha is not None)

    def reads(self, number: int) -> bool:
        """Tell whether a band can be read: where bands lie in many files, only those that were chosen can."""
        return not self.stacks or any(number in stack[0].bands for stack in self.stacks)

    @property
    def name(self) -> str:
        """Name of the scene: its title, else the name of its file without the suffix."""
        return self.title or PurePosixPath(self.path.partition("?")[0] if "://" in self.path else self.path).stem

    @property
    def files(self) -> tuple[str, ...]:
        """Paths and addresses of all GeoTIFFs whose pixels are read, each once."""
        parts = [part.path for stack in self.stacks for part in stack]
        return tuple(dict.fromkeys(parts)) if parts else (self.path,)
