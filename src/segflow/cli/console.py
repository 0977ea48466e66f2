"""Progress on a terminal: bars with rate and time left; plain lines where nobody watches."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

MEGA = 1e6
SLOW = 10  # units per second, below which a fraction matters


class RateColumn(ProgressColumn):
    """Units per second, in millions for pixels."""

    def render(self, task: Task) -> Text:
        """Give the rate of one task."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else rate(speed, str(task.fields["unit"])), style="progress.data.speed")


class MemoryColumn(ProgressColumn):
    """Peak resident memory of this process."""

    def render(self, task: Task) -> Text:  # noqa: ARG002  # rich's signature
        """Give the peak so far."""
        return Text(f"{peak_memory() / 2**30:.1f} GiB", style="dim")


class TerminalProgress:
    """Draws a bar per stage; of one of several scenes only the stage it is in, with the scene's name."""

    def __init__(self, bars: Progress, name: str = "") -> None:
        self._bars, self._name = bars, name
        self._task: TaskID | None = None

    def start(self, stage: str, total: int, unit: str) -> None:
        """Draw a new bar."""
        self._task = self._bars.add_task(f"{self._name} {stage}".strip(), total=total, unit=unit)

    def advance(self, amount: int) -> None:
        """Move the bar on."""
        if self._task is not None:
            self._bars.advance(self._task, amount)

    def finish(self) -> None:
        """Stop the bar, and take it away where others follow."""
        if self._task is not None:
            self._bars.stop_task(self._task)
            self._bars.update(self._task, visible=not self._name)

    def note(self, message: str) -> None:
        """Print a line above the bars."""
        line = message if self._name in message else f"{self._name}: {message}"
        self._bars.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def event(self, name: str, **fields: object) -> None:
        """Draw nothing."""

    @contextmanager
    def scene(self, name: str, *, several: bool) -> Iterator["TerminalProgress"]:
        """Give bars of one scene."""
        yield TerminalProgress(self._bars, name) if several else self


class LineProgress:
    """Prints a line when a stage ends, and one in between where it takes long; of one of several scenes only those."""

    PAUSE = 30.0  # s between lines of one stage

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._stage, self._unit = "", ""
        self._total = self._done = 0
        self._started = self._printed = 0.0

    def start(self, stage: str, total: int, unit: str) -> None:
        """Remember when the stage began."""
        self._stage, self._total, self._unit, self._done = stage, total, unit, 0
        self._started = self._printed = time.monotonic()

    def advance(self, amount: int) -> None:
        """Count, and print now and then."""
        self._done += amount
        now = time.monotonic()
        if now - self._printed >= self.PAUSE:
            self._printed = now
            speed = self._done / (now - self._started)
            left = (self._total - self._done) / speed if speed else 0
            self.note(f"{self._stage}: {self._done / self._total:.0%}, {rate(speed, self._unit)}, {left:.0f} s left")

    def finish(self) -> None:
        """Print what the stage took."""
        elapsed = time.monotonic() - self._started
        if self._name and elapsed < self.PAUSE:
            return
        speed = self._done / elapsed if elapsed else 0
        self.note(f"{self._stage}: {self._done:,} {self._unit} in {elapsed:.1f} s ({rate(speed, self._unit)})")

    def note(self, message: str) -> None:
        """Print a line on standard error."""
        line = message if self._name in message else f"{self._name}: {message}"
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def event(self, name: str, **fields: object) -> None:
        """Print nothing."""

    @contextmanager
    def scene(self, name: str, *, several: bool) -> Iterator["LineProgress"]:
        """Give lines of one scene."""
        yield LineProgress(name) if several else self


@contextmanager
def watch() -> Iterator[TerminalProgress | LineProgress]:
    """Give the progress that suits standard error: bars on a terminal, else lines."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield LineProgress()
        return
    columns = (
        TextColumn("{task.description:>10}"),
        BarColumn(),
        TaskProgressColumn(),
        RateColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        MemoryColumn(),
    )
    # Results go to standard output, which rich would lead above its bars on standard error, even from a pipe.
    with Progress(*columns, console=console, redirect_stdout=sys.stdout.isatty()) as bars:
        yield TerminalProgress(bars)


def rate(speed: float, unit: str) -> str:
    """Write a speed, pixels in millions."""
    if unit == "px":
        return f"{speed / MEGA:.2f} Mpx/s"
    return f"{speed:,.0f} {unit}/s" if speed >= SLOW else f"{speed:.2g} {unit}/s"


def peak_memory() -> int:
    """Give the peak resident memory of this process [bytes]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
