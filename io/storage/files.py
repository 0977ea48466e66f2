"""Files that are whole or not there: written beside their place, synced, then renamed.

Whatever segflow puts in place goes through `replace_file` (a file that a library writes), `write_text`, `write_bytes`
or `replace_link`. A process that is killed, or a disk that is full, leaves the file that was there before.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segflow.errors import OutputError, SegflowError
from segflow.io.storage.leftovers import remove_leftovers, remove_temporary, temporary_path


@contextmanager
def replace_file(path: str | os.PathLike[str], *, sync: bool = True) -> Iterator[Path]:
    """Give a temporary path to write to; once the block is left, the file stands at `path`.

    Of several writers of one `path` the last one counts, and each file is whole.

    Parameters
    ----------
    path
        Where the file shall stand.
    sync
        Whether file and name are on the disk when the block is left. Without, a power cut may leave an empty
        file: for notes that are made again at little cost.

    Raises
    ------
    OutputError
        If the file cannot be written, synced or renamed. Then `path` is as it was.
    """
    target = Path(path)
    with temporary_beside(target) as temporary, _output_errors(target):
        yield temporary
        _put(temporary, target, sync=sync)


@contextmanager
def temporary_beside(path: str | os.PathLike[str], step: str = "part") -> Iterator[Path]:
    """Give the path of a file that is gone after the block, in the folder of `path`.

    The name is hidden, keeps the suffix and is used once. What killed processes left under such names in the folder
    is removed first.

    Parameters
    ----------
    path
        The product that the file is a step to.
    step
        What the file is for, in lower-case letters; part of the temporary name.
    """
    target = Path(path)
    remove_leftovers(target.parent.absolute())
    temporary = temporary_path(target, step)
    try:
        yield temporary
    finally:
        remove_temporary(temporary)


def write_text(path: str | os.PathLike[str], text: str, *, sync: bool = True) -> None:
    """Write a UTF-8 text file that is whole or not there; its folder is made if it is missing.

    `sync` and errors are those of `replace_file`.
    """
    write_bytes(path, text.encode(), sync=sync)


def write_bytes(path: str | os.PathLike[str], content: bytes, *, sync: bool = True) -> None:
    """Write a file that is whole or not there; its folder is made if it is missing.

    `sync` and errors are those of `replace_file`.
    """
    with _output_errors(Path(path)):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path, sync=sync) as temporary:
        temporary.write_bytes(content)


def replace_link(path: Path, target: Path) -> None:
    """Let the symbolic link `path` lead to `target`, in one step.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    with temporary_beside(path) as temporary, _output_errors(path):
        temporary.symlink_to(target)
        _put(temporary, path, sync=True)


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Give the SHA-256 of a file's content as 64 hex digits, read in bounded memory.

    Raises
    ------
    OutputError
        If the file cannot be read.
    """
    with _output_errors(Path(path), "be read"), Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_size(path: Path) -> int | None:
    """Give the size of a file [bytes]; None where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return None


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


def remove_file(path: Path) -> None:
    """Remove a file if it is there.

    Raises
    ------
    OutputError
        If it cannot be removed.
    """
    with _output_errors(path, "be removed"):
        path.unlink(missing_ok=True)


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


def _put(temporary: Path, target: Path, *, sync: bool) -> None:
    """Give a finished file its name, once its content is on the disk."""
    if sync and not temporary.is_symlink():  # a link has no content
        _sync(temporary)
    temporary.replace(target)
    if sync:
        _sync(target.parent)


def _sync(path: Path) -> None:
    """Make sure that a file's content, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
