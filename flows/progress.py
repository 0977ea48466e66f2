"""What a long stage tells whoever watches it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Receives the progress of a run; the command line draws it, tests and flows may record it."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """Hear that a stage begins which has `total` units of work, ``px`` or ``polygons``, say."""

    def advance(self, amount: int) -> None:
        """Hear that `amount` more units of the current stage are done."""

    def finish(self) -> None:
        """Hear that the current stage is done."""

    def note(self, message: str) -> None:
        """Hear of something worth a line: a warning, a resumed run."""

    def event(self, name: str, **fields: object) -> None:
        """Hear that something happened which only a log wants: a tile that is done, say, with its scene and worker."""


class Silence:
    """Progress that nobody watches."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """Ignore it."""

    def advance(self, amount: int) -> None:
        """Ignore it."""

    def finish(self) -> None:
        """Ignore it."""

    def note(self, message: str) -> None:
        """Ignore it."""

    def event(self, name: str, **fields: object) -> None:
        """Ignore it."""


@contextmanager
def stage(progress: Progress, name: str, total: int, unit: str = "px") -> Iterator[None]:
    """Show one stage from its start to its end."""
    progress.start(name, total, unit)
    try:
        yield
    finally:
        progress.finish()


class Stopwatch:
    """Measures stages of one run.

    Attributes
    ----------
    seconds
        Wall time by stage, in the order in which they ran [s].
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Measure a stage."""
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started
