"""Small JSON files that runs leave for later runs."""

import json
from pathlib import Path
from typing import Any

from segflow.errors import OutputError
from segflow.io.storage.addresses import Address, Place
from segflow.io.storage.objects import list_objects, read_object


def read_json(path: Place) -> dict[str, Any] | None:
    """Give what a JSON file holds, here or on object storage; None where there is no file.

    Raises
    ------
    OutputError
        If the file cannot be read or holds no JSON object.
    """
    try:
        content = json.loads(_read(path) or b"null")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        if isinstance(error, OutputError):
            raise
        msg = f"{path} cannot be read ({error}): move it away or choose another output folder"
        raise OutputError(msg) from error
    if content is None and isinstance(path, Address):
        return None
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


def file_sizes(folder: Place) -> dict[str, int]:
    """Give the sizes of the files in a folder or below an address by name [bytes]; none where there is no folder.

    Raises
    ------
    OutputError
        If the store does not answer.
    """
    if isinstance(folder, Address):
        return dict(list_objects(folder))
    return {path.name: path.stat().st_size for path in folder.iterdir()} if folder.is_dir() else {}


def _read(path: Place) -> bytes | None:
    return read_object(path) if isinstance(path, Address) else path.read_bytes()
