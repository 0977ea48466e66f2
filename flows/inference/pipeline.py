"""Reading, predicting and writing at once: two threads and two bounded queues around one loop."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")

PATIENCE = 0.1  # s between looks at whether anybody still wants the items


class _Reader(threading.Thread):
    """Takes items and puts each with its error, of which one is None, into a bounded queue; None ends it."""

    def __init__(self, items: Iterable[T], depth: int) -> None:
        super().__init__(name="segflow-read", daemon=True)
        self.items = items
        self.ready: queue.Queue[tuple[Any, BaseException | None] | None] = queue.Queue(maxsize=depth)
        self.stopped = threading.Event()

    def run(self) -> None:
        """Take items until they end, fail or nobody wants them."""
        try:
            for item in self.items:
                self._put((item, None))
                if self.stopped.is_set():
                    return
        except BaseException as error:  # noqa: BLE001  # whatever it is, it belongs to whoever asked for the items
            self._put((None, error))
        else:
            self._put(None)

    def _put(self, entry: tuple[Any, BaseException | None] | None) -> None:
        while not self.stopped.is_set():
            try:
                self.ready.put(entry, timeout=PATIENCE)
            except queue.Full:
                continue
            return


def prefetch(items: Iterable[T], depth: int) -> Iterator[T]:
    """Give `items` in order, taken in another thread and at most `depth` ahead.

    An error raised while taking an item is raised here, in its place.
    When the caller stops early, the thread stops too.
    """
    reader = _Reader(items, depth)
    reader.start()
    try:
        while (entry := reader.ready.get()) is not None:
            item, error = entry
            if error is not None:
                raise error
            yield item
    finally:
        reader.stopped.set()
        reader.join()


class Writer:
    """Runs calls in other threads, in order where there is one, at most `depth` behind."""

    def __init__(self, pool: ThreadPoolExecutor, depth: int) -> None:
        self._pool = pool
        self._slots = threading.BoundedSemaphore(depth)

    def submit(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> "Future[R]":
        """Queue a call; waits while `depth` calls are waiting."""
        self._slots.acquire()
        future = self._pool.submit(call, *args, **kwargs)
        future.add_done_callback(lambda _: self._slots.release())
        return future


@contextmanager
def writer(depth: int, threads: int = 1) -> Iterator[Writer]:
    """Open writing threads; leaving waits for what was queued."""
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="segflow-write") as pool:
        yield Writer(pool, depth)
