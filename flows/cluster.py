"""Dask clusters: inside this process, as local processes on loopback, or one that exists already."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import dask
from distributed import Client, LocalCluster, Scheduler, SpecCluster, Worker

from segflow import __version__
from segflow.errors import ClusterError
from segflow.segmentation.memory import MALLOC_ENVIRONMENT

LOOPBACK = "127.0.0.1"
CONNECT_SECONDS = 30  # for workers to come up or a scheduler to answer


@contextmanager
def open_cluster(workers: int, scheduler: str | None) -> Iterator[Client]:
    """Open a client to the cluster that was asked for, and close what it started.

    Parameters
    ----------
    workers
        Local worker processes, on loopback; 0: one worker inside this process, no port open.
    scheduler
        Address of a running scheduler; None: a cluster of our own.

    Raises
    ------
    ClusterError
        If the cluster does not come up, has no workers or runs another version.
    """
    settings = {
        "distributed.nanny.pre-spawn-environ": _spawn_environment(workers),
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": False,
        "distributed.admin.system-monitor.disk": False,
        "distributed.admin.system-monitor.gil.enabled": False,
        "distributed.worker.profile.enabled": False,
        "distributed.scheduler.worker-ttl": None,  # a machine that slept must not drop its own worker
        "distributed.comm.timeouts.connect": f"{CONNECT_SECONDS}s",
        "distributed.logging.distributed": "critical",
    }
    with dask.config.set(settings):
        if scheduler is not None:
            with _connect(scheduler) as client:
                yield client
        else:
            with _local_cluster(workers) as cluster, Client(cluster, set_as_default=False) as client:
                _wait_for_workers(client, max(1, workers))
                yield client


def _spawn_environment(workers: int) -> dict[str, str]:
    """Give the environment of worker processes: processors are shared out evenly, freed memory is kept."""
    threads = str(max(1, (os.cpu_count() or 1) // max(1, workers)))
    return {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, **MALLOC_ENVIRONMENT}


class _PortlessScheduler(Scheduler):
    """A scheduler that answers inside this process only; Dask's own serves HTTP even without a dashboard."""

    def start_http_server(self, *_: object, **__: object) -> None:
        """Open no port."""


class _PortlessWorker(Worker):
    """A worker that answers inside this process only."""

    def start_http_server(self, *_: object, **__: object) -> None:
        """Open no port."""


def _local_cluster(workers: int) -> SpecCluster:
    try:
        return _processes(workers) if workers else _embedded()
    except (OSError, RuntimeError, TimeoutError) as error:
        msg = f"{max(1, workers)} local worker(s) did not start ({error}): try fewer --workers"
        raise ClusterError(msg) from error


def _embedded() -> SpecCluster:
    """Start a scheduler and a worker with one thread in this process."""
    return SpecCluster(
        scheduler={"cls": _PortlessScheduler, "options": {"protocol": "inproc", "dashboard": False}},
        workers={0: {"cls": _PortlessWorker, "options": {"nthreads": 1, "memory_limit": 0, "dashboard": False}}},
        silence_logs=logging.CRITICAL,
    )


def _processes(workers: int) -> SpecCluster:
    """Start worker processes with one thread each; they and their HTTP servers listen on loopback."""
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host=LOOPBACK,
        dashboard_address=f"{LOOPBACK}:0",
        worker_dashboard_address=f"{LOOPBACK}:0",
        memory_limit=0,
        silence_logs=logging.CRITICAL,
    )


@contextmanager
def _connect(address: str) -> Iterator[Client]:
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        msg = f"scheduler {address} does not answer within {CONNECT_SECONDS} s ({error}): is it running there?"
        raise ClusterError(msg) from error
    with client:
        _wait_for_workers(client, 1)
        _check_versions(client, address)
        yield client


def _wait_for_workers(client: Client, count: int) -> None:
    try:
        client.wait_for_workers(count, timeout=CONNECT_SECONDS)
    except TimeoutError as error:
        found = len(client.scheduler_info()["workers"])
        msg = f"{found} of {count} Dask worker(s) came up within {CONNECT_SECONDS} s: start workers for this scheduler"
        raise ClusterError(msg) from error


def _check_versions(client: Client, address: str) -> None:
    for worker, version in client.run(_version).items():
        if version != __version__:
            msg = f"worker {worker} of {address} runs segflow {version}, but needs {__version__}: install the same"
            raise ClusterError(msg)


def _version() -> str:
    try:
        from segflow import __version__ as version  # noqa: PLC0415  # runs on the worker
    except ImportError:
        return "none"
    return version
