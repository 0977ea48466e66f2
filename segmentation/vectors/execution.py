"""What the caller of vectorising provides: blocks to read, workers that run tasks, and a watcher of the progress.

Steps that run in workers are module-level functions of one task. Tasks and results are pickled where workers are
other processes, so a task holds values and sources that open their files when they are read, never open files.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from segflow.segmentation.vectors.blocks import Block
from segflow.tiling import Grid, Window

Task = TypeVar("Task")
Result = TypeVar("Result")


class BlockSource(Protocol):
    """A class raster with its confidence, read block by block; picklable."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def grid(self) -> Grid:
        """The scene's grid."""

    def windows(self) -> Iterator[Window]:
        """Give the windows of all blocks, in row-major order."""

    def read(self, window: Window) -> Block:
        """Read one block."""


class Workers(Protocol):
    """Runs one function on many tasks."""

    def run(self, call: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Give the results of all tasks, in the order of the tasks."""


class SerialWorkers:
    """Runs tasks one after the other in this process."""

    def run(self, call: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Give the results of all tasks, in the order of the tasks."""
        return map(call, tasks)


class Watcher(Protocol):
    """Receives the progress of a long stage."""

    def advance(self, amount: int) -> None:
        """Receive that `amount` more pixels are done."""

    def note(self, message: str) -> None:
        """Receive a line for the user, such as a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockTask:
    """One block to read: its source and its window."""

    source: BlockSource
    window: Window

    @classmethod
    def all(cls, source: BlockSource) -> "Iterator[BlockTask]":
        """Give the tasks of all blocks, in row-major order."""
        return (cls(source=source, window=window) for window in source.windows())


def read_block(task: BlockTask) -> Block:
    """Read one block."""
    return task.source.read(task.window)
