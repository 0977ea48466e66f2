"""Reading, predicting and writing at once: two threads and two bounded queues around one loop."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")

_END = object()


def prefetch(items: Iterable[T], depth: int) -> Iterator[T]:
    """Give `items` in order, taken in another thread and at most `depth` ahead.

    An error raised while taking an item is raised here, in its place.
    When the reader stops early, the thread stops too.
    """
    ready: queue.Queue[object] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(entry: object) -> bool:
        while not stopped.is_set():
            try:
                ready.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def take() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    return
        except BaseException as error:  # noqa: BLE001  # whatever it is, it belongs to the reader
            put((None, error))
        else:
            put(_END)

    thread = threading.Thread(target=take, name="segflow-read", daemon=True)
    thread.start()
    try:
        while (entry := ready.get()) is not _END:
            item, error = entry  # type: ignore[misc]  # only pairs and _END are put
            if error is not None:
                raise error
            yield item
    finally:
        stopped.set()
        thread.join()


class Writer:
    """Runs calls in one other thread, in order, at most `depth` behind."""

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
def writer(depth: int) -> Iterator[Writer]:
    """Open a writing thread; leaving waits for what was queued."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="segflow-write") as pool:
        yield Writer(pool, depth)
