"""A log of events: one line of JSON each, on disk when it is written, from any thread."""

import errno
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from segflow.errors import OutputError
from segflow.io.work.json_lines import JsonLines

KEYS = ("time", "event", "scene", "tile", "worker", "message")  # of every line, null where they say nothing


class EventLog:
    """An open log.

    Lines are appended whole, each with one call of the operating system, so that several processes may write
    to one file.

    Attributes
    ----------
    path
        Its file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the log, made if missing with its folder.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        self.path = Path(path)
        try:
            self._lines = JsonLines(self.path, shared=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def write(self, event: str, **fields: object) -> None:
        """Append a line: time, event, scene, tile, worker, message, and whatever else is known.

        Raises
        ------
        OutputError
            If the disk does not take it.
        """
        known = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
        record = {**dict.fromkeys(KEYS), **known}
        try:
            self._lines.append([record], default=str)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise self._unwritable(error) from error

    def close(self) -> None:
        """Close the file; what is written later is lost."""
        self._lines.close()

    def __enter__(self) -> Self:
        """Give the log itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def _unwritable(self, error: OSError) -> OutputError:
        reason = error.strerror or error
        return OutputError(f"log {self.path} cannot be written ({reason}): choose another file with --log-json")
