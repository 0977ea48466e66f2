"""`segflow scheduler` and `segflow worker`: a cluster that outlives runs; both serve until they are stopped.

Whoever reaches a scheduler or a worker may run code there. So they listen on loopback unless told
otherwise, and beyond it only with TLS or with ``--insecure``.
"""

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import dask
from distributed import Nanny
from distributed.comm.addressing import get_address_host, unparse_host_port
from distributed.core import Status
from distributed.utils import get_ip

from segflow import __version__
from segflow.errors import ClusterError, SettingsError
from segflow.flows.cluster.opening import CONNECT_SECONDS, LOOPBACK, PortlessScheduler, PortlessWorker, dask_settings
from segflow.flows.cluster.tls import check_scheduler, is_encrypted, load_security, security_for
from segflow.flows.cluster.worker_specs import find_gpus, spawn_environment, worker_specs

START_SECONDS = 120  # that a worker process has to come up; importing torch from a busy network disk takes its time
RETIRE_SECONDS = 5.0  # that a scheduler has to give the tasks of a worker that stops to others

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How workers of one machine join a cluster.

    Attributes
    ----------
    workers
        Worker processes; None: one per GPU, or one where there are none.
    gpus
        ``auto``: all that are there; ``none``; or names as in ``CUDA_VISIBLE_DEVICES``, ``0,1``.
    threads
        Processors that each may use; None: an even share.
    name
        Name in messages; several workers get ``NAME-0``, ``NAME-1``, …
    host
        Address to listen on; None: that of the network by which the scheduler is reached.
    tls
        Folder of certificates.
    insecure
        Whether to listen beyond loopback without TLS.
    """

    workers: int | None = None
    gpus: str = "auto"
    threads: int | None = None
    name: str | None = None
    host: str | None = None
    tls: str | None = None
    insecure: bool = False


def serve_scheduler(host: str, port: int, tls: str | None, say: Say, *, insecure: bool = False) -> None:
    """Run a scheduler until SIGTERM or SIGINT.

    Parameters
    ----------
    host, port
        Where to listen; port 0 takes one that is free.
    tls
        Folder of certificates; None: not encrypted.
    say
        Told the address.
    insecure
        Whether to listen beyond loopback without TLS.

    Raises
    ------
    SettingsError
        If it would listen beyond loopback without TLS, or the certificates are missing, damaged or out of date.
    ClusterError
        If it cannot listen there.
    """
    security = load_security(tls) if tls else None
    check_exposure(host, encrypted=tls is not None, insecure=insecure, say=say)
    protocol = "tls" if security else "tcp"

    async def serve() -> None:
        try:
            scheduler = await PortlessScheduler(
                host=host, port=port, protocol=protocol, security=security, dashboard=False
            )
        except (OSError, RuntimeError, ValueError) as error:
            where = unparse_host_port(host, port)
            msg = f"no scheduler can listen on {where} ({error}): choose another --host or --port"
            raise ClusterError(msg) from error
        say(f"scheduler {scheduler.address}")
        await _until_stopped(scheduler.finished())
        await scheduler.close()

    _run(serve(), spawn_environment(1))


def serve_workers(address: str, options: WorkerOptions, say: Say) -> None:
    """Run workers for a scheduler until SIGTERM or SIGINT, or until the scheduler is gone.

    A worker process that dies is started again. Tasks that run when the workers are told to stop go to other workers.

    Parameters
    ----------
    address
        The scheduler, ``tcp://host:port`` or ``tls://host:port``.
    options
        How they join.
    say
        Told what was started.

    Raises
    ------
    SettingsError
        If they would listen beyond loopback without TLS, or certificates and address do not fit.
    ClusterError
        If the scheduler does not answer, the workers do not start, or the scheduler goes away.
    """
    security = security_for(address, options.tls)
    host = options.host or _local_address(address)
    check_exposure(host, encrypted=is_encrypted(address), insecure=options.insecure, say=say)
    device, gpus = ("cpu", ()) if options.gpus == "none" else ("auto", _gpus(options.gpus))
    count = options.workers or max(1, len(gpus))
    specs, names = worker_specs(count, gpus, device), _names(options.name, count)
    environment = spawn_environment(count, options.threads)
    if options.threads:
        os.environ.update(environment)  # Dask would let variables of this process win over what was asked for
    check_scheduler(address, security, CONNECT_SECONDS)

    async def serve() -> None:
        nannies = [
            Nanny(
                address,
                host=host,
                security=security,
                name=name,
                nthreads=1,  # one network per process; threads beside each other would share its processors
                worker_class=PortlessWorker,
                memory_limit=0,
                dashboard=False,
                silence_logs=logging.CRITICAL,
                env=dict(spec.environment),
                resources=dict(spec.resources),
                death_timeout=START_SECONDS,
            )
            for spec, name in zip(specs, names, strict=True)
        ]
        try:
            await asyncio.gather(*nannies)
        except Exception as error:  # Dask raises what it likes here, AssertionError too
            await _close(nannies)
            reason = str(error) or type(error).__name__
            msg = (
                f"no worker came up on {host} for {address} within {START_SECONDS} s ({reason}): "
                "is that address one of this machine?"
            )
            raise ClusterError(msg) from error
        say(f"{count} worker(s) of {address}, segflow {__version__}, {len(gpus)} GPU(s): {', '.join(map(str, names))}")
        stopped = await _until_stopped(_all_finished(nannies))
        if stopped:
            await _retire(nannies)
        await _close(nannies)
        if not stopped:
            msg = f"scheduler {address} is gone, or sent its workers away: start them again when it is back"
            raise ClusterError(msg)

    _run(serve(), environment)


def check_exposure(host: str, *, encrypted: bool, insecure: bool, say: Say) -> None:
    """Refuse to listen beyond loopback without encryption, unless ``--insecure`` was given.

    Raises
    ------
    SettingsError
        If it would.
    """
    if encrypted or is_loopback(host):
        return
    if not insecure:
        msg = (
            f"listening on {host} without TLS lets everyone who reaches it run code here: "
            "add --tls DIR (`segflow tls init DIR` makes one), or --insecure if you mean it"
        )
        raise SettingsError(msg)
    say(f"warning: everyone who reaches {host} can run code here (--insecure)")


def is_loopback(host: str) -> bool:
    """Tell whether a name or address means this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(entry.partition("%")[0]).is_loopback for entry in found)


def _local_address(address: str) -> str:
    """Give the address of this machine on the network by which the scheduler is reached."""
    host = get_address_host(address)
    try:
        return LOOPBACK if is_loopback(host) else str(get_ip(host))
    except (OSError, ValueError) as error:
        msg = f"scheduler {address} cannot be found ({error}): check the address"
        raise ClusterError(msg) from error


def _gpus(wanted: str) -> tuple[str, ...]:
    return find_gpus("auto") if wanted == "auto" else tuple(name.strip() for name in wanted.split(",") if name.strip())


def _names(name: str | None, count: int) -> Sequence[str]:
    own = name or f"{socket.gethostname()}"
    return [own] if count == 1 and name else [f"{own}-{index}" for index in range(count)]


def _run(work: Coroutine[Any, Any, None], environment: dict[str, str]) -> None:
    logging.getLogger("distributed").setLevel(logging.WARNING)  # who was refused, not who came and went
    with dask.config.set(dask_settings(environment)):
        asyncio.run(work)


async def _until_stopped(finished: Coroutine[Any, Any, object]) -> bool:
    """Wait for a signal, and tell whether it came before the server ended by itself."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    waiting = {asyncio.ensure_future(stop.wait()), asyncio.ensure_future(finished)}
    _, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    return stop.is_set()


async def _all_finished(nannies: Sequence[Nanny]) -> None:
    await asyncio.gather(*(nanny.finished() for nanny in nannies))


async def _retire(nannies: Sequence[Nanny]) -> None:
    """Give the running tasks to other workers, so that no scheduler believes that a task killed its worker."""
    addresses = [nanny.worker_address for nanny in nannies if nanny.worker_address]
    with contextlib.suppress(OSError, TimeoutError):
        for nanny in nannies:
            nanny.close_gracefully()
        await asyncio.wait_for(
            nannies[0].scheduler.retire_workers(workers=addresses, close_workers=False, remove=True), RETIRE_SECONDS
        )


async def _close(nannies: Sequence[Nanny]) -> None:
    await asyncio.gather(*(nanny.close() for nanny in nannies if nanny.status != Status.closed), return_exceptions=True)
