"""The journal: what a run has done, on disk before it counts as done.

A file of JSON lines. The first line is the header, which says whose journal it is; each other line
is one tile with its checksum, or one stage with its record. Lines are appended and synced by one
writer (see `segflow.io.work.locks`). A process that is killed leaves at most a torn last line, which is
cut off when the journal is opened again.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from segflow.errors import OutputError

Record = dict[str, Any]  # what JSON can hold


class Journal:
    """An open journal.

    Attributes
    ----------
    path
        Its file.
    done
        Checksum of every tile that is done, by the tile's index.
    stages
        Record of every stage that is done, by the stage's name.
    """

    def __init__(self, path: Path, descriptor: int, lines: list[Record]) -> None:
        self.path = path
        self._descriptor = descriptor
        self.done: dict[int, str] = {line["tile"]: line["checksum"] for line in lines if "tile" in line}
        self.stages: dict[str, Record] = {line["stage"]: line["record"] for line in lines if "stage" in line}

    @classmethod
    def matches(cls, path: Path, header: Mapping[str, Any]) -> bool:
        """Tell whether a journal with this very header lies at `path`."""
        lines, _ = _read(path)
        return bool(lines) and lines[0] == _plain({"journal": header})

    @classmethod
    def open(cls, path: Path, header: Mapping[str, Any]) -> Self:
        """Go on with the journal at `path`, or start a new one if it is missing or has another header.

        Raises
        ------
        OutputError
            If the file cannot be read or written.
        """
        try:
            if not cls.matches(path, header):
                _start(path, header)
            lines, length = _read(path)
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            os.ftruncate(descriptor, length)
        except OSError as error:
            raise _unwritable(path, error) from error
        return cls(path, descriptor, lines[1:])

    def record_tile(self, index: int, checksum: str) -> None:
        """Write down that tile `index` is done."""
        self.record_tiles([(index, checksum)])

    def record_tiles(self, tiles: Iterable[tuple[int, str]]) -> None:
        """Write down that tiles are done, with one sync for all of them.

        Raises
        ------
        OutputError
            If the disk does not take it.
        """
        tiles = list(tiles)
        self._append([{"tile": int(index), "checksum": checksum} for index, checksum in tiles])
        self.done.update({int(index): checksum for index, checksum in tiles})

    def record_stage(self, name: str, record: Mapping[str, Any]) -> None:
        """Write down that a stage is done, with what the next run must know of it.

        Raises
        ------
        OutputError
            If the disk does not take it.
        """
        self._append([{"stage": name, "record": dict(record)}])
        self.stages[name] = _plain(record)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        """Give the journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def _append(self, lines: list[Record]) -> None:
        if not lines:
            return
        try:
            _write_all(self._descriptor, "".join(map(_line, lines)).encode())
            os.fsync(self._descriptor)
        except OSError as error:
            raise _unwritable(self.path, error) from error


def count_done(path: Path) -> int:
    """Give how many tiles a journal says are done, without opening it to write; 0 where there is none."""
    try:
        lines, _ = _read(path)
    except OSError:
        return 0
    return len({line["tile"] for line in lines if "tile" in line})


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":")) + "\n"


def _plain(record: Mapping[str, Any]) -> Record:
    """Give a record as it reads back: tuples as lists, keys as text."""
    plain: Record = json.loads(_line(record))
    return plain


def _read(path: Path) -> tuple[list[Record], int]:
    """Give the whole lines of a journal and their length in bytes; stop at the first torn one."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    lines: list[Record] = []
    length = 0
    for raw in content.splitlines(keepends=True):
        record = _parse(raw)
        if record is None:
            break
        lines.append(record)
        length += len(raw)
    return lines, length


def _parse(raw: bytes) -> Record | None:
    if not raw.endswith(b"\n"):
        return None
    try:
        record = json.loads(raw)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    tile = isinstance(record.get("tile"), int) and isinstance(record.get("checksum"), str)
    stage = isinstance(record.get("stage"), str) and isinstance(record.get("record"), dict)
    return record if tile or stage or "journal" in record else None


def _start(path: Path, header: Mapping[str, Any]) -> None:
    """Put a journal with nothing but its header in place, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        _write_all(descriptor, _line({"journal": header}).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: the journal cannot be kept ({error.strerror}): check free space and permissions")
