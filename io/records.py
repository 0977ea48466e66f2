"""Small JSON files that runs leave for later runs."""

import json
from pathlib import Path
from typing import Any

from segflow.errors import OutputError


def read_json(path: Path) -> dict[str, Any] | None:
    """Give the object in a JSON file; None where there is no file.

    Raises
    ------
    OutputError
        If the file cannot be read or holds no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read ({error}): move it away or choose another output folder"
        raise OutputError(msg) from error
    if not isinstance(content, dict):
        msg = f"{path} holds no JSON object: move it away or choose another output folder"
        raise OutputError(msg)
    return content


def remove_file(path: Path) -> None:
    """Remove a file if it is there.

    Raises
    ------
    OutputError
        If it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        msg = f"{path} cannot be removed ({error.strerror}): check the permissions"
        raise OutputError(msg) from error


def file_size(path: Path) -> int | None:
    """Give the size of a file [bytes]; None where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return None
