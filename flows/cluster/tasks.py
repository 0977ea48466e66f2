"""Tasks on a cluster: few in flight, and those that kill workers found.

Dask gives a task whose worker died to another worker, and after four of them gives up. It blames every task that was
at those workers, running or waiting, so blame proves nothing. Therefore:

1. As soon as a task is blamed, no more are sent, until those in flight have come back or are blamed too.
   A task that kills workers never comes back, so it is among the blamed.
2. The blamed tasks are split and run one by one, in isolation: with nothing else on the cluster.
   What kills four workers now does so by itself, and is given up.
3. All goes on as before.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar

from distributed import Client, KilledWorker

from segflow.errors import ClusterError
from segflow.flows.cluster.in_flight import TasksInFlight
from segflow.flows.cluster.isolation import IsolationLock, isolation_lock

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_tasks(
    client: Client,
    call: Callable[[Any, Task], Result],
    common: object,
    tasks: Iterable[Task],
    *,
    resources: dict[str, float] | None = None,
    split: Callable[[Task], Iterable[Task]] = lambda task: [task],
    give_up: Callable[[Task, ClusterError], Result] | None = None,
) -> Generator[list[tuple[Task, Result]], None, None]:
    """Run ``call(common, task)`` for every task, few at a time, and give the results as they come.

    Results that came while the caller was busy are given together.

    Parameters
    ----------
    tasks
        Taken one by one, as late as possible.
    resources
        What a worker must offer to run a task, ``{"GPU": 1}`` say.
    split
        Divides a task that may have killed workers, so that as little as possible is given up.
    give_up
        Gives the result of a task that kills workers even in isolation, or raises; None: the error is raised.

    Raises
    ------
    ClusterError
        If workers died again and again while running one task, which is named,
        or no worker is left for two minutes.
    SegflowError
        What `call` raised.
    """
    in_flight: TasksInFlight[Task, Result] = TasksInFlight(
        client, call, common, waiting=iter(tasks), resources=resources
    )
    lock = isolation_lock(client)
    try:
        while not in_flight.exhausted:
            blamed = yield from _run_shared(in_flight, lock)
            if blamed:
                suspects = [part for task in blamed for part in split(task)]
                yield from _run_isolated(in_flight, lock, suspects, give_up or _raise)
    finally:
        in_flight.cancel()


def _run_shared(
    in_flight: TasksInFlight[Task, Result], lock: IsolationLock
) -> Generator[list[tuple[Task, Result]], None, list[Task]]:
    """Run tasks beside other runs until none is left, some are blamed or isolation is wanted; return the blamed."""
    blamed: list[Task] = []
    with lock.shared(in_flight.check_workers):
        in_flight.send_waiting()
        while in_flight.pending:
            results: list[tuple[Task, Result]] = []
            for task, result in in_flight.next_finished():
                if isinstance(result, KilledWorker):
                    blamed.append(task)
                else:
                    results.append((task, result))
            if not blamed and not lock.is_wanted:
                in_flight.send_waiting()
            yield results
    return blamed


def _run_isolated(
    in_flight: TasksInFlight[Task, Result],
    lock: IsolationLock,
    suspects: list[Task],
    give_up: Callable[[Task, ClusterError], Result],
) -> Iterator[list[tuple[Task, Result]]]:
    """Run suspects one by one with nothing else on the cluster."""
    with lock.isolated(in_flight.check_workers):
        for suspect in suspects:
            in_flight.send(suspect)
            for task, result in in_flight.next_finished():
                if isinstance(result, KilledWorker):
                    yield [(task, give_up(task, _kills_workers(task, result)))]
                else:
                    yield [(task, result)]


def _raise(_task: Any, error: ClusterError) -> Any:  # noqa: ANN401  # never a result
    raise error


def _kills_workers(task: object, killed: KilledWorker) -> ClusterError:
    return ClusterError(
        f"workers died again and again on {task}, even with nothing else to do (last: {killed.last_worker.address}): "
        "too little memory per worker, or a damaged tile; try a smaller --tile or fewer --workers"
    )
