"""Tasks on a cluster: how many tiles make one, how many are in flight, which one kills workers, who is isolated."""

import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator

import dask
import pytest
from distributed import Client, Scheduler, SpecCluster, Worker
from hypothesis import given
from hypothesis import strategies as st

from segflow.errors import ClusterError
from segflow.flows.cluster.in_flight import IN_FLIGHT, count_slots, worker_name
from segflow.flows.cluster.isolation import IsolationLock
from segflow.flows.cluster.opening import open_cluster
from segflow.flows.inference.task_sizes import FEWEST, LEAST_SECONDS, MOST, ROUNDS, TASK_SECONDS, TileTasks
from tests.flows.cluster.services import results_of

Numbers = tuple[int, ...]


def die_at(deadly: int, numbers: Numbers) -> Numbers:
    """Kill the worker where the deadly number is among the others, as the kernel does when memory is full."""
    if deadly in numbers:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return tuple(-number for number in numbers)


def name_worker(_common: None, number: int) -> str:
    """Give the name of the worker."""
    return f"{number} {worker_name()}"


def alone(numbers: Numbers) -> list[Numbers]:
    """Give each number alone."""
    return [(number,) for number in numbers]


@given(
    pending=st.lists(st.integers(0, 10**6), max_size=300, unique=True),
    slots=st.integers(0, 70),
    seconds=st.lists(st.floats(0, 100), min_size=1, max_size=5),
)
def test_every_tile_is_in_one_task(pending: list[int], slots: int, seconds: list[float]) -> None:
    """In order, whatever the tasks before took; where tiles are slow, none holds more than is fair."""
    tasks, took = TileTasks(pending, slots), itertools.cycle(seconds)
    cut: list[int] = []
    for task in tasks:
        left = len(pending) - len(cut)
        slow = min(seconds) > FEWEST * LEAST_SECONDS  # so that no fair share is too short
        assert 1 <= len(task) <= MOST
        assert slots <= 1 or not slow or len(task) <= -(-left // (ROUNDS * slots))
        cut.extend(task)
        tasks.learn(FEWEST, next(took))

    assert cut == pending


@pytest.mark.parametrize(("tile_seconds", "expected"), [(10.0, FEWEST), (0.1, TASK_SECONDS / 0.1), (0.001, MOST)])
def test_tasks_grow_until_they_take_their_time(tile_seconds: float, expected: float) -> None:
    """Slow tiles come in fours, fast ones in as many as fill the time."""
    tasks = TileTasks(range(10_000), slots=2)
    cut = iter(tasks)
    first = next(cut)
    tasks.learn(len(first), len(first) * tile_seconds)

    assert len(first) == FEWEST
    assert len(next(cut)) == expected


def test_few_tasks_are_out_at_a_time() -> None:
    """Tasks are taken as results come: what a scheduler holds does not grow with the scene."""
    taken = finished = most = 0

    def tasks() -> Iterator[int]:
        nonlocal taken, most
        for number in range(200):
            taken += 1
            most = max(most, taken - finished)
            yield number

    with open_cluster(0, None) as client:
        for _ in results_of(client, name_worker, None, tasks()):
            finished += 1

    assert finished == taken == 200
    assert most <= 2 * IN_FLIGHT  # results are given when the next tasks are in flight


def test_tasks_go_to_workers_that_offer_what_they_need() -> None:
    """Of two workers one has a GPU, of two threads it gives one to it at a time."""
    options = {"nthreads": 2, "memory_limit": 0, "dashboard": False}
    workers = {name: {"cls": Worker, "options": {**options, "resources": offer}} for name, offer in OFFERS.items()}
    scheduler = {"cls": Scheduler, "options": {"protocol": "inproc", "dashboard": False}}
    with SpecCluster(workers, scheduler) as cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=30)
        anywhere, needy = count_slots(client), count_slots(client, {"GPU": 1})
        names = {name for _, name in results_of(client, name_worker, None, range(20), resources={"GPU": 1})}

    assert (anywhere, needy) == (4, 1)
    assert {name.split()[1].split("@")[0] for name in names} == {"with"}


OFFERS: dict[str, dict[str, float]] = {"with": {"GPU": 1}, "without": {}}


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Client]:
    """Two worker processes; Dask's patience with a task ends with its first worker, which saves the test some."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        open_cluster(2, None, device="cpu") as client,
    ):
        yield client


@pytest.mark.cluster
def test_only_the_guilty_part_is_given_up(two_workers: Client) -> None:
    """All others are done, those that waited beside it too."""
    tasks = [tuple(range(start, start + 4)) for start in range(0, 40, 4)]
    lost: list[Numbers] = []

    def give_up(task: Numbers, _error: ClusterError) -> Numbers:
        lost.append(task)
        return ()

    landed = list(results_of(two_workers, die_at, 13, tasks, split=alone, give_up=give_up))

    assert lost == [(13,)]
    assert sorted(number for numbers, _ in landed for number in numbers) == list(range(40))
    assert {numbers: result for numbers, result in landed if result != tuple(-n for n in numbers)} == {(13,): ()}


@pytest.mark.cluster
def test_a_run_that_stops_names_the_guilty_part(two_workers: Client) -> None:
    """What was done before is there; the cluster serves the next run."""
    landed = []
    with pytest.raises(ClusterError, match=r"again and again on \(5,\), even with nothing else to do"):
        landed.extend(results_of(two_workers, die_at, 5, [(1, 2), (3, 4), (5, 6), (7, 8)], split=alone))
    after = dict(results_of(two_workers, die_at, -1, [(1,), (2,)]))

    assert after == {(1,): (-1,), (2,): (-2,)}


@pytest.mark.cluster
@pytest.mark.slow
def test_a_run_beside_a_guilty_one_is_never_blamed() -> None:
    """On one worker everything dies together, yet only the task that kills is given up."""
    lost: dict[str, list[Numbers]] = {"guilty": [], "innocent": []}
    landed: dict[str, int] = {}

    def map_numbers(client: Client, name: str, deadly: int) -> None:
        def give_up(task: Numbers, _error: ClusterError) -> Numbers:
            lost[name].append(task)
            return ()

        tasks = [(number, number + 1) for number in range(0, 24, 2)]
        landed[name] = sum(1 for _ in results_of(client, die_at, deadly, tasks, split=alone, give_up=give_up))

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        open_cluster(1, None, device="cpu") as client,
    ):
        threads = [
            threading.Thread(target=map_numbers, args=(client, name, deadly))
            for name, deadly in (("guilty", 9), ("innocent", -1))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert lost == {"guilty": [(9,)], "innocent": []}
    assert min(landed.values()) >= 12


def test_one_alone_is_alone() -> None:
    """Many threads, each now together and now alone: nobody is there beside one who is alone."""
    lock, inside, seen = IsolationLock(), set[str](), list[tuple[str, frozenset[str]]]()
    noting = threading.Lock()

    def visit(name: str) -> None:
        for number in range(20):
            is_alone = number % 5 == 4
            with lock.isolated(lambda: None) if is_alone else lock.shared(lambda: None):
                with noting:
                    inside.add(name)
                    seen.append(("alone" if is_alone else "together", frozenset(inside)))
                time.sleep(0.001)
                with noting:
                    inside.remove(name)

    threads = [threading.Thread(target=visit, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(seen) == 160
    assert {len(who) for how, who in seen if how == "alone"} == {1}
    assert max(len(who) for how, who in seen if how == "together") > 1


def test_waiting_for_others_ends_when_nobody_is_left() -> None:
    """What the check raises comes through, and the lock is free for others."""
    lock = IsolationLock()

    def check() -> None:
        msg = "no Dask worker is left"
        raise ClusterError(msg)

    with lock.shared(check), pytest.raises(ClusterError, match="no Dask worker"), lock.isolated(check):
        pass

    assert not lock.is_wanted
