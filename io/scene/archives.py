"""Files inside a zip archive of this machine, by the name that GDAL has for them: ``/vsizip/ARCHIVE.zip/MEMBER``.

Only readers of products make such names. Nothing is unpacked to a disk.
"""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from segflow.errors import SceneError

PREFIX = "/vsizip/"
_SUFFIX = ".zip"
MOST_MEMBERS = 10_000  # of an archive; a Sentinel-2 product has about 100
MOST_RATIO = 200  # unpacked over packed bytes of a member; XML has some 30, imagery about 1


def archived(archive: Path, member: str) -> str:
    """Give the name of a member of an archive."""
    return f"{PREFIX}{archive.absolute()}/{member}"


def split_archived(path: str) -> tuple[Path, str] | None:
    """Give archive and member of a name that `archived` made; None for other paths."""
    if not path.startswith(PREFIX):
        return None
    whole = path.removeprefix(PREFIX)
    ends = [found.end() - 1 for found in re.finditer(rf"{re.escape(_SUFFIX)}/", whole, re.IGNORECASE)]
    if not whole.startswith("/") or whole.startswith("/vsi") or not ends:
        return None
    place = next((end for end in ends if Path(whole[:end]).is_file()), ends[0])  # folders may be called .zip, too
    return Path(whole[:place]), whole[place + 1 :]


@contextmanager
def open_file(path: str) -> Iterator[BinaryIO]:
    """Open a file, or a member of an archive, for reading.

    Raises
    ------
    OSError
        If it cannot be read.
    SceneError
        If the archive is damaged or packs more than it should.
    """
    parts = split_archived(path)
    if parts is None:
        with Path(path).open("rb") as file:
            yield file
        return
    with open_archive(parts[0]) as archive, archive.open(parts[1]) as member:
        yield cast("BinaryIO", member)


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive whose members are what they should be.

    Raises
    ------
    SceneError
        If it is no archive, is damaged, has too many members, names outside itself, or packs too much into too little.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive.infolist())
            yield archive
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError) as error:
        msg = f"{path} cannot be read as a zip archive ({' '.join(str(error).split())}): copy or download it again"
        raise SceneError(msg) from error


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    found = ""
    if len(members) > MOST_MEMBERS:
        found = f"has {len(members):,} members"
    for member in members:
        parts = member.filename.replace("\\", "/").split("/")
        if member.filename.startswith("/") or ".." in parts or "\0" in member.filename:
            found = f"has a member that leads out of it ({member.filename})"
        elif member.file_size > MOST_RATIO * max(member.compress_size, 1) and member.file_size > 2**20:
            found = f"packs {member.file_size:,} bytes into {member.compress_size:,} ({member.filename})"
        elif member.flag_bits & 1:
            found = f"is encrypted ({member.filename})"
    if found:
        msg = f"{path} {found}, which no product does: unpack it yourself if you trust it, and give the folder"
        raise SceneError(msg)
