"""One run per output on object storage: a lock object that its holder keeps renewing.

A store has no locks that are released when their holder dies, but it has conditional writes: "only if there is no
such object", "only if the object still has this version". The object names its holder. A run that finds an object
which was not renewed for `LEASE_SECONDS`, by the store's own clock, takes it over. So does a run with the same work
folder, at once: it holds the operating system's lock of that folder (`segflow.io.work.locks`), so the holder that the
object names is dead.
"""

import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from segflow.errors import OutputBusyError, OutputError
from segflow.io.storage.addresses import Address
from segflow.io.storage.client import refusal, request, storage_errors, storage_failures
from segflow.io.storage.files import write_text
from segflow.io.storage.objects import remove_object

LEASE_SECONDS = 120.0  # without renewal; longer than a store that restarts is waited for
RENEWAL_SECONDS = 30.0
_TRIES = 5  # to take an object that others take and release at the same time
_LOST = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409", "404"}
_UNKNOWN = {"NotImplemented", "501"}  # answers of stores that have no conditional writes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A lock object as it lies on the store.

    Attributes
    ----------
    tag
        Its version.
    holder
        What its holder wrote.
    age
        Time since it was renewed [s].
    """

    tag: str
    holder: dict[str, Any]
    age: float


class Lease:
    """A lock object that is held; a thread renews it until it is released."""

    def __init__(self, address: Address, folder: str, lapse: float = LEASE_SECONDS) -> None:
        self._address = address
        self._lapse = lapse
        self._holder = {
            "folder": folder,
            "run": secrets.token_hex(8),
            "pid": os.getpid(),
            "host": socket.gethostname(),
        }
        self._tag = ""
        self._writing = threading.Lock()  # one writer of the object in this process
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_stopped, name="segflow-lease", daemon=True)

    def take(self) -> None:
        """Take the object, or one whose holder is dead.

        Raises
        ------
        OutputBusyError
            If another run holds it.
        OutputError
            If the store does not answer or refuses.
        """
        for _ in range(_TRIES):
            found = self._read()
            if found is not None and found.holder.get("folder") != self._holder["folder"]:
                self._check_age(found)
            if self._write({"IfNoneMatch": "*"} if found is None else {"IfMatch": found.tag}):
                self._thread.start()
                return
        msg = f"{self._address} is taken by one run after the other: wait for them or stop them"
        raise OutputBusyError(msg)

    def check(self) -> None:
        """Renew the lease now, and so make sure that this run still holds it.

        Raises
        ------
        OutputBusyError
            If another run took it over, because this one was cut off for too long.
        OutputError
            If the store does not answer or refuses.
        """
        with self._writing:
            if self._renew():
                return
        msg = f"{self._address} was taken over by another run while this one was cut off: let that one finish"
        raise OutputBusyError(msg)

    def release(self) -> None:
        """Stop renewing and remove the object, if this run still holds it; without an answer it expires by itself."""
        self._stop.set()
        self._thread.join()
        with suppress(OutputError):
            found = self._read()
            if found is not None and found.holder == self._holder:
                remove_object(self._address)

    def _renew_until_stopped(self) -> None:
        while not self._stop.wait(RENEWAL_SECONDS):
            with suppress(OutputError), self._writing:  # `check` raises it where it matters
                self._renew()

    def _renew(self) -> bool:
        """Write the object again; give False if another run holds it now."""
        if self._write({"IfMatch": self._tag}):
            return True
        found = self._read()  # the write may have succeeded and its answer been lost
        if found is None or found.holder != self._holder:
            return False
        self._tag = found.tag
        return True

    def _read(self) -> _Found | None:
        with storage_errors(self._address, "be read"):
            try:
                answer = request("head_object", self._address)
            except FileNotFoundError:
                return None
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        now = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
        try:
            holder = json.loads(answer["Metadata"]["holder"])
        except (KeyError, ValueError):
            holder = {}
        age = (now - answer["LastModified"]).total_seconds()
        return _Found(tag=str(answer["ETag"]), holder=holder if isinstance(holder, dict) else {}, age=age)

    def _write(self, condition: dict[str, str]) -> bool:
        """Write the object under a condition; give False if that does not hold.

        A store without conditional writes gets an unconditional one: `take` has read the object just before.
        """
        text = json.dumps(self._holder)
        content = {"Body": text.encode(), "ContentType": "application/json", "Metadata": {"holder": text}}
        with storage_errors(self._address, "be written"):
            try:
                answer = request("put_object", self._address, **content, **condition)
            except FileExistsError:
                return False
            except storage_failures() as error:
                if refusal(error) in _LOST:
                    return False
                if refusal(error) not in _UNKNOWN:
                    raise
                answer = request("put_object", self._address, **content)
        self._tag = str(answer["ETag"])
        return True

    def _check_age(self, found: _Found) -> None:
        if found.age > self._lapse:
            return
        holder = f"process {found.holder.get('pid', 'unknown')} on {found.holder.get('host', 'an unknown host')}"
        msg = (
            f"{self._address.parent} is being written by another run ({holder}, seen {max(0.0, found.age):.0f} s ago): "
            f"wait for it or stop it; a run that died lets go after {self._lapse:.0f} s"
        )
        raise OutputBusyError(msg)


@contextmanager
def output_lease(address: Address, folder: Path, *, lapse: float = LEASE_SECONDS) -> Iterator[Lease]:
    """Hold the lock object at `address`.

    Parameters
    ----------
    address
        Address of the object.
    folder
        Work folder of this run, which the caller has locked.
    lapse
        Time without renewal after which another holder counts as dead [s].

    Raises
    ------
    OutputBusyError
        If another run holds it; the message names that process.
    OutputError
        If the store does not answer or refuses.
    """
    lease = Lease(address, _name(folder), lapse)
    lease.take()
    try:
        yield lease
    finally:
        lease.release()


def _name(folder: Path) -> str:
    """Give a name that the work folder alone has, kept in it: its path may exist on other machines too."""
    path = folder / "folder.json"
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError):
        name = secrets.token_hex(16)
        write_text(path, json.dumps({"name": name}))
        return name
