"""Progress that is also written down: one line of JSON per event."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from segflow.flows.progress import Progress, Silence, scene_progress
from segflow.io.work.event_log import EventLog

WARNING = "warning: "  # what a note begins with that is one


class LoggedProgress:
    """Hands on what it hears, and writes it into a log.

    Stages become the events ``stage`` and ``stage_done``, notes ``note`` and ``warning``; steps within a stage are
    not written: tiles have an event of their own.
    """

    def __init__(self, log: EventLog, inner: Progress | None = None, scene: str | None = None) -> None:
        self._log = log
        self._inner = inner or Silence()
        self._scene = scene
        self._stage, self._unit = "", ""
        self._done = 0
        self._started = 0.0

    def start(self, stage: str, total: int, unit: str) -> None:
        """Write that a stage begins."""
        self._stage, self._unit, self._done, self._started = stage, unit, 0, time.monotonic()
        self._log.write("stage", scene=self._scene, stage=stage, total=total, unit=unit)
        self._inner.start(stage, total, unit)

    def advance(self, amount: int) -> None:
        """Count; nothing is written."""
        self._done += amount
        self._inner.advance(amount)

    def finish(self) -> None:
        """Write that the stage is over, how much of it was done and what it took."""
        seconds = round(time.monotonic() - self._started, 3)
        self._log.write(
            "stage_done", scene=self._scene, stage=self._stage, done=self._done, unit=self._unit, seconds=seconds
        )
        self._inner.finish()

    def note(self, message: str) -> None:
        """Write a note or a warning."""
        kind = "warning" if message.startswith(WARNING) else "note"
        self._log.write(kind, scene=self._scene, message=message.removeprefix(WARNING))
        self._inner.note(message)

    def event(self, name: str, **fields: object) -> None:
        """Write an event; of this scene, unless it says another."""
        self._log.write(name, **{"scene": self._scene, **fields})
        self._inner.event(name, **fields)

    @contextmanager
    def scene(self, name: str, *, several: bool) -> Iterator[Progress]:
        """Give the progress of one scene among others: its lines name it."""
        with scene_progress(self._inner, name, several=several) as inner:
            yield LoggedProgress(self._log, inner, name)


@contextmanager
def log_events(path: str | None, progress: Progress) -> Iterator[Progress]:
    """Give progress that is written to a log too, where there is to be one.

    Raises
    ------
    OutputError
        If the log cannot be written.
    """
    if path is None:
        yield progress
        return
    with EventLog(path) as log:
        yield LoggedProgress(log, progress)
