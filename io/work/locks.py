"""One run per output: a file lock, which the operating system releases when its holder dies."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segflow.errors import OutputBusyError, OutputError

TRIES = 5  # to take a lock: a process that only asks whether it is held has it for a moment
PAUSE = 0.02  # s between tries


@contextmanager
def output_lock(path: Path) -> Iterator[None]:
    """Hold the lock file at `path`, which is made if missing and stays.

    Raises
    ------
    OutputBusyError
        If another process holds it; the message names that process.
    OutputError
        If the file cannot be made, or the file system has no locks.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        msg = f"{path} cannot be made ({error.strerror}): choose an output folder that you may write to"
        raise OutputError(msg) from error
    try:
        _take(descriptor, path)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)  # also releases the lock


def find_holder(path: Path) -> str | None:
    """Give who holds the lock at `path`, ``process 123 on host``; None where nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        holder = _holder(descriptor)
        if not os.fstat(descriptor).st_size:  # its last holder ended without a crash
            return None
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return holder
    except OSError:
        return None
    else:
        return None
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path) -> None:
    try:
        for attempt in range(TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == TRIES - 1:
                    raise
                time.sleep(PAUSE)
    except BlockingIOError as error:
        msg = f"{path.parent} is being written by another run ({_holder(descriptor)}): wait for it or stop it"
        raise OutputBusyError(msg) from error
    except OSError as error:
        msg = f"{path} cannot be locked ({error.strerror}): choose an output on a file system with locks"
        raise OutputError(msg) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)


def _holder(descriptor: int) -> str:
    """Give the holder of a lock as text, from what the holder wrote into the file."""
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {holder['pid']} on {holder['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "process unknown"
