"""Processes of this machine that run tasks; results come in the order of the tasks.

The calling process works too: while it waits for the next result, it runs the next task itself.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context

from segflow.errors import ClusterError
from segflow.segmentation.vectors.execution import Result, SerialWorkers, Task, Workers

AHEAD = 2  # tasks that are queued for each process, so that none is idle
DONE = 4  # results per process that may wait for earlier ones


def cores() -> int:
    """Give the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool:
    """Workers that are processes, this one included; made by `open_pool`."""

    def __init__(self, executor: ProcessPoolExecutor, others: int) -> None:
        self._executor = executor
        self._others = others

    def run(self, call: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Give the results of all tasks, in their order.

        Raises
        ------
        ClusterError
            If a process was killed.
        """
        try:
            yield from self._share(self._executor, call, iter(tasks))
        except BrokenProcessPool as error:
            msg = f"a worker process was killed ({error}): too little memory? use fewer --workers"
            raise ClusterError(msg) from error

    def _share(
        self, executor: ProcessPoolExecutor, call: Callable[[Task], Result], waiting: Iterator[Task]
    ) -> Iterator[Result]:
        pending: deque[Future[Result]] = deque()
        more = True
        while more or pending:
            running = sum(not future.done() for future in pending)
            while more and running < AHEAD * self._others and len(pending) < DONE * (self._others + 1):
                more = _submit(executor, call, waiting, pending)
                running += more
            if not pending:
                break
            if not pending[0].done() and more and len(pending) < DONE * (self._others + 1):
                more = _do_here(call, waiting, pending)
            else:
                yield pending.popleft().result()


def _submit(
    executor: ProcessPoolExecutor,
    call: Callable[[Task], Result],
    waiting: Iterator[Task],
    pending: "deque[Future[Result]]",
) -> bool:
    """Submit the next task to another process; False if there is none."""
    for task in waiting:
        pending.append(executor.submit(call, task))
        return True
    return False


def _do_here(call: Callable[[Task], Result], waiting: Iterator[Task], pending: "deque[Future[Result]]") -> bool:
    """Run the next task in this process; False if there is none."""
    for task in waiting:
        future: Future[Result] = Future()
        pending.append(future)
        future.set_result(call(task))
        return True
    return False


@contextmanager
def open_pool(processes: int) -> Iterator[Workers]:
    """Give workers in this many processes, this one included; with one process, tasks run one after the other."""
    if processes <= 1:
        yield SerialWorkers()
        return
    executor = ProcessPoolExecutor(processes - 1, mp_context=get_context("spawn"))
    try:
        yield Pool(executor, processes - 1)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
