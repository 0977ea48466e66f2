"""A readers–writer lock for a cluster: many runs have tasks on it at once, or one run has it to itself.

When a worker dies, all tasks that were waiting at it fail with it. Which task killed it can only be known when one
task is on the cluster and no other; so runs that share a client let each other try a task in isolation.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from distributed import Client

CHECK_SECONDS = 2.0  # between checks of the workers while waiting for other runs


class IsolationLock:
    """Lets the runs of one client have tasks in flight at the same time, or a single one of them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sharing = 0
        self._waiting = 0
        self._isolated = False

    @property
    def is_wanted(self) -> bool:
        """Whether a run waits for isolation: the others send no more tasks until theirs are back."""
        return self._waiting > 0

    @contextmanager
    def shared(self, check: Callable[[], None]) -> Iterator[None]:
        """Hold the lock beside other runs.

        Parameters
        ----------
        check
            Called again and again while another run wants isolation or has it; what it raises ends the wait.
        """
        self._wait(lambda: not self._waiting and not self._isolated, check)
        self._sharing += 1
        self._changed.release()
        try:
            yield
        finally:
            with self._changed:
                self._sharing -= 1
                self._changed.notify_all()

    @contextmanager
    def isolated(self, check: Callable[[], None]) -> Iterator[None]:
        """Hold the lock alone.

        Parameters
        ----------
        check
            Called again and again while others hold it; what it raises ends the wait.
        """
        with self._changed:
            self._waiting += 1
        try:
            self._wait(lambda: not self._sharing and not self._isolated, check)
            self._isolated = True
            self._changed.release()
            try:
                yield
            finally:
                with self._changed:
                    self._isolated = False
        finally:
            with self._changed:
                self._waiting -= 1
                self._changed.notify_all()

    def _wait(self, is_free: Callable[[], bool], check: Callable[[], None]) -> None:
        """Return with the condition's lock held as soon as `is_free` holds."""
        self._changed.acquire()
        while not is_free():
            self._changed.wait(CHECK_SECONDS)
            self._changed.release()
            check()
            self._changed.acquire()


_locks: WeakKeyDictionary[Client, IsolationLock] = WeakKeyDictionary()
_making = threading.Lock()


def isolation_lock(client: Client) -> IsolationLock:
    """Give the lock that all runs with this client share."""
    with _making:
        return _locks.setdefault(client, IsolationLock())
