"""Files in a folder that somebody else writes to: which are there, and whether they are still being written."""

import os
import time
from pathlib import Path

from segflow.errors import SceneError
from segflow.io.scene.headers import find_missing
from segflow.io.work.watch_ledger import Stamp

SUFFIXES = (".tif", ".tiff", ".jp2")
NANO = 10**9


def list_scenes(folder: Path) -> list[Path]:
    """Give the GeoTIFFs that lie in a folder, sorted; hidden files and those in folders below are left out.

    Raises
    ------
    SceneError
        If the folder cannot be listed.
    """
    try:
        found = [path for path in folder.absolute().iterdir() if path.suffix.lower() in SUFFIXES]
        return sorted(path for path in found if not path.name.startswith(".") and path.is_file())
    except OSError as error:
        msg = f"{folder} cannot be watched ({error.strerror}): give a folder that GeoTIFFs come into"
        raise SceneError(msg) from error


def stamp_of(path: Path) -> Stamp | None:
    """Give what changes when a file does: size, time of change, inode; None where it is gone."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def why_wait(path: Path, stamp: Stamp, settle: float) -> str:
    """Say why a file is not taken yet; give an empty text where it is complete and no longer changes.

    A time of change in the future comes from another clock or was copied with the file. It tells nothing, so such a
    file is looked at twice, `settle` seconds apart.

    Parameters
    ----------
    settle
        How long the file must have been unchanged [s].
    """
    age = time.time_ns() - stamp[1]
    if 0 <= age < settle * NANO:
        return f"it was changed {age / NANO:.1f} s ago"
    try:
        if gap := find_missing(path):
            return gap
        if age < 0:
            time.sleep(settle)
        if stamp_of(path) != stamp or not os.access(path, os.R_OK):
            return "it changes"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return ""
