"""Stops a scene that is mapped in another thread at its next step."""

import threading
from typing import NoReturn

from segflow.flows.progress import Progress


class Stopped(BaseException):
    """The scene was stopped on request; not an `Exception`, so that no handler of errors catches it."""


class Stoppable:
    """Passes progress on to another receiver, and raises `Stopped` once `stop` is set.

    Every stage reports every step, so a thread can be stopped safely here: what is done is on disk,
    and the next run resumes from there.
    """

    def __init__(self, progress: Progress, stop: threading.Event) -> None:
        self._progress, self._stop = progress, stop

    def start(self, stage: str, total: int, unit: str) -> None:
        """Pass the start of the stage on, or raise `Stopped`."""
        self._look()
        self._progress.start(stage, total, unit)

    def advance(self, amount: int) -> None:
        """Pass the amount on, or raise `Stopped`."""
        self._look()
        self._progress.advance(amount)

    def finish(self) -> None:
        """Pass the end of the stage on; a stage that is done is never stopped."""
        self._progress.finish()

    def note(self, message: str) -> None:
        """Pass the message on, or raise `Stopped`."""
        self._look()
        self._progress.note(message)

    def event(self, name: str, **fields: object) -> None:
        """Pass the event on."""
        self._progress.event(name, **fields)

    def _look(self) -> None:
        if self._stop.is_set():
            _stop()


def _stop() -> NoReturn:
    msg = "told to stop"
    raise Stopped(msg)
