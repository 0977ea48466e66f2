"""How large a scene may claim to be before it is opened."""

from dataclasses import dataclass, fields

from segflow.errors import SceneError, SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneLimits:
    """Bounds on what a file may cost before its first pixel is read.

    A small file can claim anything: 787 kB with 65,535 bands took 2.2 GB and 8.6 s to open.

    Attributes
    ----------
    max_bands
        Bands of the scene.
    max_block_bytes
        Bytes of one decoded block (tile or strip), all bands of it [B].
    max_pixels
        Pixels of the scene [px].
    max_directories
        Images in one file: the scene, its mask, their overviews.
    max_tag_bytes
        Bytes of all tags of a file: block tables, metadata, geokeys [B].
    """

    max_bands: int = 512  # imaging spectrometers deliver up to about 430
    max_block_bytes: int = 256 * 2**20  # a COG's block of 512² with 64 float32 bands has 64 MiB
    max_pixels: int = 10**11  # about 316,000 pixels a side: a continent at 10 m
    max_directories: int = 256  # a COG of that size with a mask has 20
    max_tag_bytes: int = 64 * 2**20  # the block tables of max_pixels in blocks of 512 need 6 MiB

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                msg = f"{field.name} must be at least 1, got {getattr(self, field.name)}"
                raise SettingsError(msg)

    def check(self, path: str, *, bands: int, pixels: int, block_bytes: int) -> None:
        """Refuse a scene that is too large.

        Raises
        ------
        SceneError
            If one of the numbers is above its limit.
        """
        advice = "split it, or raise the limit if you trust the file"
        for found, limit, what in (
            (bands, self.max_bands, "bands"),
            (pixels, self.max_pixels, "pixels"),
        ):
            if found > limit:
                msg = f"{path} claims {found:,} {what}, but at most {limit:,} are read: {advice}"
                raise SceneError(msg)
        if block_bytes > self.max_block_bytes:
            msg = (
                f"{path} has blocks of {block_bytes:,} bytes, but at most {self.max_block_bytes:,} are read: "
                "rewrite it in small blocks (gdal_translate -of COG)"
            )
            raise SceneError(msg)
