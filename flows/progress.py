"""Progress of long stages: the interface that a run reports to, and simple receivers of it."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable


class Progress(Protocol):
    """Receives the progress of a run; the command line draws it, tests and flows may record it."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """Receive the start of a stage with `total` units of work; `unit` is ``px`` or ``polygons``, for example."""

    def advance(self, amount: int) -> None:
        """Receive that `amount` more units of the current stage are done."""

    def finish(self) -> None:
        """Receive that the current stage is done."""

    def note(self, message: str) -> None:
        """Receive a message for the user, such as a warning or that a run is resumed."""

    def event(self, name: str, **fields: object) -> None:
        """Receive an event for logs only, such as a tile that is done, with its scene and worker."""


class Silence:
    """A receiver that shows and records nothing."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """Do nothing when a stage starts."""

    def advance(self, amount: int) -> None:
        """Do nothing when units of work are done."""

    def finish(self) -> None:
        """Do nothing when a stage is done."""

    def note(self, message: str) -> None:
        """Drop the message."""

    def event(self, name: str, **fields: object) -> None:
        """Drop the event."""


@runtime_checkable
class ScenesProgress(Progress, Protocol):
    """A receiver that can show several scenes at the same time."""

    def scene(self, name: str, *, several: bool) -> AbstractContextManager[Progress]:
        """Open the receiver of one scene; `several` says whether the run maps more than one."""


class NamedNotes(Silence):
    """Passes messages and events of one of many scenes on with the scene's name.

    Its stages are not passed on, because stages of other scenes run at the same time.
    """

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress, self._name = progress, name

    def note(self, message: str) -> None:
        """Pass the message on, preceded by the scene's name unless it contains that name."""
        self._progress.note(message if self._name in message else f"{self._name}: {message}")

    def event(self, name: str, **fields: object) -> None:
        """Pass the event on with the scene's name as the field ``scene``."""
        self._progress.event(name, **{"scene": self._name, **fields})


@contextmanager
def scene_progress(progress: Progress, name: str, *, several: bool) -> Iterator[Progress]:
    """Open the receiver for one scene.

    It is the scene's own if `progress` can show several scenes, `NamedNotes` if `several` scenes share one that
    cannot, and otherwise `progress` itself.
    """
    if isinstance(progress, ScenesProgress):
        with progress.scene(name, several=several) as own:
            yield own
    elif several:
        yield NamedNotes(progress, name)
    else:
        yield progress


@contextmanager
def stage(progress: Progress, name: str, total: int, unit: str = "px") -> Iterator[None]:
    """Report one stage to `progress`, from its start to its end."""
    progress.start(name, total, unit)
    try:
        yield
    finally:
        progress.finish()


class Stopwatch:
    """Measures the wall time of the stages of a run.

    Attributes
    ----------
    seconds
        Wall time by stage, in the order in which they ran [s].
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Measure the wall time of one stage."""
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started
