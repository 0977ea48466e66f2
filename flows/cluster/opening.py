"""Dask clusters: inside this process, as local processes on loopback, or one that exists already."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster, Worker

from segflow.errors import ClusterError, SettingsError
from segflow.flows.cluster.tls import check_scheduler, fresh_security, security_for
from segflow.flows.cluster.worker_checks import check_versions
from segflow.flows.cluster.worker_specs import GPU, find_gpus, spawn_environment, worker_specs

LOOPBACK = "127.0.0.1"
CONNECT_SECONDS = 30  # for workers to come up or a scheduler to answer
INSIDE = "inproc"  # scheme of schedulers in this very process


@contextmanager
def open_cluster(
    workers: int, scheduler: str | None, *, tls: str | None = None, device: str = "auto"
) -> Iterator[Client]:
    """Open a client to the cluster that was asked for, and close what it started.

    Parameters
    ----------
    workers
        Local worker processes, on loopback; 0: one worker inside this process, no port open.
    scheduler
        Address of a running scheduler; None: a cluster of our own.
    tls
        Folder of certificates for a ``tls://`` scheduler.
    device
        As in the settings: local workers get the GPUs that it means.

    Raises
    ------
    ClusterError
        If the cluster does not come up, has no workers or runs another version.
    SettingsError
        If certificates and address do not fit each other.
    """
    if scheduler is None and tls is not None:
        msg = f"--tls {tls} is for a scheduler, and none was given: add --scheduler tls://…, or leave --tls out"
        raise SettingsError(msg)
    with dask.config.set(dask_settings(spawn_environment(workers))):
        if scheduler is not None:
            with _connect(scheduler, tls) as client:
                yield client
        else:
            with _local_cluster(workers, device) as cluster, Client(cluster, set_as_default=False) as client:
                _wait_for_workers(client, max(1, workers))
                yield client


def dask_settings(environment: Mapping[str, str]) -> dict[str, Any]:
    """Give Dask's settings for clients, schedulers and workers of segflow.

    Parameters
    ----------
    environment
        Variables that are set before a worker process starts.
    """
    return {
        "distributed.nanny.pre-spawn-environ": dict(environment),
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": False,
        "distributed.admin.system-monitor.disk": False,
        "distributed.admin.system-monitor.gil.enabled": False,
        "distributed.worker.profile.enabled": False,
        "distributed.scheduler.worker-ttl": None,  # a machine that slept must not drop its own worker
        "distributed.deploy.lost-worker-timeout": "1 day",  # Dask gives workers up that restart for longer than 15 s
        "distributed.diagnostics.computations.nframes": 0,  # the source of each call, which nobody would read
        "distributed.comm.timeouts.connect": f"{CONNECT_SECONDS}s",
        "distributed.logging.distributed": "critical",
    }


class PortlessScheduler(Scheduler):
    """A scheduler without a dashboard; Dask's own serves HTTP even when told not to."""

    def start_http_server(self, *_: object, **__: object) -> None:
        """Open no port."""


class PortlessWorker(Worker):
    """A worker without a dashboard."""

    def start_http_server(self, *_: object, **__: object) -> None:
        """Open no port."""


_NOT_STARTED = (OSError, RuntimeError, TimeoutError)


@contextmanager
def _local_cluster(workers: int, device: str) -> Iterator[SpecCluster]:
    try:
        cluster = _start(workers, device)
    except _NOT_STARTED as error:
        msg = f"{max(1, workers)} local worker(s) did not start ({error}): try fewer --workers"
        raise ClusterError(msg) from error
    with cluster:
        yield cluster


def _start(workers: int, device: str) -> SpecCluster:
    """Start a cluster; try once more if a worker process died while it started, since Dask does not."""
    with _kept_environment(spawn_environment(workers)):
        if not workers:
            return _embedded(device)
        try:
            return _processes(workers, device)
        except _NOT_STARTED:
            return _processes(workers, device)


def _embedded(device: str) -> SpecCluster:
    """Start a scheduler and a worker with one thread in this process."""
    offered = {GPU: 1.0} if device.startswith("cuda") else {}
    options = {"nthreads": 1, "memory_limit": 0, "dashboard": False, "resources": offered}
    return SpecCluster(
        scheduler={"cls": PortlessScheduler, "options": {"protocol": INSIDE, "dashboard": False}},
        workers={0: {"cls": PortlessWorker, "options": options}},
        silence_logs=logging.CRITICAL,
    )


def _processes(workers: int, device: str) -> SpecCluster:
    """Start worker processes with one thread each, on loopback.

    They speak TLS with certificates that are made for this cluster and held in memory: whoever reaches
    a scheduler's port runs code, and on loopback that is every user of the machine.
    """
    security = fresh_security()
    common = {"host": LOOPBACK, "protocol": "tls", "security": security, "dashboard": False}
    return SpecCluster(
        scheduler={"cls": PortlessScheduler, "options": {**common, "port": 0}},
        workers={
            index: {
                "cls": Nanny,
                "options": {
                    **common,
                    "worker_class": PortlessWorker,
                    "nthreads": 1,
                    "memory_limit": 0,
                    "silence_logs": logging.CRITICAL,
                    "env": dict(spec.environment),
                    "resources": dict(spec.resources),
                },
            }
            for index, spec in enumerate(worker_specs(workers, find_gpus(device), device))
        },
        security=security,
        silence_logs=logging.CRITICAL,
    )


@contextmanager
def _kept_environment(names: Iterable[str]) -> Iterator[None]:
    """Restore variables of this process after the block: Dask sets those of its workers here too."""
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _connect(address: str, tls: str | None) -> Iterator[Client]:
    security = security_for(address, tls)
    if address.startswith(("tcp://", "tls://")):
        check_scheduler(address, security, CONNECT_SECONDS)
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False, security=security)
    except (OSError, TimeoutError, ValueError) as error:
        msg = f"scheduler {address} does not answer within {CONNECT_SECONDS} s ({error}): is it running there?"
        raise ClusterError(msg) from error
    with client:
        _wait_for_workers(client, 1)
        check_versions(client)
        yield client


def _wait_for_workers(client: Client, count: int) -> None:
    try:
        client.wait_for_workers(count, timeout=CONNECT_SECONDS)
    except TimeoutError as error:
        found = len(client.nthreads())
        msg = f"{found} of {count} Dask worker(s) came up within {CONNECT_SECONDS} s: start workers for this scheduler"
        raise ClusterError(msg) from error
