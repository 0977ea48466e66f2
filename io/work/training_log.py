"""The log of a training: a folder with one JSON object per line in `log.jsonl`.

Events are ``start``, ``step``, ``epoch`` and ``end``. A training that starts anew over an earlier
one moves what that left into the folder `previous`, where one training is kept: logs never mix,
and a forgotten --resume costs nothing.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from segflow.errors import OutputError

FILE = "log.jsonl"
REFIT = "refit"  # folder of the training on all scenes that follows, where one is asked for
_TRACES = (FILE, REFIT, "*.ckpt", "*.part", "events.out.tfevents.*", "hparams.yaml", "training.html")
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
        """Start an empty log; what an earlier training left in `folder` moves to its folder `previous`.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            left = [path for pattern in _TRACES for path in sorted(folder.glob(pattern))]
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
        """Forget what came after an epoch: the training that wrote it did not live to its next checkpoint.

        Raises
        ------
        OutputError
            If the log cannot be written.
        """
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        events = [_parse(line) for line in lines]
        ends = [i for i, event in enumerate(events) if event.get("event") == "epoch" and event.get("epoch") == epoch]
        kept = [line for line, event in zip(lines[: ends[-1] + 1] if ends else [], events, strict=False) if event]
        part = self._path.with_suffix(".part")
        try:
            part.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
            part.replace(self._path)
        except OSError as error:
            raise _refused(self._path.parent, error) from error

    def write(self, event: str, **values: object) -> None:
        """Append an event.

        Raises
        ------
        OutputError
            If the log cannot be written.
        """
        line = json.dumps({"event": event, **values}, ensure_ascii=False, allow_nan=False)
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
        except OSError as error:
            raise _refused(self._path.parent, error) from error


def read_training_log(folder: Path) -> list[Mapping[str, Any]]:
    """Give the events of a log in their order; a torn last line is left out, a missing log is empty."""
    try:
        lines = (folder / FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [event for event in map(_parse, lines) if event]


def _parse(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _refused(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"{folder}: the training log cannot be written ({error.strerror}): set `logs` to another folder")
