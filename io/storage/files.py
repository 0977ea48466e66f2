"""Files that are whole or not there: written beside their place, synced, then renamed."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segflow.errors import OutputError, SegflowError

_COMPANIONS = ("-journal", "-wal", "-shm", ".aux.xml", ".ovr", ".ovr.tmp", ".msk", ".msk.ovr.tmp")  # SQLite's, GDAL's


@contextmanager
def replace_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path to write to; once the block is left, the file stands at `path`.

    The temporary name is hidden, keeps the suffix and is always the same, so that what a
    killed run left is found and removed by the next one. One writer at a time per `path`.

    Raises
    ------
    OutputError
        If the file cannot be written, synced or renamed. Then `path` is as it was.
    """
    target = Path(path)
    with temporary_beside(target) as temporary, _output_errors(target):
        yield temporary
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)


@contextmanager
def temporary_beside(path: str | os.PathLike[str], step: str = "part") -> Iterator[Path]:
    """Give the path of a file that is gone after the block, in the folder of `path`.

    Parameters
    ----------
    path
        The product that the file is a step to.
    step
        Part of the temporary name: ``.NAME.STEP.SUFFIX``.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.stem}.{step}{target.suffix}")
    _remove(temporary)
    try:
        yield temporary
    finally:
        _remove(temporary)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 text file that is whole or not there; its folder is made if it is missing.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file that is whole or not there; its folder is made if it is missing.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with _output_errors(Path(path)):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as temporary:
        temporary.write_bytes(content)


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Give the SHA-256 of a file's content as 64 hex digits, read in bounded memory.

    Raises
    ------
    OutputError
        If the file cannot be read.
    """
    with _output_errors(Path(path), "be read"), Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_writable(folder: str | os.PathLike[str]) -> None:
    """Make a folder if it is missing, and see whether files can be written there.

    Raises
    ------
    OutputError
        If the folder cannot be made or written to.
    """
    with _output_errors(Path(folder)):
        Path(folder).mkdir(parents=True, exist_ok=True)
        with temporary_beside(Path(folder) / "writable") as probe:
            probe.write_bytes(b"\0")


def remove_folder(folder: str | os.PathLike[str]) -> None:
    """Remove a folder with all that it holds, if it is there.

    Raises
    ------
    OutputError
        If it cannot be removed.
    """
    with _output_errors(Path(folder), "be removed"):
        if Path(folder).exists():
            shutil.rmtree(folder)


@contextmanager
def _output_errors(path: Path, verb: str = "be written") -> Iterator[None]:
    """Turn errors of the operating system into one line that names the file."""
    try:
        yield
    except SegflowError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        msg = f"{path} cannot {verb} ({reason}): check the disk space and the permissions"
        raise OutputError(msg) from error


def _remove(path: Path) -> None:
    """Remove a temporary file with what SQLite and GDAL put beside it; errors come when it is written."""
    for companion in ("", *_COMPANIONS):
        with suppress(OSError):
            path.with_name(path.name + companion).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Make sure that a file's content, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
