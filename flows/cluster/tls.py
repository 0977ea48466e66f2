"""Encrypted clusters: both ends of every connection show a certificate of one private authority."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import Any

import dask
from distributed.comm.addressing import get_address_host_port
from distributed.security import Security

from segflow.errors import ClusterError, SettingsError
from segflow.io.storage.certificates import VALID, make_certificates, read_credentials, write_certificates

_ENCRYPTED = ("tls", "wss")
_AGAIN_SECONDS = 0.2  # between tries to connect
_HELLO_SECONDS = 3.0  # that a server has to answer a first record
_TLS_RECORDS = (0x15, 0x16)  # alert, handshake: the first byte of whatever a TLS server says


def is_encrypted(address: str) -> bool:
    """Tell whether an address asks for TLS."""
    return address.partition("://")[0] in _ENCRYPTED


def security_for(address: str, tls: str | None) -> Security | None:
    """Give the certificates for an address; None where it is not encrypted.

    Without a folder, those of Dask's own configuration are taken.

    Raises
    ------
    SettingsError
        If the address needs certificates and none are given, or does not use those that are,
        or they are missing, damaged or out of date.
    """
    if not is_encrypted(address):
        if tls is not None:
            msg = f"scheduler {address} is not encrypted, but --tls was given: say tls://…, or leave --tls out"
            raise SettingsError(msg)
        return None
    if tls is not None:
        return load_security(tls)
    if dask.config.get("distributed.comm.tls.ca-file", None) is None:
        msg = f"scheduler {address} needs certificates: give their folder with --tls (`segflow tls init` makes one)"
        raise SettingsError(msg)
    return Security(require_encryption=True)


def init_certificates(folder: str | os.PathLike[str], hosts: Sequence[str] = ()) -> tuple[str, ...]:
    """Make a folder of certificates for a cluster, and say what is in it.

    Parameters
    ----------
    folder
        Where they go.
    hosts
        Names and addresses of the machines; none: this one's.

    Raises
    ------
    OutputError
        If they cannot be written, or are there already.
    """
    names = tuple(hosts) or ("localhost", "127.0.0.1", "::1", socket.gethostname())
    made = write_certificates(folder, names)
    return (
        f"{made.ca}    certificate of the authority; its key was not kept, so it signs no other",
        f"{made.cert}  certificate for {', '.join(names)}, for {VALID.days} days",
        f"{made.key}   its private key: whoever holds it may join",
        f"next: copy {folder} to every machine by a safe way, then",
        f"  segflow scheduler --host ADDRESS --tls {folder}",
        f"  segflow worker tls://ADDRESS:8786 --tls {folder}",
        f"  segflow run SCENE --scheduler tls://ADDRESS:8786 --tls {folder}",
    )


def fresh_security() -> Security:
    """Make certificates, held in memory, for a cluster that starts and ends with this process."""
    made = make_certificates(("localhost",))
    return _for_all_roles(made.ca.decode(), made.cert.decode(), made.key.decode())


def load_security(folder: str) -> Security:
    """Give Dask the certificates of a folder, the same for every role.

    Raises
    ------
    SettingsError
        If they are missing, damaged or out of date.
    """
    found = read_credentials(folder)
    return _for_all_roles(*(str(path.absolute()) for path in (found.ca, found.cert, found.key)))


def _for_all_roles(ca: str, cert: str, key: str) -> Security:
    """Give one certificate to client, scheduler and workers, as paths or as PEM."""
    return Security(
        require_encryption=True,
        tls_ca_file=ca,
        **{f"tls_{role}_cert": cert for role in ("client", "scheduler", "worker")},
        **{f"tls_{role}_key": key for role in ("client", "scheduler", "worker")},
    )


def check_scheduler(address: str, security: Security | None, seconds: float) -> None:
    """Check that a scheduler answers and accepts our certificate; Dask would wait for a silent port for ever.

    Raises
    ------
    ClusterError
        If it does not within `seconds`; the message says why, as far as that is known.
    """
    try:
        _run_in_thread(_read_first_byte(address, security, seconds))
    except ssl.SSLCertVerificationError as error:
        msg = f"scheduler {address} shows a certificate of another authority: {_advice(address)}"
        raise ClusterError(msg) from error
    except (ssl.SSLError, EOFError, ConnectionResetError, BrokenPipeError) as error:
        msg = f"scheduler {address} closed the connection: {_advice(address)}"
        raise ClusterError(msg) from error
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        msg = f"scheduler {address} does not answer within {seconds:g} s ({reason}): {_advice(address)}"
        raise ClusterError(msg) from error


async def _read_first_byte(address: str, security: Security | None, seconds: float) -> None:
    """Connect, read the first byte, since a Dask server speaks first, and close; retry while nothing listens."""
    host, port = get_address_host_port(address, strict=True)
    context = security.get_connection_args("client")["ssl_context"] if security else None
    last = "it is silent"
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    reader, writer = await asyncio.open_connection(host, port, ssl=context)
                except (ssl.SSLError, ConnectionResetError):
                    raise
                except OSError as error:
                    last = str(error)
                    await asyncio.sleep(_AGAIN_SECONDS)
                    continue
                await _wait_for_byte(address, reader, writer)
                return
    except TimeoutError as error:
        raise TimeoutError(last) from error


async def _wait_for_byte(address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Wait for a byte.

    Raises
    ------
    EOFError
        If the server closes the connection, or waits for a TLS handshake while the address is not encrypted.
    """
    try:
        while True:
            try:
                heard = await asyncio.wait_for(reader.read(1), _HELLO_SECONDS)
            except TimeoutError:
                encrypted: bool | None = await asyncio.to_thread(speaks_tls, address)
                if encrypted and not is_encrypted(address):
                    raise EOFError(address) from None
                continue
            if not heard:
                raise EOFError(address)
            return
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _run_in_thread(question: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in a thread of its own and wait for it, since this thread may be running a loop already."""
    answer: Future[None] = Future()

    def ask() -> None:
        try:
            answer.set_result(asyncio.run(question))
        except BaseException as error:  # noqa: BLE001  # carried to the thread that waits
            answer.set_exception(error)

    Thread(target=ask, name="segflow-check-scheduler", daemon=True).start()
    answer.result()


def _advice(address: str) -> str:
    speaks = speaks_tls(address)
    if speaks is None:
        return "is it running there?"
    if speaks and not is_encrypted(address):
        return "it speaks TLS: say tls://… and give the folder of its certificates with --tls"
    if not speaks and is_encrypted(address):
        return "it does not speak TLS: say tcp://…, or start it with --tls"
    if speaks:
        return "is the folder given with --tls a copy of the scheduler's?"
    return "is it a Dask scheduler of the same version?"


def speaks_tls(address: str) -> bool | None:
    """Tell whether a server answers a TLS handshake with TLS; None if nothing listens or answers there."""
    try:
        host, port = get_address_host_port(address, strict=True)
        with socket.create_connection((host, port), timeout=_HELLO_SECONDS) as connection:
            connection.sendall(_client_hello())
            first = connection.recv(1)
    except (OSError, ValueError):
        return None
    return bool(first) and first[0] in _TLS_RECORDS


def _client_hello() -> bytes:
    """Give the first record of a TLS connection."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):  # it waits for the answer
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="segflow").do_handshake()
    return outgoing.read()
