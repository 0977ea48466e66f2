"""A shelf of models: the one in use, those before it, and a ledger of how that came about.

::

    SHELF/current.safetensors   a link to the model in use; it changes in one step
    SHELF/models/               every model, named by its digest, never changed
    SHELF/ledger.jsonl          a line per event: trained, compared, put into use, taken back
    SHELF/work/KEY/             logs and checkpoints of one training

The ledger decides which model is in use: a line is on disk before the link changes, and if a process is killed in
between, the next one that opens the shelf changes the link. A run opens the file that the link leads to once, so a
promotion while it runs changes nothing for it.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from segflow.errors import OutputError
from segflow.io.models.packages import model_digest
from segflow.io.storage.files import replace_file, replace_link
from segflow.io.work.json_lines import JsonLines, read_lines
from segflow.io.work.locks import output_lock

CURRENT = "current.safetensors"
_MODELS, _LEDGER, _WORK, _LOCK = "models", "ledger.jsonl", "work", ".lock"
_DIGITS = 16  # of a digest in a file's name

Entry = dict[str, Any]  # what JSON can hold; `in_use` names the model that is in use from then on


class ModelShelf:
    """A shelf of models in a folder; `open` gives it to one writer at a time.

    Attributes
    ----------
    folder
        Where it lies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[Self]:
        """Make the folder if it is missing, hold its lock, and repair what a killed process left.

        Raises
        ------
        OutputBusyError
            If another process holds it.
        OutputError
            If it cannot be written.
        """
        shelf = cls(folder)
        with output_lock(folder / _LOCK):
            if shelf._ledger.is_file():
                with shelf._open_ledger():  # cuts off a torn last line
                    pass
            shelf._link(shelf.in_use)
            yield shelf

    @property
    def current(self) -> Path:
        """The link to the model in use, whether there is one or not."""
        return self.folder / CURRENT

    @property
    def in_use(self) -> str | None:
        """Name of the model in use; None while there is none."""
        named = [entry["in_use"] for entry in self.entries() if "in_use" in entry]
        return named[-1] if named else None

    def path(self, name: str) -> Path:
        """Give the file of a model by its name."""
        return self.folder / _MODELS / name

    def work(self, key: str) -> Path:
        """Give the folder of one training."""
        return self.folder / _WORK / key

    def entries(self) -> list[Entry]:
        """Give the whole lines of the ledger, the oldest first.

        Raises
        ------
        OutputError
            If it cannot be read.
        """
        try:
            return read_lines(self._ledger, dict)
        except OSError as error:
            raise _unwritable(self._ledger, error) from error

    def place(self, model: Path) -> str:
        """Keep a model; give its name, the same for the same content.

        Raises
        ------
        ModelError
            If it cannot be read.
        OutputError
            If it cannot be written.
        """
        digest = model_digest(model)
        name = f"{digest.removeprefix('sha256:')[:_DIGITS]}.safetensors"
        target = self.path(name)
        if not target.is_file():
            _make(target.parent)
            with replace_file(target) as temporary:
                shutil.copyfile(model, temporary)
                model_digest(temporary, expected=digest)
        return name

    def record(self, event: str, fields: Mapping[str, Any]) -> None:
        """Write a line into the ledger, on disk before this returns; `in_use` among the fields moves the link.

        Raises
        ------
        OutputError
            If the disk does not take it.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._open_ledger() as lines:
            lines.append([{"time": now, "event": event, **fields}])
        self._link(self.in_use)

    def _link(self, name: str | None) -> None:
        """Let the link lead to a model; without a name, nothing is done."""
        target = Path(_MODELS, name) if name is not None else None
        if target is None or (self.current.is_symlink() and self.current.readlink() == target):
            return
        replace_link(self.current, target)

    @contextmanager
    def _open_ledger(self) -> Iterator[JsonLines]:
        """Open the ledger to append; a torn last line is cut off."""
        try:
            lines, _ = JsonLines.repair(self._ledger, dict, sync=True)
            with lines:
                yield lines
        except OSError as error:
            raise _unwritable(self._ledger, error) from error

    @property
    def _ledger(self) -> Path:
        return self.folder / _LEDGER


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path} cannot be kept ({error.strerror}): check the disk space and the permissions")
