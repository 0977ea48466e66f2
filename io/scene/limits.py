"""How large a scene may claim to be before it is opened."""

from dataclasses import dataclass, fields

from segflow.errors import SceneError, SettingsError

MIB = 2**20  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what a file may cost before its first pixel is read.

    A small file can claim anything: 787 kB with 65,535 bands took 2.2 GB and 8.6 s to open.
    Bands, blocks and pixels are settings of the commands (`max_bands`, `max_block`, `max_pixels`).

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
    max_block_bytes: int = 256 * MIB  # a COG's block of 512² with 64 float32 bands has 64 MiB
    max_pixels: int = 10**11  # about 316,000 pixels a side: a continent at 10 m
    max_directories: int = 256  # a COG of that size with a mask has 20
    max_tag_bytes: int = 64 * MIB  # the block tables of max_pixels in blocks of 512 need 6 MiB

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                msg = f"{field.name} must be at least 1, got {getattr(self, field.name)}"
                raise SettingsError(msg)

    def check(self, path: str, *, bands: int, pixels: int, block_bytes: int) -> None:
        """Refuse a scene that is too large; the message names the setting that lets it through.

        Raises
        ------
        SceneError
            If one of the numbers is above its limit.
        """
        if bands > self.max_bands:
            msg = (
                f"{path} claims {bands:,} bands, but at most {self.max_bands:,} are read: "
                f"extract the bands you need, or raise the setting max_bands to {bands} if you trust the file"
            )
            raise SceneError(msg)
        if pixels > self.max_pixels:
            msg = (
                f"{path} claims {pixels:,} pixels, but at most {self.max_pixels:,} are read: "
                f"split it, or raise the setting max_pixels to {pixels} if you trust the file"
            )
            raise SceneError(msg)
        if block_bytes > self.max_block_bytes:
            msg = (
                f"{path} has blocks of {block_bytes:,} bytes, but at most {self.max_block_bytes:,} are read: "
                "rewrite it in small blocks (gdal_translate -of COG), or raise the setting max_block to "
                f"{-(-block_bytes // MIB)} [MiB] if you trust the file"
            )
            raise SceneError(msg)

    def check_header(self, path: str, *, directories: int, tag_bytes: int) -> None:
        """Refuse a header that takes long to read; `gdal_translate` writes a scene with a short one.

        Raises
        ------
        SceneError
            If one of the numbers is above its limit.
        """
        if directories > self.max_directories or tag_bytes > self.max_tag_bytes:
            msg = (
                f"{path} has more than {self.max_directories:,} images or {self.max_tag_bytes:,} bytes of tags: "
                "extract the scene with gdal_translate -of COG, which writes one image in larger blocks"
            )
            raise SceneError(msg)
