"""The journal: what a run has done, on disk before it counts as done.

A file of JSON lines. The first line is the header, which says whose journal it is; each other line
is one tile with its checksum, or one stage with its record. Lines are appended and synced by one
writer (see `segflow.io.work.locks`). What follows a torn or damaged line does not count, and is cut off
when the journal is opened again.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from segflow.errors import OutputError
from segflow.io.storage.files import write_bytes
from segflow.io.work.json_lines import JsonLines, Record, read_lines, to_line


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

    def __init__(self, lines: JsonLines, records: list[Record]) -> None:
        self.path = lines.path
        self._lines = lines
        self.done: dict[int, str] = {record["tile"]: record["checksum"] for record in records if "tile" in record}
        self.stages: dict[str, Record] = {record["stage"]: record["record"] for record in records if "stage" in record}

    @classmethod
    def matches(cls, path: Path, header: Mapping[str, Any]) -> bool:
        """Tell whether a journal with this very header lies at `path`."""
        return read_lines(path, _check)[:1] == [_plain({"journal": header})]

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
                write_bytes(path, to_line({"journal": header}))
            return cls(*JsonLines.repair(path, _check, sync=True))
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise _unwritable(path, error) from error

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
        self._lines.close()

    def __enter__(self) -> Self:
        """Give the journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def _append(self, records: list[Record]) -> None:
        try:
            self._lines.append(records)
        except OSError as error:
            raise _unwritable(self.path, error) from error


def count_done(path: Path) -> int:
    """Give how many tiles a journal says are done, without opening it to write; 0 where there is none."""
    try:
        return len({record["tile"] for record in read_lines(path, _check) if "tile" in record})
    except OSError:
        return 0


def _plain(record: Mapping[str, Any]) -> Record:
    """Give a record as it reads back: tuples as lists, keys as text."""
    plain: Record = json.loads(to_line(record))
    return plain


def _check(record: Record) -> Record:
    """Give a line of the journal back.

    Raises
    ------
    ValueError
        If it is neither a header nor a tile with its checksum nor a stage with its record.
    """
    tile = isinstance(record.get("tile"), int) and isinstance(record.get("checksum"), str)
    stage = isinstance(record.get("stage"), str) and isinstance(record.get("record"), dict)
    if not (tile or stage or "journal" in record):
        msg = f"{record} is no line of a journal"
        raise ValueError(msg)
    return record


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: the journal cannot be kept ({error.strerror}): check free space and permissions")
