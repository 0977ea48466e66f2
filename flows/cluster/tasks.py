"""Tasks on a cluster: few in flight, and those that kill workers found.

A task that kills its worker is given to another one, and after four of them Dask gives up. It blames every task
that was at those workers, running or waiting, so blame proves nothing. Then no more tasks are sent until those that
are out have come back or are blamed; the guilty one is among the blamed, since it never comes back. They are divided
and tried alone, with nothing else on the cluster: what kills four workers now is guilty. Then all goes on as before.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar

from distributed import Client, KilledWorker

from segflow.errors import ClusterError
from segflow.flows.cluster.flight import Flight
from segflow.flows.cluster.turns import Turns, turns_of

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_bounded(
    client: Client, call: Callable[[Any, Task], Result], common: object, tasks: Iterable[Task]
) -> Generator[tuple[Task, Result], None, None]:
    """Run ``call(common, task)`` for every task, few at a time, and give results as they come.

    Raises
    ------
    ClusterError
        If workers died again and again while running one task, which is named,
        or no worker is left for two minutes.
    SegflowError
        What `call` raised.
    """
    for group in run_grouped(client, call, common, tasks):
        yield from group


def run_grouped(
    client: Client,
    call: Callable[[Any, Task], Result],
    common: object,
    tasks: Iterable[Task],
    *,
    resources: dict[str, float] | None = None,
    parts: Callable[[Task], Iterable[Task]] = lambda task: [task],
    guilty: Callable[[Task, ClusterError], Result] | None = None,
) -> Generator[list[tuple[Task, Result]], None, None]:
    """Do what `run_bounded` does, and give all results that came while the caller was busy together.

    Parameters
    ----------
    tasks
        Taken one by one, as late as possible.
    resources
        What a worker must offer to run a task, ``{"GPU": 1}`` say.
    parts
        Divides a task that may have killed workers; the guilty part is looked for.
    guilty
        Gives the result of a task that kills workers whenever it runs, or raises; None: the error is raised.
    """
    flight: Flight[Task, Result] = Flight(client, call, common, waiting=iter(tasks), resources=resources)
    turns = turns_of(client)
    try:
        while not flight.exhausted:
            blamed = yield from _together(flight, turns)
            if blamed:
                suspects = [part for task in blamed for part in parts(task)]
                yield from _alone(flight, turns, suspects, guilty or _accuse)
    finally:
        flight.cancel()


def _together(flight: Flight[Task, Result], turns: Turns) -> Generator[list[tuple[Task, Result]], None, list[Task]]:
    """Run tasks side by side until none is left, some are blamed or another run asks to be alone; return the blamed."""
    blamed: list[Task] = []
    with turns.together(flight.look):
        flight.fill()
        while flight.pending:
            landed: list[tuple[Task, Result]] = []
            for task, result in flight.land():
                if isinstance(result, KilledWorker):
                    blamed.append(task)
                else:
                    landed.append((task, result))
            if not blamed and not turns.asked_for:
                flight.fill()
            yield landed
    return blamed


def _alone(
    flight: Flight[Task, Result],
    turns: Turns,
    suspects: list[Task],
    guilty: Callable[[Task, ClusterError], Result],
) -> Iterator[list[tuple[Task, Result]]]:
    """Run suspects one by one with nothing else on the cluster."""
    with turns.alone(flight.look):
        for suspect in suspects:
            flight.send(suspect)
            for task, result in flight.land():
                if isinstance(result, KilledWorker):
                    yield [(task, guilty(task, _poisoned(task, result)))]
                else:
                    yield [(task, result)]


def _accuse(_task: Any, error: ClusterError) -> Any:  # noqa: ANN401  # never a result
    raise error


def _poisoned(task: object, killed: KilledWorker) -> ClusterError:
    return ClusterError(
        f"workers died again and again on {task}, even with nothing else to do (last: {killed.last_worker.address}): "
        "too little memory per worker, or a damaged tile; try a smaller --tile or fewer --workers"
    )
