"""Small JSON files that runs leave for later runs."""

import json
from typing import Any

from segflow.errors import OutputError
from segflow.io.storage.addresses import Address, Place
from segflow.io.storage.objects import read_object


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


def _read(path: Place) -> bytes | None:
    return read_object(path) if isinstance(path, Address) else path.read_bytes()
