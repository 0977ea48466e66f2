"""Peak memory of a command and everything it starts."""

import subprocess
import time
from dataclasses import dataclass

import psutil

PAUSE = 0.05  # s between looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A command that ended well.

    Attributes
    ----------
    peak
        Largest sum of resident memory over the process and its descendants [bytes]; what two of them share counts
        twice.
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
    started, peak = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:  # ours
        process = psutil.Process(child.pid)
        while child.poll() is None:
            peak = max(peak, tree_memory(process))
            time.sleep(PAUSE)
        output, errors = child.communicate()
    if child.returncode:
        msg = f"{' '.join(command)} failed with {child.returncode}: {errors[-2000:]}"
        raise RuntimeError(msg)
    return Watched(peak=peak, seconds=time.perf_counter() - started, output=output)


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
