"""Tasks on a cluster: few in flight, errors carried whole, and no waiting for workers that will not come."""

import itertools
import queue
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from distributed import Client, KilledWorker

from segflow.errors import ClusterError, SegflowError

Task = TypeVar("Task")
Result = TypeVar("Result")

IN_FLIGHT = 2  # tasks per worker thread: one that runs, one that waits
LOOK_SECONDS = 2.0  # between looks at whether any worker is left
DESERTED_LOOKS = 30  # in a row without any worker, after which the run stops


def run_bounded(
    client: Client, call: Callable[[Any, Task], Result], common: object, tasks: Iterable[Task]
) -> Iterator[tuple[Task, Result]]:
    """Run ``call(common, task)`` for every task, few at a time, and give results as they come.

    Raises
    ------
    ClusterError
        If workers died again and again while running one task, which is named,
        or no worker is left for a minute.
    SegflowError
        What `call` raised.
    """
    waiting = iter(tasks)
    settled: queue.SimpleQueue[Any] = queue.SimpleQueue()
    pending: dict[Any, tuple[Any, Task]] = {}
    watch = _Watch(client)

    def submit(count: int) -> None:
        for task in itertools.islice(waiting, count):
            future = client.submit(_attempt, call, common, task, pure=False)
            pending[future.key] = future, task
            future.add_done_callback(settled.put)

    submit(IN_FLIGHT * sum(client.nthreads().values()))
    try:
        while pending:
            future, task = pending.pop(_next(settled, watch).key)
            try:
                result = _result(future, watch)
            except KilledWorker as error:
                raise _poisoned(error, [task, *(other for _, other in pending.values())]) from error
            submit(1)
            yield task, result
    finally:
        client.cancel([future for future, _ in pending.values()])


class _Watch:
    """Notices that a cluster is deserted.

    It counts looks, not seconds: a machine that slept for an hour has not been deserted for one.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._empty = 0

    def look(self) -> None:
        """Look whether any worker is there; called every `LOOK_SECONDS` while nothing comes.

        Raises
        ------
        ClusterError
            If there was none in `DESERTED_LOOKS` looks in a row, or the scheduler is gone.
        """
        alive = self._client.status == "running" and self._client.nthreads()
        self._empty = 0 if alive else self._empty + 1
        if self._client.status == "closed" or self._empty > DESERTED_LOOKS:
            msg = "no Dask worker is left: what is done is kept; start workers again and repeat the command"
            raise ClusterError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """One of our errors on its way back from a worker, which Dask would not carry whole."""

    kind: type[SegflowError]
    message: str
    trace: str


def _attempt(call: Callable[[Any, Task], Result], common: object, task: Task) -> "Result | _Failure":
    """Run a task on a worker; our own errors are answers, others are raised."""
    try:
        return call(common, task)
    except SegflowError as error:
        return _Failure(kind=type(error), message=str(error), trace=traceback.format_exc())


def _next(settled: "queue.SimpleQueue[Any]", watch: _Watch) -> Any:  # noqa: ANN401  # a future
    while True:
        try:
            return settled.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            watch.look()


def _result(future: Any, watch: _Watch) -> Any:  # noqa: ANN401  # what the task returns
    """Give what a task returned, or raise what it met; a result lost with its worker is made again."""
    while True:
        try:
            result = future.result(timeout=LOOK_SECONDS)
        except TimeoutError:
            if future.status == "error":
                raise
            watch.look()
            continue
        if isinstance(result, _Failure):
            failed = result.kind(result.message)
            failed.add_note(f"on the worker:\n{result.trace}")
            raise failed
        return result


def _poisoned(error: KilledWorker, tasks: list[Any]) -> ClusterError:
    """Say which tasks were in flight when workers died; Dask does not know which one of them it was."""
    names = ", ".join(str(task) for task in tasks)
    return ClusterError(
        f"workers died again and again on one of tiles {names} (last: {error.last_worker.address}): "
        "too little memory per worker, or a damaged tile; try a smaller --tile or fewer --workers"
    )
