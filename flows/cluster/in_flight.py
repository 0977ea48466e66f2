"""Tasks in flight on a cluster: few at a time, errors carried whole, no waiting for ever."""

import os
import queue
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from distributed import Client, KilledWorker, get_worker

from segflow.errors import ClusterError, SegflowError
from segflow.flows.cluster.versions import Versions, read_versions

Task = TypeVar("Task")
Result = TypeVar("Result")

IN_FLIGHT = 2  # tasks per worker thread: one that runs, one that waits
CHECK_SECONDS = 2.0  # between checks whether any worker is left
CHECKS_WITHOUT_WORKERS = 60  # in a row, after which the run stops; a busy machine takes a minute to start a worker
COUNT_SECONDS = 5.0  # between counts of the workers: some may have come since


class TasksInFlight(Generic[Task, Result]):
    """The tasks of one run that were sent to the scheduler and have not come back.

    Attributes
    ----------
    pending
        Futures and their tasks, by the future's key.
    exhausted
        Whether no task waits to be sent.
    """

    def __init__(
        self,
        client: Client,
        call: Callable[[Any, Task], Result],
        common: object,
        *,
        waiting: Iterator[Task],
        resources: dict[str, float] | None,
    ) -> None:
        self._client, self._call, self._common, self._resources = client, call, common, resources
        self._waiting = waiting
        self._finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._limit, self._counted = 0, -COUNT_SECONDS
        self._checks_without_workers = 0
        self.pending: dict[Any, tuple[Any, Task]] = {}
        self.exhausted = False
        self._problem: Exception | None = None
        self._needed = read_versions()

    def send_waiting(self) -> None:
        """Send waiting tasks until `IN_FLIGHT` per worker thread are in flight."""
        if time.monotonic() - self._counted >= COUNT_SECONDS:
            self._limit = IN_FLIGHT * max(1, count_slots(self._client, self._resources))
            self._counted = time.monotonic()
        while len(self.pending) < self._limit and not self.exhausted:
            try:
                task = next(self._waiting)
            except StopIteration:
                self.exhausted = True
            else:
                self.send(task)

    def send(self, task: Task) -> None:
        """Send one task."""
        what = (self._needed, self._call, self._common, task)
        future = self._client.submit(_attempt, *what, pure=False, resources=self._resources)
        self.pending[future.key] = future, task
        future.add_done_callback(self._finished.put)

    def next_finished(self) -> list[tuple[Task, Result | KilledWorker]]:
        """Wait for finished tasks, at least one, and give each with its result, or `KilledWorker` if Dask gave it up.

        Raises
        ------
        ClusterError
            If no worker is left, or the cluster forgot a task.
        SegflowError
            What a task raised.
        """
        if self._problem is not None:
            raise self._problem
        futures = [self._next()]
        while not self._finished.empty():
            futures.append(self._finished.get())
        finished = []
        for future in futures:
            try:
                finished.append(self._answer(*self.pending.pop(future.key)))
            except Exception as error:  # noqa: BLE001  # raised below, or after those that came with it were given
                self._problem = self._problem or error
        if self._problem is not None and not finished:
            raise self._problem
        return finished

    def _answer(self, future: Any, task: Task) -> tuple[Task, Result | KilledWorker]:  # noqa: ANN401  # a future
        try:
            return task, self._result(future)
        except KilledWorker as error:
            return task, error
        except CancelledError as error:
            msg = f"the Dask cluster forgot a task ({error}): what is done is kept; repeat the command"
            raise ClusterError(msg) from error

    def check_workers(self) -> None:
        """Check that any worker is there; called every `CHECK_SECONDS` while no task finishes.

        Checks are counted, not seconds: a machine that slept for an hour was not without workers for an hour.

        Raises
        ------
        ClusterError
            If there was none in more than `CHECKS_WITHOUT_WORKERS` checks in a row, or the scheduler is gone.
        """
        alive = self._client.status == "running" and count_slots(self._client, self._resources)
        self._checks_without_workers = 0 if alive else self._checks_without_workers + 1
        if self._client.status == "closed" or self._checks_without_workers > CHECKS_WITHOUT_WORKERS:
            kind = f" that offers {self._resources}" if self._resources else ""
            msg = f"no Dask worker{kind} is left: what is done is kept; start workers again and repeat the command"
            raise ClusterError(msg)

    def cancel(self) -> None:
        """Cancel the tasks in flight."""
        self._client.cancel([future for future, _ in self.pending.values()])

    def _next(self) -> Any:  # noqa: ANN401  # a future
        while True:
            try:
                return self._finished.get(timeout=CHECK_SECONDS)
            except queue.Empty:
                self.check_workers()

    def _result(self, future: Any) -> Any:  # noqa: ANN401  # a future, and what the task returns
        """Give what a task returned, or raise what it raised; what is lost with its worker, Dask computes again."""
        while True:
            try:
                result = future.result(timeout=CHECK_SECONDS)
            except TimeoutError:
                if future.status == "error":
                    raise
                self.check_workers()
                continue
            if isinstance(result, _Failure):
                failed = result.kind(result.message)
                failed.add_note(f"on the worker:\n{result.trace}")
                raise failed
            return result


def count_slots(client: Client, resources: dict[str, float] | None = None) -> int:
    """Give how many tasks with these needs the workers can run at once; 0 while the scheduler does not answer."""
    try:
        if not resources:
            return sum(client.nthreads().values())
        workers = client.scheduler_info()["workers"].values()
    except OSError:
        return 0
    return sum(
        min(worker["nthreads"], *(int(worker["resources"].get(name, 0) / each) for name, each in resources.items()))
        for worker in workers
    )


def worker_name() -> str:
    """Give the name of the worker that runs this: its own, if it was given one, with its machine and process."""
    process = f"{socket.gethostname()}:{os.getpid()}"
    try:
        name = str(get_worker().name)
    except ValueError:  # no worker at all
        return process
    return process if "://" in name else f"{name}@{process}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """One of our errors on its way back from a worker, which Dask would not carry whole."""

    kind: type[SegflowError]
    message: str
    trace: str


def _attempt(needed: Versions, call: Callable[[Any, Task], Result], common: object, task: Task) -> "Result | _Failure":
    """Run a task on a worker; our own errors are answers, others are raised."""
    try:
        needed.check(read_versions(), worker_name())  # it may have joined after the run began
        return call(common, task)
    except SegflowError as error:
        return _Failure(kind=type(error), message=str(error), trace=traceback.format_exc())
