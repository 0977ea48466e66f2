"""What a long stage tells whoever watches it."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable


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


@runtime_checkable
class ScenesProgress(Progress, Protocol):
    """Progress that can follow many scenes, side by side."""

    def scene(self, name: str, *, several: bool) -> AbstractContextManager[Progress]:
        """Give the progress of one scene; `several` says whether it is one of many."""


class NamedNotes(Silence):
    """Hands on what one of many scenes notes, with its name; its stages are left out, since others run beside them."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress, self._name = progress, name

    def note(self, message: str) -> None:
        """Hand it on with the scene's name, unless the message names it."""
        self._progress.note(message if self._name in message else f"{self._name}: {message}")

    def event(self, name: str, **fields: object) -> None:
        """Hand it on with the scene's name."""
        self._progress.event(name, **{"scene": self._name, **fields})


@contextmanager
def scene_progress(progress: Progress, name: str, *, several: bool) -> Iterator[Progress]:
    """Give what follows one scene: its own where `progress` can do that, else `progress` for one scene alone."""
    if isinstance(progress, ScenesProgress):
        with progress.scene(name, several=several) as own:
            yield own
    elif several:
        yield NamedNotes(progress, name)
    else:
        yield progress


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
