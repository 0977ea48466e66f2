"""Schedulers and workers as other processes, started as a user starts them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from segflow.flows.cluster.tasks import run_tasks

SEGFLOW = (sys.executable, "-m", "segflow.cli")
START_SECONDS = 240  # on a machine that does ten other things


def results_of(*args: Any, **options: Any) -> Iterator[Any]:
    """Give the results of `run_tasks` one by one."""
    for group in run_tasks(*args, **options):
        yield from group


class Service:
    """A process that runs until it is told to stop, and what it has said so far."""

    def __init__(self, command: Sequence[str], folder: Path, name: str) -> None:
        self._said, self._complained = folder / f"{name}.out", folder / f"{name}.err"
        with self._said.open("w") as said, self._complained.open("w") as complained:
            self.process = subprocess.Popen(command, stdout=said, stderr=complained, start_new_session=True)

    @property
    def said(self) -> str:
        """What it printed on standard output."""
        return self._said.read_text()

    @property
    def complained(self) -> str:
        """What it printed on standard error."""
        return self._complained.read_text()

    def wait_for(self, word: str) -> str:
        """Give the first line with `word` in it, once it is there."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            lines = [line for line in self.said.splitlines(keepends=True) if word in line and line.endswith("\n")]
            if lines:
                return lines[0].strip()
            assert self.process.poll() is None, f"{self.process.args} ended: {self.complained}"
            assert time.monotonic() < deadline, f"{self.process.args} does not say {word!r}: {self.complained}"
            time.sleep(0.05)

    def stop(self) -> int:
        """Send SIGTERM and give the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def kill(self) -> None:
        """End it and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def service(command: Sequence[str], folder: Path, name: str) -> Iterator[Service]:
    """Start a process, and end it after the block if it is still there."""
    started = Service(command, folder, name)
    try:
        yield started
    finally:
        started.kill()


@contextmanager
def scheduler(folder: Path, *options: str, inside: Sequence[str] = ()) -> Iterator[str]:
    """Start ``segflow scheduler`` on a free port; give its address.

    Parameters
    ----------
    inside
        Command that the command is given to, such as ``ip netns exec NAME``.
    """
    command = [*inside, *SEGFLOW, "scheduler", "--port", "0", *options]
    with service(command, folder, "scheduler") as started:
        yield started.wait_for("scheduler").split()[1]


@contextmanager
def worker(folder: Path, address: str, name: str, *options: str, inside: Sequence[str] = ()) -> Iterator[Service]:
    """Start ``segflow worker`` and wait until it has joined."""
    with service([*inside, *SEGFLOW, "worker", address, "--name", name, *options], folder, name) as started:
        started.wait_for("worker(s) of")
        yield started
