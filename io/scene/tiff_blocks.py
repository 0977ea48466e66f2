"""Whether a TIFF file is complete: every block that its directories name is written, and within the file.

While a file is being written, its directories may be there before its pixels. They then mark blocks as missing,
which readers take for pixels of value 0, or point past the end of what has been copied so far.

References
----------
TIFF 6.0 specification, sections 3 (StripOffsets, StripByteCounts) and 15 (TileOffsets, TileByteCounts).
"""

import os
import struct
from pathlib import Path
from typing import BinaryIO

from segflow.errors import SceneError
from segflow.io.scene.tiff_header import INTEGERS, MAX_ENTRIES, TYPE_BYTES, TiffLayout, read_start, read_struct

_STRIP_OFFSETS, _STRIP_COUNTS, _TILE_OFFSETS, _TILE_COUNTS = 273, 279, 324, 325
_PLACES = {_STRIP_OFFSETS, _STRIP_COUNTS, _TILE_OFFSETS, _TILE_COUNTS}


def find_gap(path: Path) -> str:
    """Say what is missing in a TIFF file; give an empty text where it is complete.

    A sparse file, whose empty blocks are left out on purpose, looks like one that is still being written.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _find_gap(file, str(path))
    except SceneError:
        return "it does not begin as a TIFF"
    except struct.error:
        return "it ends inside its header"


def _find_gap(file: BinaryIO, path: str) -> str:
    size = os.fstat(file.fileno()).st_size
    layout, offset = read_start(file, path)
    if not offset:
        return "its header names no image yet"
    visited: set[int] = set()
    while offset and offset not in visited:
        visited.add(offset)
        tags, offset = _read_places(file, layout, offset, size)
        starts = tags.get(_TILE_OFFSETS) or tags.get(_STRIP_OFFSETS) or ()
        lengths = tags.get(_TILE_COUNTS) or tags.get(_STRIP_COUNTS) or ()
        if not starts or len(starts) != len(lengths):
            return "its header does not say yet where its blocks lie"
        missing = sum(not start or not length for start, length in zip(starts, lengths, strict=True))
        if missing:
            return f"{missing:,} of its {len(starts):,} blocks were never written"
        end = max(start + length for start, length in zip(starts, lengths, strict=True))
        if end > size:
            return f"its blocks reach to byte {end:,}, but it ends at {size:,}"
    return ""


def _read_places(file: BinaryIO, layout: TiffLayout, offset: int, size: int) -> tuple[dict[int, tuple[int, ...]], int]:
    """Read the block tables of the image at `offset`; give them by tag, and the offset of the next image."""
    file.seek(min(offset, size))
    (count,) = read_struct(file, layout.count_format)
    entries = [read_struct(file, layout.entry_format) for _ in range(min(count, MAX_ENTRIES))]
    following = int(read_struct(file, layout.offset_format)[0]) if count <= MAX_ENTRIES else 0
    found = {tag: _numbers(file, layout, (kind, n, raw), size) for tag, kind, n, raw in entries if tag in _PLACES}
    return found, following


def _numbers(file: BinaryIO, layout: TiffLayout, entry: tuple[int, int, bytes], size: int) -> tuple[int, ...]:
    """Give all numbers of a tag, which lie in the entry itself or where the entry points."""
    kind, count, raw = entry
    if kind not in INTEGERS or count * TYPE_BYTES[kind] > size:
        return ()
    form = f"{layout.order}{count}{INTEGERS[kind]}"
    if struct.calcsize(form) <= len(raw):
        return struct.unpack_from(form, raw)
    file.seek(min(struct.unpack(layout.offset_format, raw)[0], size))
    return read_struct(file, form)
