"""Tasks that are with the workers of a cluster: few at a time, errors carried whole, no waiting for ever."""

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
LOOK_SECONDS = 2.0  # between looks at whether any worker is left
DESERTED_LOOKS = (
    60  # in a row without any worker, after which the run stops; a busy machine takes a minute to start one
)
COUNT_SECONDS = 5.0  # between counts of the workers: some may have come since


class Flight(Generic[Task, Result]):
    """The tasks of one run that are with the workers.

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
        self._settled: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._limit, self._counted = 0, -COUNT_SECONDS
        self._empty_looks = 0
        self.pending: dict[Any, tuple[Any, Task]] = {}
        self.exhausted = False
        self._problem: Exception | None = None
        self._needed = read_versions()

    def fill(self) -> None:
        """Send waiting tasks until `IN_FLIGHT` per worker thread are out."""
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
        future.add_done_callback(self._settled.put)

    def land(self) -> list[tuple[Task, Result | KilledWorker]]:
        """Give the tasks that came back, at least one, each with its result or the end of Dask's patience with it.

        Raises
        ------
        ClusterError
            If no worker is left, or the cluster forgot a task.
        SegflowError
            What a task met.
        """
        if self._problem is not None:
            raise self._problem
        settled = [self._next()]
        while not self._settled.empty():
            settled.append(self._settled.get())
        landed = []
        for future in settled:
            try:
                landed.append(self._land(*self.pending.pop(future.key)))
            except Exception as error:  # noqa: BLE001  # raised below, or after those that came with it were given
                self._problem = self._problem or error
        if self._problem is not None and not landed:
            raise self._problem
        return landed

    def _land(self, future: Any, task: Task) -> tuple[Task, Result | KilledWorker]:  # noqa: ANN401  # a future
        try:
            return task, self._result(future)
        except KilledWorker as error:
            return task, error
        except CancelledError as error:
            msg = f"the Dask cluster forgot a task ({error}): what is done is kept; repeat the command"
            raise ClusterError(msg) from error

    def look(self) -> None:
        """Look whether any worker is there; called every `LOOK_SECONDS` while nothing comes.

        It counts looks, not seconds: a machine that slept for an hour has not been deserted for one.

        Raises
        ------
        ClusterError
            If there was none in `DESERTED_LOOKS` looks in a row, or the scheduler is gone.
        """
        alive = self._client.status == "running" and count_slots(self._client, self._resources)
        self._empty_looks = 0 if alive else self._empty_looks + 1
        if self._client.status == "closed" or self._empty_looks > DESERTED_LOOKS:
            kind = f" that offers {self._resources}" if self._resources else ""
            msg = f"no Dask worker{kind} is left: what is done is kept; start workers again and repeat the command"
            raise ClusterError(msg)

    def cancel(self) -> None:
        """Take back what is out."""
        self._client.cancel([future for future, _ in self.pending.values()])

    def _next(self) -> Any:  # noqa: ANN401  # a future
        while True:
            try:
                return self._settled.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                self.look()

    def _result(self, future: Any) -> Any:  # noqa: ANN401  # a future, and what the task returns
        """Give what a task returned, or raise what it met; a result lost with its worker is made again."""
        while True:
            try:
                result = future.result(timeout=LOOK_SECONDS)
            except TimeoutError:
                if future.status == "error":
                    raise
                self.look()
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
