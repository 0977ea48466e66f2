"""Checks whether two processes see the same files or objects: each reads what the other writes."""

import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from segflow.errors import OutputError
from segflow.io.storage.addresses import Address, Place
from segflow.io.storage.objects import read_object, remove_object, write_object

_HEAD = 2**16  # bytes of a file that are compared; headers of GeoTIFFs and models lie within
_PATIENCE = 5.0  # s until a file written elsewhere shows; network file systems remember folders for a while
_PAUSE = 0.1  # s between tries to read it


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHead:
    """Size [bytes] and digest of the first bytes of a file: enough to tell most files apart, and quick to read."""

    size: int
    digest: str

    def __str__(self) -> str:
        """Give size and digest for a message."""
        return f"{self.size} bytes, {self.digest[:12]}"


def file_head(path: str | os.PathLike[str]) -> FileHead:
    """Give the size and the digest of the first 64 KiB of a file.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with Path(path).open("rb") as stream:
        start = stream.read(_HEAD)
        return FileHead(size=os.fstat(stream.fileno()).st_size, digest=hashlib.sha256(start).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceProbe:
    """A file of random bytes in a place that others should see.

    Attributes
    ----------
    place, token
        The place, and the random part of its file's name.
    content
        The random bytes.
    """

    place: Place
    token: str
    content: bytes

    def holds(self, answer: str) -> bool:
        """Tell whether the file that `answer_probe` wrote elsewhere is here, with what it must hold."""
        path, deadline = _answer(self.place, self.token, answer), time.monotonic() + _PATIENCE
        while (found := _read(path)) is None and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        return found == _reply(self.content)


@contextmanager
def place_probe(place: Place) -> Iterator[PlaceProbe]:
    """Put a file of random bytes into a place, made if it is missing; it is gone after the block.

    Raises
    ------
    OutputError
        If the place cannot be made or written to.
    """
    probe = PlaceProbe(place=place, token=secrets.token_hex(8), content=secrets.token_bytes(64))
    path = _probe(place, probe.token)
    try:
        if isinstance(place, Path):
            place.mkdir(parents=True, exist_ok=True)
        _write(path, probe.content)
    except OutputError:
        raise
    except OSError as error:
        msg = f"{place} cannot be written to ({error.strerror}): check the disk space and the permissions"
        raise OutputError(msg) from error
    try:
        yield probe
    finally:
        _remove(path)
        if isinstance(place, Path):  # answers that were written after another one had failed
            for left in place.glob(f"{path.name}-*"):
                _remove(left)


def answer_probe(place: Place, token: str) -> str:
    """Read a probe that another process wrote and write an answer beside it; give the answer's name.

    Raises
    ------
    OSError
        If the probe is not there or cannot be read, or the answer cannot be written.
    """
    content = _read(_probe(place, token))
    if content is None:
        msg = f"cannot see what was just written to {place}"
        raise OutputError(msg)
    answer = secrets.token_hex(8)
    _write(_answer(place, token, answer), _reply(content))
    return answer


def remove_answer(place: Place, token: str, answer: str) -> None:
    """Remove what `answer_probe` wrote."""
    _remove(_answer(place, token, answer))


def _probe(place: Place, token: str) -> Place:
    return place / f".probe-{token}"


def _answer(place: Place, token: str, answer: str) -> Place:
    return place / f".probe-{token}-{answer}"


def _reply(content: bytes) -> bytes:
    """Give a digest of the probe, which only a process that has read it knows."""
    return hashlib.sha256(content).digest()


def _read(path: Place) -> bytes | None:
    """Give a file's content; None where it is not there."""
    if isinstance(path, Address):
        return read_object(path)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write(path: Place, content: bytes) -> None:
    if isinstance(path, Address):
        write_object(path, content)
    else:
        path.write_bytes(content)


def _remove(path: Place) -> None:
    if isinstance(path, Address):
        remove_object(path)
    else:
        path.unlink(missing_ok=True)
