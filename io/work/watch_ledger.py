"""What a watch has done: a file of JSON lines, one for each time that a scene's file was handled.

The last line of a path counts.

One writer at a time (see `segflow.io.work.locks`).
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from segflow.errors import OutputError
from segflow.io.work.json_lines import JsonLines, Record

Stamp = tuple[int, int, int]  # size [bytes], time of change [ns], inode
What = Literal["mapped", "same", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """The outcome for one file.

    Attributes
    ----------
    path, stamp
        The file, with its size, time of change and inode.
    digest
        Its content.
    what
        ``mapped``; ``same``: another file with this content was mapped; ``failed``.
    name
        Name of the scene whose products hold its map.
    model
        Digest of the model.
    tries
        How often it failed.
    message
        What went wrong.
    time
        When that was [s since 1970].
    """

    path: str
    stamp: Stamp
    digest: str
    what: What
    name: str
    model: str
    tries: int = 0
    message: str = ""
    time: float = 0.0


class WatchLedger:
    """An open ledger.

    Attributes
    ----------
    files
        Last entry by path.
    mapped
        Entry of the file that was mapped, by digest.
    """

    def __init__(self, path: Path) -> None:
        """Open the ledger, made if missing.

        Raises
        ------
        OutputError
            If it cannot be read or written.
        """
        self.path = path
        self.files: dict[str, LedgerEntry] = {}
        self.mapped: dict[str, LedgerEntry] = {}
        try:
            self._lines, entries = JsonLines.repair(path, _entry, sync=True)
        except OSError as error:
            raise self._unusable(error) from error
        for entry in entries:
            self._take(entry)

    def record(self, entry: LedgerEntry) -> None:
        """Write down the outcome for a file; it is on the disk when this returns.

        Raises
        ------
        OutputError
            If the disk does not take it.
        """
        try:
            self._lines.append([asdict(entry)])
        except OSError as error:
            raise self._unusable(error) from error
        self._take(entry)

    def _take(self, entry: LedgerEntry) -> None:
        self.files[entry.path] = entry
        if entry.what == "mapped":
            self.mapped[entry.digest] = entry

    def _unusable(self, error: OSError) -> OutputError:
        return OutputError(f"{self.path}: the ledger cannot be kept ({error.strerror}): check space and permissions")

    def __enter__(self) -> Self:
        """Give the ledger itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._lines.close()


def _entry(fields: Record) -> LedgerEntry:
    size, changed, inode = fields["stamp"]
    return LedgerEntry(**{**fields, "stamp": (size, changed, inode)})
