"""What a TIFF file claims to be, read from its directories without GDAL.

GDAL allocates what a header claims while it opens a file. This reader visits the same directories
first, reads a few dozen bytes of each, and lets `Limits` refuse what is too large.

References
----------
TIFF 6.0 specification, section 2 (header, image file directory); BigTIFF design (AWare Systems).
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from segflow.errors import SceneError
from segflow.io.scene.limits import Limits

TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES = 256, 257, 258, 259, 277
_STRIP_ROWS, _PLANAR, _TILE_WIDTH, _TILE_HEIGHT = 278, 284, 322, 323
_WANTED = {_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES, _STRIP_ROWS, _PLANAR, _TILE_WIDTH, _TILE_HEIGHT}
_SEPARATE = 2  # PlanarConfiguration: every band in blocks of its own
MAX_ENTRIES = 4096  # tags in one directory; genuine files have about 20
_MAGIC_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TiffDirectory:
    """One image of a TIFF file.

    Attributes
    ----------
    height, width
        Shape [px].
    bands
        Samples per pixel.
    block_bytes
        Bytes of a decoded block; 0 for plain strips, which are read row by row [B].
    tag_bytes
        Bytes of all its tags [B].
    """

    height: int
    width: int
    bands: int
    block_bytes: int
    tag_bytes: int


@dataclass(frozen=True, slots=True)
class TiffLayout:
    """Byte order and number widths of a file: classic or BigTIFF."""

    order: str
    big: bool

    @property
    def offset_format(self) -> str:
        """Format of an offset in the file, as `struct` takes it."""
        return self.order + ("Q" if self.big else "I")

    @property
    def count_format(self) -> str:
        """Format of the number of tags in a directory."""
        return self.order + ("Q" if self.big else "H")

    @property
    def entry_format(self) -> str:
        """Format of a tag: its number, type, count, and its values or their offset."""
        return self.order + ("HHQ8s" if self.big else "HHI4s")


def check_tiff_header(path: str, limits: Limits) -> None:
    """Refuse a file that is no TIFF or claims more than `limits` allow.

    Raises
    ------
    SceneError
        If the file is no TIFF, its header is cut short, or it is too large.
    """
    tag_bytes = 0
    for number, directory in enumerate(read_directories(path), start=1):
        tag_bytes += directory.tag_bytes
        limits.check_header(path, directories=number, tag_bytes=tag_bytes)
        pixels = directory.height * directory.width
        limits.check(path, bands=directory.bands, pixels=pixels, block_bytes=directory.block_bytes)


def read_directories(path: str) -> Iterator[TiffDirectory]:
    """Go through the images of a TIFF file in the order of its header.

    Raises
    ------
    SceneError
        If the file cannot be read, is no TIFF, or its header is cut short or runs in a circle.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a path that GDAL gets as text too
            layout, offset = read_start(file, path)
            visited: set[int] = set()
            while offset:
                if offset in visited:
                    msg = f"{path} has a header that runs in a circle: the file is damaged"
                    raise SceneError(msg)
                visited.add(offset)
                directory, offset = _read_directory(file, layout, offset)
                yield directory
    except struct.error as error:
        msg = f"{path} ends inside its header: the file is cut short, copy or download it again"
        raise SceneError(msg) from error


def read_start(file: BinaryIO, path: str) -> tuple[TiffLayout, int]:
    """Read the head of a file: give its layout and the offset of its first directory (0: none yet)."""
    head = file.read(_MAGIC_BYTES)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    version = struct.unpack_from(order + "H", head, 2)[0] if order and len(head) > 3 else None  # noqa: PLR2004
    if order is None or version not in {42, 43}:
        found = f"starts with {head[:8]!r}" if head else "is empty"
        msg = f"{path} is not a GeoTIFF (it {found}): convert the scene with gdal_translate -of COG"
        raise SceneError(msg)
    layout = TiffLayout(order, big=version == 43)  # noqa: PLR2004 - BigTIFF's version
    return layout, struct.unpack_from(layout.offset_format, head, 8 if layout.big else 4)[0]


def _read_directory(file: BinaryIO, layout: TiffLayout, offset: int) -> tuple[TiffDirectory, int]:
    """Read the directory at `offset`; give it and the offset of the next one (0: none)."""
    file.seek(min(offset, os.fstat(file.fileno()).st_size))
    (count,) = read_struct(file, layout.count_format)
    entries = [read_struct(file, layout.entry_format) for _ in range(min(count, MAX_ENTRIES))]
    following = read_struct(file, layout.offset_format)[0] if count <= MAX_ENTRIES else 0
    tags = {tag: _first_value(file, layout, kind, n, raw) for tag, kind, n, raw in entries if tag in _WANTED and n}
    tag_bytes = sum(n * TYPE_BYTES.get(kind, 1) for _, kind, n, _ in entries)
    return _directory(tags, tag_bytes), following


def _first_value(file: BinaryIO, layout: TiffLayout, kind: int, count: int, raw: bytes) -> int:
    """Give the first number of a tag, which lies in the entry itself or where the entry points."""
    if kind not in INTEGERS:
        return 0
    form = layout.order + INTEGERS[kind]
    if count * TYPE_BYTES[kind] <= len(raw):
        return int(struct.unpack_from(form, raw)[0])
    file.seek(min(struct.unpack(layout.offset_format, raw)[0], os.fstat(file.fileno()).st_size))
    return int(read_struct(file, form)[0])


def read_struct(file: BinaryIO, form: str) -> tuple[Any, ...]:
    """Read the numbers of a `struct` format; `struct.error` where the file ends before."""
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _directory(tags: dict[int, int], tag_bytes: int) -> TiffDirectory:
    height, width, bands = tags.get(_HEIGHT, 0), tags.get(_WIDTH, 0), tags.get(_SAMPLES, 1)
    tiled = _TILE_WIDTH in tags
    rows = tags.get(_TILE_HEIGHT, 0) if tiled else min(tags.get(_STRIP_ROWS, height), height)
    pixels = rows * (tags[_TILE_WIDTH] if tiled else width)
    samples = 1 if tags.get(_PLANAR) == _SEPARATE else bands
    as_blocks = tiled or tags.get(_COMPRESSION, 1) != 1  # libtiff chops plain strips into rows
    return TiffDirectory(
        height=height,
        width=width,
        bands=bands,
        block_bytes=pixels * samples * tags.get(_BITS, 1) // 8 if as_blocks else 0,
        tag_bytes=tag_bytes,
    )
