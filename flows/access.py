"""How scenes may be opened: the one place where the settings of a command become an `Access`."""

from typing import Protocol

from segflow.configs.run import RunSettings
from segflow.configs.training import TrainSettings
from segflow.io.scene.access import Access
from segflow.io.scene.limits import MIB, Limits

_USUAL = Limits()


class Bounds(Protocol):
    """The settings of a command that say how large a raster may be."""

    @property
    def max_pixels(self) -> int | None:
        """Pixels that a raster may have at most; None: as usual."""

    @property
    def max_block(self) -> int | None:
        """Size of one decoded block of it [MiB]; None: as usual."""


class RasterSettings(Bounds, Protocol):
    """The settings of a command that opens rasters of one band."""

    @property
    def sidecars(self) -> bool:
        """Whether the files beside a raster are read."""


def run_access(settings: RunSettings) -> Access:
    """Give how a run opens its scenes."""
    return Access(
        sidecars=settings.sidecars,
        remote=settings.allow_remote,
        limits=_limits(settings, settings.max_bands),
        alpha=settings.alpha,
        nodata=settings.nodata,
    )


def training_access(settings: TrainSettings) -> Access:
    """Give how a training opens its scenes: local files without sidecars."""
    limits = _limits(settings, settings.max_bands)
    return Access(limits=limits, alpha=settings.alpha, nodata=settings.nodata)


def label_access(settings: TrainSettings) -> Access:
    """Give how a training opens its label rasters, whose alpha and nodata are their own."""
    return Access(limits=_limits(settings, settings.max_bands))


def raster_access(settings: RasterSettings) -> Access:
    """Give how class rasters, confidence rasters and references are opened: local files."""
    return Access(sidecars=settings.sidecars, limits=_limits(settings))


def _limits(settings: Bounds, bands: int | None = None) -> Limits:
    block = settings.max_block
    return Limits(
        max_bands=_USUAL.max_bands if bands is None else bands,
        max_block_bytes=_USUAL.max_block_bytes if block is None else block * MIB,
        max_pixels=_USUAL.max_pixels if settings.max_pixels is None else settings.max_pixels,
    )
