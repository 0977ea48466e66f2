"""Names of temporary files, each used once, and what killed processes left under such names.

A name says on which machine and by which process it was given: ``.NAME.STEP-MACHINE-PROCESS-START-NUMBER.SUFFIX``.
So it can be told later whether anybody still writes to the file.
"""

import itertools
import os
import re
import secrets
import socket
import time
import zlib
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

OTHER_MACHINE_SECONDS = 86_400.0  # without a change, after which a file of another machine counts as left behind

_LONGEST = 40  # characters of the product's name; with all else the name stays below the 255 bytes of file systems
_START = secrets.token_hex(4)  # of this process: the operating system gives the number of a dead one to another
_NUMBERS = itertools.count()
_NAME = re.compile(r"^\..*\.[a-z]+-([0-9a-f]{8})-([0-9]+)-([0-9a-f]{8})-[0-9]+(\.|-|$)")
_COMPANIONS = ("-journal", "-wal", "-shm", ".aux.xml", ".ovr", ".ovr.tmp", ".msk", ".msk.ovr.tmp")  # SQLite's, GDAL's


def temporary_path(target: Path, step: str) -> Path:
    """Give a hidden path in the folder of `target`, with its suffix, that nobody else is given.

    Parameters
    ----------
    target
        The product that the file is a step to.
    step
        What the file is for, in lower-case letters.
    """
    unique = f"{_machine()}-{os.getpid()}-{_START}-{next(_NUMBERS)}"
    return target.with_name(f".{target.stem[:_LONGEST]}.{step}-{unique}{target.suffix}")


def remove_temporary(path: Path) -> None:
    """Remove a temporary file with what SQLite and GDAL put beside it; what cannot be removed stays."""
    for companion in ("", *_COMPANIONS):
        with suppress(OSError):
            path.with_name(path.name + companion).unlink(missing_ok=True)


@lru_cache(maxsize=1024)  # a folder is looked through once: listing it for every file would cost more than the file
def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files in a folder that no living process writes to; what cannot be removed stays."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if (found := _NAME.match(entry.name)) and _is_left_behind(Path(entry.path), *found.groups()[:3]):
                with suppress(OSError):
                    Path(entry.path).unlink()


def _is_left_behind(path: Path, machine: str, process: str, start: str) -> bool:
    if machine != _machine():
        return time.time() - path.lstat().st_mtime > OTHER_MACHINE_SECONDS
    if int(process) == os.getpid():
        return start != _START
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # it lives, and is another user's
        return False
    return False


@lru_cache(maxsize=1)
def _machine() -> str:
    """Give what stands for the machine, and for the container, in which the numbers of processes mean something."""
    name = socket.gethostname()
    with suppress(OSError):  # Linux alone tells
        name = f"{name} {os.stat('/proc/self/ns/pid').st_ino}"  # noqa: PTH116  # Path would resolve the link by its text
    return f"{zlib.crc32(name.encode()):08x}"
