"""An S3 server on loopback, and a line to it that can be cut, held or made to lie."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fsspec.asyn import sync as fsspec_sync
from zarr.core.sync import sync as zarr_sync

from segflow.io.storage import client as object_storage
from segflow.io.storage.addresses import Address
from segflow.io.storage.client import request
from segflow.io.storage.objects import list_objects, read_object
from segflow.io.work import canvas_places

LOOPBACK = "127.0.0.1"
STARTS_WITHIN = 120  # s; a busy machine takes half a minute


def free_port() -> int:
    """Give a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextmanager
def serve_objects() -> Iterator[int]:
    """Run an S3 server in a process of its own; give its port."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + STARTS_WITHIN
        while True:
            assert server.poll() is None, "the S3 server ended"
            assert time.monotonic() < deadline, "the S3 server does not answer"
            with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
                break
            time.sleep(0.1)
        yield port
    finally:
        server.kill()
        server.wait()


def store_environment(port: int, cache: Path) -> dict[str, str]:
    """Give the variables that lead to the server, and to a cache of its own."""
    return {
        "AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{port}",
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "XDG_CACHE_HOME": str(cache),
    }


@contextmanager
def using_store(port: int, cache: Path) -> Iterator[None]:
    """Lead this process to the server, with new clients, and back."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in store_environment(port, cache).items():
            patch.setenv(name, value)
        _forget_clients()
        try:
            yield
        finally:
            _forget_clients()


def _forget_clients() -> None:
    """Close the clients of this process, each in its own loop, so that the next ones are led elsewhere."""
    near, zarrs = object_storage.file_system(), object_storage.file_system(asynchronous=True)
    if near._s3 is not None:
        fsspec_sync(near.loop, near._s3.close)
    if zarrs._s3 is not None:
        zarr_sync(zarrs._s3.close())
    object_storage.file_system.cache_clear()
    canvas_places._object_store.cache_clear()


def contents(prefix: Address) -> dict[str, bytes]:
    """Give all objects below an address by name."""
    return {name: read_object(prefix / name) or b"" for name, _ in list_objects(prefix)}


def unfinished_uploads(bucket: str) -> int:
    """Count uploads in parts that nobody completed or dropped."""
    return len(request("list_multipart_uploads", Address(bucket)).get("Uploads", ()))


@dataclass
class Line:
    """A line to a server, one request per connection.

    Attributes
    ----------
    target
        Port of the server.
    hold
        Start of the requests that are never passed on; empty: all are.
    flip
        Start of the requests whose last bit is flipped on the way; empty: none.
    port
        Port that it listens at.
    held
        Set when a request is held.
    """

    target: int
    hold: bytes = b""
    flip: bytes = b""
    port: int = 0
    held: threading.Event = field(default_factory=threading.Event)


@contextmanager
def line_to(target: int, *, hold: bytes = b"", flip: bytes = b"") -> Iterator[Line]:
    """Open a line to a server."""
    line = Line(target=target, hold=hold, flip=flip)
    with socket.create_server((LOOPBACK, 0)) as listener:
        line.port = listener.getsockname()[1]
        threading.Thread(target=_accept, args=(line, listener), daemon=True).start()
        yield line
        listener.shutdown(socket.SHUT_RDWR)


def _accept(line: Line, listener: socket.socket) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_pass_on, args=(line, client), daemon=True).start()


def _pass_on(line: Line, client: socket.socket) -> None:
    with suppress(OSError), client:
        head, _, body = _receive_head(client).partition(b"\r\n\r\n")
        if line.hold and head.startswith(line.hold):
            line.held.set()
            client.recv(1 << 16)  # until the other side goes away
            threading.Event().wait(600)
        lines = head.lower().split(b"\r\n")
        length = next((int(entry.partition(b":")[2]) for entry in lines if entry.startswith(b"content-length:")), 0)
        if b"expect: 100-continue" in lines:
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = b"\r\n".join(entry for entry in head.split(b"\r\n") if not entry.lower().startswith(b"expect:"))
        while len(body) < length:
            body += client.recv(1 << 20)
        if line.flip and head.startswith(line.flip):
            body = body[:-1] + bytes([body[-1] ^ 1])
        with socket.create_connection((LOOPBACK, line.target)) as server:
            server.sendall(head + b"\r\n\r\n" + body)
            while part := server.recv(1 << 20):
                client.sendall(part)


def _receive_head(client: socket.socket) -> bytes:
    content = b""
    while b"\r\n\r\n" not in content:
        part = client.recv(1 << 16)
        if not part:
            raise ConnectionError
        content += part
    return content
