"""One run per output on object storage: a lock object that its holder keeps renewing.

A store has no locks that fall when their holder dies, but it has conditional writes: "only if there is no such
object", "only if it still is the one that I saw". The object names its holder; whoever finds one that was not
renewed for `LEASE_SECONDS` by the store's own clock takes it over. A holder whose work folder is the same is this one
after a crash: there the operating system's lock (`segflow.io.work.locks`) has said already that nobody else is alive.
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
_TRIES = 5  # at an object that others take and leave at the same time
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
        self._turn = threading.Lock()  # one writer of the object in this process
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="segflow-lease", daemon=True)

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
            found = self._look()
            if found is not None and found.holder.get("folder") != self._holder["folder"]:
                self._check_age(found)
            if self._write({"IfNoneMatch": "*"} if found is None else {"IfMatch": found.tag}):
                self._thread.start()
                return
        msg = f"{self._address} goes from hand to hand: other runs write there, wait for them or stop them"
        raise OutputBusyError(msg)

    def check(self) -> None:
        """Renew the lease now, so that what is written next is written by its only holder.

        Raises
        ------
        OutputBusyError
            If another run took it over, because this one was cut off for too long.
        OutputError
            If the store does not answer or refuses.
        """
        with self._turn:
            if self._renew():
                return
        msg = f"{self._address} was taken over by another run while this one was cut off: let that one finish"
        raise OutputBusyError(msg)

    def release(self) -> None:
        """Stop renewing and remove the object, if it is still ours; a store that is gone lets it lapse."""
        self._stop.set()
        self._thread.join()
        with suppress(OutputError):
            found = self._look()
            if found is not None and found.holder == self._holder:
                remove_object(self._address)

    def _keep(self) -> None:
        while not self._stop.wait(RENEWAL_SECONDS):
            with suppress(OutputError), self._turn:  # `check` says it when it matters
                self._renew()

    def _renew(self) -> bool:
        """Write the object again; False if it is another's now."""
        if self._write({"IfMatch": self._tag}):
            return True
        found = self._look()  # a write whose answer was lost has changed nothing for the worse
        if found is None or found.holder != self._holder:
            return False
        self._tag = found.tag
        return True

    def _look(self) -> _Found | None:
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
        """Write the object under a condition; False if that does not hold.

        Where the store knows no conditions, what was looked at a moment ago must do.
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
        Of the object.
    folder
        Work folder of this run, which the caller has locked.
    lapse
        How long another holder may have been silent before it counts as dead [s].

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
    """Give the name of a work folder, kept in it: paths are the same on many machines."""
    path = folder / "folder.json"
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError):
        name = secrets.token_hex(16)
        write_text(path, json.dumps({"name": name}))
        return name
