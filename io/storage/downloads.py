"""Files from the network: they come within a bounded time, or an error says why not."""

import hashlib
import os
import queue
import threading
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from segflow.errors import ModelError
from segflow.io.storage.files import replace_file

PATIENCE = 5.0  # s; for a connection, and for every further piece of an answer


def fetch_file(url: str, folder: str | os.PathLike[str], *, digest_start: str, patience: float = PATIENCE) -> bytes:
    """Give the bytes behind an address, from `folder` if they were fetched before.

    Parameters
    ----------
    url
        Where they are.
    folder
        Where they are kept, under the last part of the address.
    digest_start
        First hexadecimal digits of their SHA-256.
    patience
        How long to wait for a connection, and then for each piece [s].

    Raises
    ------
    ModelError
        If nothing answers in time, or what comes has another digest.
    """
    path = Path(folder) / url.rpartition("/")[2]
    if path.is_file():
        content = path.read_bytes()
        if _starts(content, digest_start):
            return content
    content = _download(url, patience)
    if not _starts(content, digest_start):
        msg = f"{url} has another SHA-256 than {digest_start}…: it is damaged or was changed; give a local file"
        raise ModelError(msg)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as temporary:
        temporary.write_bytes(content)
    return content


def _download(url: str, patience: float) -> bytes:
    try:
        with _within(patience, lambda: _connect(url, patience)) as response:
            return response.read()
    except (OSError, HTTPException) as error:
        host = urlsplit(url).netloc
        reason = " ".join(str(error).split()) or type(error).__name__
        msg = f"{url} cannot be fetched: {host} did not answer ({reason}): check the connection, or give a local file"
        raise ModelError(msg) from error


def _connect(url: str, patience: float) -> HTTPResponse:
    return urllib.request.urlopen(url, timeout=patience)  # type: ignore[no-any-return]  # noqa: S310  # a library's


def _within(patience: float, connect: Callable[[], HTTPResponse]) -> HTTPResponse:
    """Call `connect` in a thread, which is left behind after `patience`: looking up a name has no timeout."""
    answers: queue.Queue[HTTPResponse | Exception] = queue.Queue()

    def ask() -> None:
        try:
            answers.put(connect())
        except (OSError, HTTPException) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=patience)
    except queue.Empty as error:
        msg = f"no connection within {patience:g} s"
        raise TimeoutError(msg) from error
    if isinstance(answer, Exception):
        raise answer
    return answer


def _starts(content: bytes, digest_start: str) -> bool:
    return hashlib.sha256(content).hexdigest().startswith(digest_start)
