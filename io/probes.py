"""Whether two processes see the same files: written and read, both ways."""

import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from segflow.errors import OutputError

_HEAD = 2**16  # bytes of a file that are compared; headers of GeoTIFFs and models lie within
_PATIENCE = 5.0  # s until a file written elsewhere shows; network file systems remember folders for a while
_PAUSE = 0.1  # s between looks


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHead:
    """What tells two files apart at a glance: size [bytes] and digest of the first bytes."""

    size: int
    digest: str

    def __str__(self) -> str:
        """Give both in few words."""
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
class FolderProbe:
    """A file of random bytes in a folder that others should see.

    Attributes
    ----------
    folder, token
        The folder, and the word that its file is named by.
    content
        The random bytes.
    """

    folder: Path
    token: str
    content: bytes

    def holds(self, answer: str) -> bool:
        """Tell whether the file that `answer_probe` wrote elsewhere is here, with what it must hold."""
        path, deadline = _answer_path(self.folder, self.token, answer), time.monotonic() + _PATIENCE
        while True:
            try:
                return path.read_bytes() == _reply(self.content)
            except OSError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(_PAUSE)


@contextmanager
def folder_probe(folder: str | os.PathLike[str]) -> Iterator[FolderProbe]:
    """Put a file of random bytes into a folder, made if it is missing; it and all answers are gone after the block.

    Raises
    ------
    OutputError
        If the folder cannot be made or written to.
    """
    probe = FolderProbe(folder=Path(folder), token=secrets.token_hex(8), content=secrets.token_bytes(64))
    path = _probe_path(probe.folder, probe.token)
    try:
        probe.folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(probe.content)
    except OSError as error:
        msg = f"{folder} cannot be written to ({error.strerror}): check the disk space and the permissions"
        raise OutputError(msg) from error
    try:
        yield probe
    finally:
        for left in (path, *probe.folder.glob(f"{path.name}-*")):
            left.unlink(missing_ok=True)


def answer_probe(folder: str, token: str) -> str:
    """Read a probe that another process wrote and write an answer beside it; give the answer's name.

    Raises
    ------
    OSError
        If the probe cannot be read or the answer not be written.
    """
    content, answer = _probe_path(Path(folder), token).read_bytes(), secrets.token_hex(8)
    _answer_path(Path(folder), token, answer).write_bytes(_reply(content))
    return answer


def _probe_path(folder: Path, token: str) -> Path:
    return folder / f".probe-{token}"


def _answer_path(folder: Path, token: str, answer: str) -> Path:
    return folder / f".probe-{token}-{answer}"


def _reply(content: bytes) -> bytes:
    """Give what proves that the probe was read."""
    return hashlib.sha256(content).digest()
