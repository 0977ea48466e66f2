"""Where a canvas lies, and how it is made and removed there: a folder, or a prefix on object storage.

A folder is made under another name and renamed when it is whole. A store cannot rename: there a canvas counts
only if there is a journal, which is started after it.
"""

import atexit
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from segflow.errors import OutputError
from segflow.io.storage.addresses import Address, Place
from segflow.io.storage.client import file_system, storage_errors, storage_failures
from segflow.io.storage.objects import find_object, list_objects, remove_objects

_CLOSE_SECONDS = 1.0
_OURS = re.compile(r"^(zarr\.json|(classes|confidence|probabilities)/.+)$")  # names of a canvas' objects


@contextmanager
def new_canvas_place(place: Place) -> Iterator[Any]:
    """Give the path or store in which Zarr makes a new canvas; an old canvas there is removed.

    Raises
    ------
    OutputError
        If the place cannot be written, or something that is no canvas lies there.
    """
    if isinstance(place, Address):
        remove_canvas(place)
        with storage_errors(place, "be written"):
            yield zarr_store(place)
        return
    unfinished = place.with_name(f".{place.name}.new")
    try:
        for folder in (unfinished, place):
            _remove_folder(folder)
        yield unfinished
        unfinished.rename(place)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        msg = f"{place}: the canvas cannot be made ({error.strerror or error}): check free space and permissions"
        raise OutputError(msg) from error


def zarr_store(place: Place) -> Any:  # noqa: ANN401  # what Zarr opens: a path or a store
    """Give the path or store with which Zarr opens a place."""
    return _object_store(place) if isinstance(place, Address) else place


def canvas_exists(place: Place) -> bool:
    """Tell whether a canvas lies at a place.

    Raises
    ------
    OutputError
        If the store does not answer.
    """
    return find_object(place / "zarr.json") is not None if isinstance(place, Address) else place.exists()


def remove_canvas(place: Place) -> None:
    """Remove a canvas, whole or half made, but nothing else.

    A folder gets another name first, so that a crash leaves no half of a canvas.

    Raises
    ------
    OutputError
        If something that is no canvas lies on the store there, or the store does not answer.
    """
    if isinstance(place, Address):
        names = [name for name, _ in list_objects(place)]
        if foreign := [name for name in names if not _OURS.match(name)]:
            msg = f"{place} is in the way of the canvas and is none, it holds {foreign[0]}: choose another output"
            raise OutputError(msg)
        remove_objects(place, names)
        return
    doomed = place.with_name(f".{place.name}.old")
    shutil.rmtree(doomed, ignore_errors=True)
    if place.exists():
        place.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def canvas_failures(place: Place) -> tuple[type[BaseException], ...]:
    """Give the errors that say that a store cannot be reached, not that a canvas is damaged; none for a folder."""
    return storage_failures() if isinstance(place, Address) else ()


@lru_cache(maxsize=8)
def _object_store(address: Address) -> Any:  # noqa: ANN401  # Zarr's store
    """Give Zarr's store for an address, one per process, so that connections are kept."""
    from zarr.storage import FsspecStore  # noqa: PLC0415  # needed on object storage alone

    client = file_system(asynchronous=True)
    atexit.unregister(_close_client)
    atexit.register(_close_client, client)  # runs before Zarr's own: else it prints about open connections
    return FsspecStore(client, path=address.path)


def _close_client(client: Any) -> None:  # noqa: ANN401  # a library without types
    """Close the connections of Zarr's client, in Zarr's loop."""
    from zarr.core.sync import sync  # noqa: PLC0415  # needed on object storage alone

    if client._s3 is not None:  # noqa: SLF001  # s3fs closes only clients that are not asynchronous
        with suppress(Exception):
            sync(client._s3.close(), timeout=_CLOSE_SECONDS)  # noqa: SLF001  # the same


def _remove_folder(folder: Path) -> None:
    """Remove a canvas, whole or half made, but nothing else."""
    if not folder.exists():
        return
    if not (folder / "zarr.json").exists() and any(folder.iterdir()):
        msg = f"{folder} is in the way of the canvas and is none: move it or choose another output"
        raise OutputError(msg)
    shutil.rmtree(folder)
