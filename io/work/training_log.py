"""The log of a training: a folder with one JSON object per line in `log.jsonl`.

Events are ``start``, ``step``, ``epoch`` and ``end``. A training that starts anew over an earlier
one moves the files of that one into the folder `previous`, which keeps one training: logs never mix,
and a forgotten --resume loses nothing.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from segflow.errors import OutputError
from segflow.io.storage.files import write_bytes
from segflow.io.work.json_lines import append_line, read_sound_lines, to_line

FILE = "log.jsonl"
REFIT = "refit"  # folder of the training on all scenes that follows, where one is asked for
_FILES = (FILE, REFIT, "*.ckpt", "events.out.tfevents.*", "hparams.yaml", "training.html")
_PREVIOUS = "previous"


class TrainingLog:
    """A log that events are appended to.

    Parameters
    ----------
    folder
        Where it lies.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    @classmethod
    def begin(cls, folder: Path) -> Self:
        """Start an empty log; files of an earlier training in `folder` move to its folder `previous`.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            left = [path for pattern in _FILES for path in sorted(folder.glob(pattern))]
            if left:
                shutil.rmtree(folder / _PREVIOUS, ignore_errors=True)
                (folder / _PREVIOUS).mkdir()
                for path in left:
                    path.replace(folder / _PREVIOUS / path.name)
            (folder / FILE).touch()
        except OSError as error:
            raise _refused(folder, error) from error
        return cls(folder)

    def rewind(self, epoch: int) -> None:
        """Remove the events after an epoch, the last one with a checkpoint: the training goes on from there.

        Raises
        ------
        OutputError
            If the log cannot be written.
        """
        try:
            events = read_sound_lines(self._path)
        except OSError as error:
            raise _refused(self._path.parent, error) from error
        ends = [i for i, event in enumerate(events) if event.get("event") == "epoch" and event.get("epoch") == epoch]
        write_bytes(self._path, b"".join(map(to_line, events[: ends[-1] + 1] if ends else [])))

    def write(self, event: str, **values: object) -> None:
        """Append an event.

        Raises
        ------
        OutputError
            If the log cannot be written.
        """
        try:
            append_line(self._path, {"event": event, **values})
        except OSError as error:
            raise _refused(self._path.parent, error) from error


def read_training_log(folder: Path) -> list[Mapping[str, Any]]:
    """Give the events of a log in their order; torn and damaged lines are left out, a missing log is empty."""
    try:
        return [*read_sound_lines(folder / FILE)]
    except OSError:
        return []


def _refused(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"{folder}: the training log cannot be written ({error.strerror}): set `logs` to another folder")
