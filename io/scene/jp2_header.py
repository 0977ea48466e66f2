"""What a JPEG 2000 file claims to be, read from its boxes and the head of its codestream without GDAL.

References
----------
ISO/IEC 15444-1: annex A (codestream, marker SIZ), annex I (boxes).
"""

import struct
from typing import BinaryIO

from segflow.errors import SceneError
from segflow.io.scene.limits import Limits

SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"  # of a JP2 file
CODESTREAM = b"\xff\x4f\xff\x51"  # of a bare codestream: start, then SIZ
END = b"\xff\xd9"  # of a codestream
_SIZ = struct.Struct(">HHIIIIIIIIH")  # length, capabilities, size, offset, tile's size and offset, components
_MOST_BOXES = 256  # before the codestream; genuine files have about five
_MOST_TILES = 65_535  # as the standard has it
_BLOCK = 1024  # px; longest side of the blocks that GDAL decodes of an image of one tile; of others, whole tiles
_SAMPLE = 4  # B; OpenJPEG decodes every sample to 32 bits
_TILE_COST, _COMPONENT_COST = 18_000, 4_000  # B; what OpenJPEG holds of every tile, and of every band of it: measured
_MOST_TABLES = 2**30  # B of these; 100,000² px of four bands in tiles of 1,024 px take a third of it
_WHOLE = 1  # a box's length for: 8 bytes with the length follow


def is_jp2(head: bytes) -> bool:
    """Tell whether a file that begins so is JPEG 2000."""
    return head.startswith((SIGNATURE, CODESTREAM))


def check_jp2_header(file: BinaryIO, path: str, limits: Limits) -> None:
    """Refuse a JPEG 2000 file that claims more than `limits` allow; it is read from its beginning.

    Raises
    ------
    SceneError
        If its header is cut short or damaged, or it is too large.
    """
    try:
        start = _find_codestream(file, path)
        file.seek(start)
        if file.read(4) != CODESTREAM:
            _refuse(path, "has no JPEG 2000 codestream where its boxes say")
        _, _, right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, bands = _SIZ.unpack(
            file.read(_SIZ.size)
        )
        depths = file.read(3 * bands)[::3]
    except (struct.error, OSError, EOFError) as error:
        _refuse(path, "ends inside its header")
        raise AssertionError from error
    width, height = right - left, bottom - top
    if min(width, height, tile_width, tile_height, bands) < 1 or len(depths) < bands:
        _refuse(path, "has a header without pixels")
    across, down = (-(-(size - first) // tile) for size, first, tile in (
        (right, tile_left, tile_width), (bottom, tile_top, tile_height)
    ))  # fmt: skip
    tiles = across * down
    if tiles > _MOST_TILES:
        _refuse(path, f"claims {tiles:,} tiles, more than JPEG 2000 allows")
    block = _BLOCK if tiles == 1 else max(tile_width, tile_height)
    pixels = min(tile_width, width, block) * min(tile_height, height, block)
    limits.check(path, bands=bands, pixels=width * height, block_bytes=pixels * bands * _SAMPLE)
    if tiles * (_TILE_COST + bands * _COMPONENT_COST) > _MOST_TABLES:
        msg = (
            f"{path} has {tiles:,} tiles of {bands} band(s), whose tables take more than {_MOST_TABLES:,} bytes of "
            "memory: rewrite it in larger tiles or as a GeoTIFF (gdal_translate -of COG)"
        )
        raise SceneError(msg)


def find_jp2_gap(file: BinaryIO) -> str:
    """Say what a JPEG 2000 file lacks; give an empty text where its codestream is there to its end."""
    file.seek(0, 2)
    size = file.tell()
    file.seek(max(0, size - 2))
    return "" if file.read(2) == END else f"its codestream does not end at byte {size:,}"


def _find_codestream(file: BinaryIO, path: str) -> int:
    """Give where the codestream begins."""
    if file.read(len(CODESTREAM)) == CODESTREAM:
        return 0
    place = 0
    for _ in range(_MOST_BOXES):
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if length == _WHOLE:
            (length,) = struct.unpack(">Q", file.read(8))
            head = 16
        if kind == b"jp2c":
            return place + head
        if length < head:  # 0: the box ends with the file, and is none that a codestream follows
            break
        place += length
    _refuse(path, "has no JPEG 2000 codestream")
    return 0


def _refuse(path: str, found: str) -> None:
    msg = f"{path} {found}: the file is damaged or cut short, copy or download it again"
    raise SceneError(msg)
