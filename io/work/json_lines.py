"""Files of JSON lines: one JSON object a line, appended whole.

A process that is killed leaves at most a torn last line, one without its line end. Readers leave it out, and who opens
the file to append cuts it off first. What a damaged line in the middle means is for the reader to say: it ends a
journal (`read_lines`), and is left out of a log (`read_sound_lines`).
"""

import errno
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from types import TracebackType
from typing import Any, Self, TypeVar

Record = dict[str, Any]  # what JSON can hold
Parsed = TypeVar("Parsed")

_BLOCK = 2**16  # bytes that are read at once while the last line end is looked for
_NOT_VALID = (ValueError, TypeError, KeyError)  # what the parser of a line raises on one that is damaged


class JsonLines:
    """A file that is open for appending, from any thread.

    Attributes
    ----------
    path
        The file.
    """

    def __init__(self, path: str | os.PathLike[str], *, sync: bool = False, shared: bool = False) -> None:
        """Open a file, made if missing with its folder, and cut off a torn last line.

        Parameters
        ----------
        path
            The file.
        sync
            Whether lines are on the disk when `append` returns.
        shared
            Whether other processes may append at the same time. Then nothing is ever cut off: a torn last line
            gets its line end, so that it does not spoil the next one.

        Raises
        ------
        OSError
            If it cannot be read or written.
        """
        self.path = Path(path)
        self._sync, self._shared = sync, shared
        self._writing = threading.Lock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._end_last_line()
        except OSError:
            self.close()
            raise

    @classmethod
    def repair(
        cls, path: str | os.PathLike[str], parse: Callable[[Record], Parsed], *, sync: bool
    ) -> tuple[Self, list[Parsed]]:
        """Open a file, cut it off at its first torn or damaged line, and give what the lines before hold.

        Parameters
        ----------
        path, sync
            As above.
        parse
            Gives what a record means; ValueError, TypeError or KeyError: the line is damaged.

        Raises
        ------
        OSError
            If it cannot be read or written.
        """
        lines = cls(path, sync=sync)
        try:
            found, length = _read(lines.path, parse)
            lines.cut(length)
        except OSError:
            lines.close()
            raise
        return lines, found

    def append(self, records: Iterable[Mapping[str, Any]], default: Callable[[Any], Any] | None = None) -> None:
        """Append a line for each record, all with one call of the operating system and one sync.

        Where that fails, the file of a single writer is cut back to what it held before.

        Parameters
        ----------
        records
            What the lines shall hold.
        default
            Gives something that JSON can hold for what it cannot.

        Raises
        ------
        OSError
            If the disk does not take them, or the file is closed (`errno.EBADF`).
        ValueError, TypeError
            If a record holds what JSON cannot; nothing is written then.
        """
        content = b"".join(to_line(record, default) for record in records)
        with self._writing:
            if self._descriptor < 0:
                raise OSError(errno.EBADF, "the file is closed")
            if content:
                self._write(content)

    def cut(self, length: int) -> None:
        """Cut the file off after `length` bytes; one that is no longer stays as it is."""
        if os.fstat(self._descriptor).st_size > length:
            os.ftruncate(self._descriptor, length)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with self._writing:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        """Give the file itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def _write(self, content: bytes) -> None:
        before = os.fstat(self._descriptor).st_size
        try:
            while content:
                content = content[os.write(self._descriptor, content) :]
            if self._sync:
                os.fsync(self._descriptor)
        except OSError:
            if not self._shared:
                with suppress(OSError):
                    self.cut(before)
            raise

    def _end_last_line(self) -> None:
        """Cut off a torn last line, or end it where the file is shared."""
        found = os.fstat(self._descriptor)
        if not S_ISREG(found.st_mode):  # a pipe, or the terminal
            return
        whole = _whole_length(self.path, found.st_size)
        if whole < found.st_size:
            if self._shared:
                self._write(b"\n")
            else:
                self.cut(whole)


def append_line(path: str | os.PathLike[str], record: Mapping[str, Any]) -> None:
    """Append one line to a file that nobody else writes to; a torn last line is cut off first.

    Raises
    ------
    OSError
        If it cannot be read or written.
    ValueError, TypeError
        If the record holds what JSON cannot.
    """
    with JsonLines(path) as lines:
        lines.append([record])


def read_lines(path: Path, parse: Callable[[Record], Parsed]) -> list[Parsed]:
    """Give what the lines of a file hold up to the first that is torn or damaged; nothing where there is no file.

    Parameters
    ----------
    path
        The file.
    parse
        As in `JsonLines.repair`.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    return _read(path, parse)[0]


def read_sound_lines(path: Path) -> list[Record]:
    """Give the records of all lines that are whole; torn and damaged ones are left out, a missing file is empty.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    return [record for record, _ in _records(path) if record is not None]


def to_line(record: Mapping[str, Any], default: Callable[[Any], Any] | None = None) -> bytes:
    """Give a record as a line of UTF-8.

    Raises
    ------
    ValueError, TypeError
        If it holds what JSON cannot, as NaN.
    """
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=default)
    return text.encode("utf-8", "backslashreplace") + b"\n"  # names of files that are no UTF-8 become JSON's \udcXX


def _read(path: Path, parse: Callable[[Record], Parsed]) -> tuple[list[Parsed], int]:
    """Give what the lines hold up to the first that is torn or damaged, and their length in bytes."""
    found: list[Parsed] = []
    length = 0
    for record, size in _records(path):
        if record is None:
            break
        try:
            found.append(parse(record))
        except _NOT_VALID:
            break
        length += size
    return found, length


def _records(path: Path) -> Iterator[tuple[Record | None, int]]:
    """Give the record of each line, None where it is torn or no JSON object, and the line's length in bytes."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for raw in file:
            yield _record(raw), len(raw)


def _record(raw: bytes) -> Record | None:
    if not raw.endswith(b"\n"):
        return None
    try:
        record = json.loads(raw.decode())
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _whole_length(path: Path, size: int) -> int:
    """Give the length of a file of `size` bytes up to its last line end."""
    if not size:
        return 0
    with path.open("rb") as file:
        end = size
        while end > 0:
            start = max(0, end - (1 if end == size else _BLOCK))  # most files end with one
            file.seek(start)
            at = file.read(end - start).rfind(b"\n")
            if at >= 0:
                return start + at + 1
            end = start
    return 0
