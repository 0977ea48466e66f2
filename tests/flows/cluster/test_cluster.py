"""Clusters: inside the process without a port, as processes on loopback, somebody else's."""

import os
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread

import dask
import psutil
import pytest
from distributed import LocalCluster

from segflow.errors import ClusterError, SceneError
from segflow.flows.cluster.opening import open_cluster
from tests.flows.cluster.services import results_of


def square(common: int, task: int) -> tuple[int, int]:
    """Give the square plus what all tasks share, and the process that did it."""
    return task * task + common, os.getpid()


def fail(_common: int, task: int) -> int:
    """Raise one of our errors."""
    msg = f"task {task} is damaged"
    raise SceneError(msg)


def die(_common: int, task: int) -> int:
    """Kill the worker."""
    if task == 3:
        os._exit(1)
    return task


def listening() -> set[int]:
    """Give the ports that this process and its children listen on."""
    me = psutil.Process()
    connections = [c for p in (me, *me.children(recursive=True)) for c in p.net_connections("inet")]
    return {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}


def listening_addresses() -> set[str]:
    """Give the addresses that this process and its children listen on."""
    me = psutil.Process()
    connections = [c for p in (me, *me.children(recursive=True)) for c in p.net_connections("inet")]
    return {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}


def test_the_embedded_cluster_opens_no_port() -> None:
    """Work runs in this very process."""
    before = listening()
    with open_cluster(0, None) as client:
        results = dict(results_of(client, square, 1, range(20)))

        assert listening() == before
    assert {task: value for task, (value, _) in results.items()} == {task: task * task + 1 for task in range(20)}
    assert {pid for _, pid in results.values()} == {os.getpid()}


@pytest.mark.cluster
def test_worker_processes_stay_on_loopback() -> None:
    """Two processes share the work; nothing listens beyond this machine."""
    with open_cluster(2, None) as client:
        results = dict(results_of(client, square, 1, range(40)))

        assert listening_addresses() == {"127.0.0.1"}
    pids = {pid for _, pid in results.values()}
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_an_error_of_a_task_is_raised_as_it_was() -> None:
    """Our errors cross the cluster."""
    with open_cluster(0, None) as client, pytest.raises(SceneError, match="is damaged"):
        list(results_of(client, fail, 0, range(4)))


@pytest.mark.cluster
def test_a_task_that_kills_workers_is_named() -> None:
    """The run stops with the task's name instead of hanging."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),  # patience ends sooner, so the test does
        open_cluster(1, None) as client,
        pytest.raises(ClusterError, match=r"died again and again on 3, even with nothing else"),
    ):
        list(results_of(client, die, 0, range(6)))


@pytest.mark.cluster
def test_an_existing_scheduler_is_used(existing: str) -> None:
    """Work goes to the workers of the scheduler whose address was given."""
    with open_cluster(0, existing) as client:
        results = dict(results_of(client, square, 0, range(8)))

    assert len(results) == 8


def test_a_scheduler_that_is_not_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its address is named, and the wait has an end."""
    monkeypatch.setattr("segflow.flows.cluster.opening.CONNECT_SECONDS", 2)
    with (
        pytest.raises(ClusterError, match=r"tcp://127\.0\.0\.1:9 does not answer"),
        open_cluster(0, "tcp://127.0.0.1:9"),
    ):
        pass


@pytest.fixture
def existing() -> Iterator[str]:
    """Start a scheduler with one worker process, as somebody else would."""
    with LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        yield cluster.scheduler_address


@pytest.mark.cluster
def test_a_worker_that_dies_while_it_starts_does_not_end_the_run() -> None:
    killed: list[int] = []

    def kill_the_first() -> None:
        while not killed:
            for child in psutil.Process().children():
                with suppress(psutil.Error):  # it may be gone by now
                    if not killed and any("spawn_main" in word for word in child.cmdline()):
                        child.kill()
                        killed.append(child.pid)

    killer = Thread(target=kill_the_first)
    killer.start()
    with open_cluster(2, None) as client:
        killer.join()
        results = dict(results_of(client, square, 1, range(20)))

    assert len(killed) == 1
    assert {task: value for task, (value, _) in results.items()} == {task: task * task + 1 for task in range(20)}
