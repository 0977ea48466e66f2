"""Whose turn it is on a cluster: many runs together, or one alone.

A worker that dies takes all tasks that wait at it along. Who killed it can only be known when one
task is on the cluster and no other; so runs that share a client let each other try a task alone.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from distributed import Client

PATIENCE = 2.0  # s between looks while waiting for other runs


class Turns:
    """Lets runs of one client have tasks in flight together, or one of them alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._together = 0
        self._asking = 0
        self._alone = False

    @property
    def asked_for(self) -> bool:
        """Whether somebody waits to be alone: the others send no more tasks until theirs are back."""
        return self._asking > 0

    @contextmanager
    def together(self, look: Callable[[], None]) -> Iterator[None]:
        """Have tasks in flight beside other runs; waits while one wants to be alone, calling `look` meanwhile."""
        self._wait(lambda: not self._asking and not self._alone, look)
        self._together += 1
        self._changed.release()
        try:
            yield
        finally:
            with self._changed:
                self._together -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self, look: Callable[[], None]) -> Iterator[None]:
        """Be the only one with a task in flight; waits for the tasks of all others, calling `look` meanwhile."""
        with self._changed:
            self._asking += 1
        try:
            self._wait(lambda: not self._together and not self._alone, look)
            self._alone = True
            self._changed.release()
            try:
                yield
            finally:
                with self._changed:
                    self._alone = False
        finally:
            with self._changed:
                self._asking -= 1
                self._changed.notify_all()

    def _wait(self, free: Callable[[], bool], look: Callable[[], None]) -> None:
        """Return with the lock held as soon as `free` holds; what `look` raises ends the wait."""
        self._changed.acquire()
        while not free():
            self._changed.wait(PATIENCE)
            self._changed.release()
            look()
            self._changed.acquire()


_turns: WeakKeyDictionary[Client, Turns] = WeakKeyDictionary()
_making = threading.Lock()


def turns_of(client: Client) -> Turns:
    """Give the turns of all runs that use this client."""
    with _making:
        return _turns.setdefault(client, Turns())
