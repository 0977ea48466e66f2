"""Peak memory of a command and everything it starts."""

import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

PAUSE = 0.05  # s between looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A command that ended well.

    Attributes
    ----------
    peak
        Largest sum of resident memory over the process and its descendants that was seen [bytes], and no less
        than the kernel's own peak of any of them; what two of them share counts twice.
    seconds
        Wall time [s].
    output
        What it printed on standard output.
    """

    peak: int
    seconds: float
    output: str


def watch_command(command: list[str]) -> Watched:
    """Run a command, looking at its memory all the time.

    Raises
    ------
    RuntimeError
        If it fails; with what it printed on standard error.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        child = subprocess.Popen(command, stdout=output, stderr=errors)  # segflow itself
        code, peak = _watch(child)
        seconds = time.perf_counter() - started
        output.seek(0)
        errors.seek(0)
        if code:
            msg = f"{' '.join(command)} failed with {code}: {errors.read()[-2000:]}"
            raise RuntimeError(msg)
        return Watched(peak=peak, seconds=seconds, output=output.read())


def tree_memory(process: psutil.Process) -> int:
    """Give the resident memory of a process and its descendants now [bytes]."""
    total = 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _watch(child: "subprocess.Popen[bytes]") -> tuple[int, int]:
    """Wait for a process; give its exit code and the peak of its tree [bytes].

    The kernel's own peak of the program that runs now is looked at too: it holds what came and went
    between two looks. (What `wait4` tells also holds the memory of the process that started it.)
    """
    process, peak = psutil.Process(child.pid), 0
    while child.poll() is None:
        peak = max(peak, tree_memory(process), _high_water(child.pid))
        time.sleep(PAUSE)
    return child.returncode, peak


def _high_water(pid: int) -> int:
    """Give the kernel's peak of resident memory of a running program [bytes]; 0 where it does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
