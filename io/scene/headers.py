"""The check of a file before GDAL opens it: what it is, by its first bytes, and what it claims to be."""

from pathlib import Path

from segflow.io.scene.archives import open_file
from segflow.io.scene.gdal import JP2, TIFF
from segflow.io.scene.jp2_header import SIGNATURE, check_jp2_header, find_jp2_gap, is_jp2
from segflow.io.scene.limits import Limits
from segflow.io.scene.sources import is_remote
from segflow.io.scene.tiff_blocks import find_gap
from segflow.io.scene.tiff_header import check_tiff_header


def check_header(source: str, limits: Limits) -> None:
    """Refuse a file that is no TIFF and no JPEG 2000, or claims more than `limits` allow.

    Raises
    ------
    SceneError
        If it is so, or its header is cut short.
    """
    with open_file(source) as file:
        head = file.read(len(SIGNATURE))
        if is_jp2(head):
            file.seek(0)
            check_jp2_header(file, source, limits)
            return
    check_tiff_header(source, limits)


def driver_of(source: str) -> str:
    """Give the one driver by which GDAL may open a file: by its first bytes, or by the name of a remote one.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    if is_remote(source):
        return JP2 if source.partition("?")[0].lower().endswith((".jp2", ".j2k")) else TIFF
    with open_file(source) as file:
        return JP2 if is_jp2(file.read(len(SIGNATURE))) else TIFF


def find_missing(path: Path) -> str:
    """Say what a raster that somebody may still be writing lacks; give an empty text where it is complete.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        if is_jp2(file.read(len(SIGNATURE))):
            return find_jp2_gap(file)
    return find_gap(path)
