"""Stopping a scene that is mapped in another thread: it ends at its next step."""

import threading
from typing import NoReturn

from segflow.flows.progress import Progress


class Stopped(BaseException):
    """The scene was told to stop; no failure, so nothing may catch it as one."""


class Stoppable:
    """Hands on what it hears, and raises `Stopped` there once `stop` is set.

    Every stage tells of every step, so this is where a thread can be stopped safely: what is done is on disk,
    and the next run goes on from there.
    """

    def __init__(self, progress: Progress, stop: threading.Event) -> None:
        self._progress, self._stop = progress, stop

    def start(self, stage: str, total: int, unit: str) -> None:
        """Hand it on, or stop."""
        self._look()
        self._progress.start(stage, total, unit)

    def advance(self, amount: int) -> None:
        """Hand it on, or stop."""
        self._look()
        self._progress.advance(amount)

    def finish(self) -> None:
        """Hand it on; an ending is never stopped."""
        self._progress.finish()

    def note(self, message: str) -> None:
        """Hand it on, or stop."""
        self._look()
        self._progress.note(message)

    def event(self, name: str, **fields: object) -> None:
        """Hand it on."""
        self._progress.event(name, **fields)

    def _look(self) -> None:
        if self._stop.is_set():
            _stop()


def _stop() -> NoReturn:
    msg = "told to stop"
    raise Stopped(msg)
