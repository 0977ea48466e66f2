"""Tasks for clusters in tests; schedulers and workers import this, so it imports next to nothing."""

import os
import time
from pathlib import Path


def born_with() -> dict[str, str]:
    """Give the environment that this process was started with."""
    entries = Path("/proc/self/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def visible(_task: int) -> str | None:
    """Give the GPUs that a worker sees."""
    time.sleep(0.1)
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def hold(path: str) -> str:
    """Take long the first time."""
    if Path(path).exists():
        return "second"
    Path(path).touch()
    time.sleep(3600)
    return "first"


def doze(seconds: float, _task: int) -> None:
    """Take a while."""
    time.sleep(seconds)


def suspected(key: str, dask_scheduler: object) -> int:
    """Give how many workers the scheduler believes a task to have killed."""
    return int(dask_scheduler.tasks[key].suspicious)  # type: ignore[attr-defined]
