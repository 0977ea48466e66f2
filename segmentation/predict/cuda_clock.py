"""How long a GPU was busy, told by events on its stream: nobody waits for it to find out."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_KEPT = 64  # pairs of events that may wait to be added up

Pair = tuple[torch.cuda.Event, torch.cuda.Event]


class DeviceClock:
    """Adds up the time between pairs of events.

    Attributes
    ----------
    passes
        Number of measured spans.
    """

    def __init__(self) -> None:
        self.passes = 0
        self._pairs: deque[Pair] = deque()
        self._seconds = 0.0
        self._first: torch.cuda.Event | None = None
        self._last: torch.cuda.Event | None = None
        self._lock = threading.Lock()

    @contextmanager
    def measure(self, stream: torch.cuda.Stream) -> Iterator[None]:
        """Measure what is put on a stream inside the block."""
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record(stream)
        yield
        end.record(stream)
        with self._lock:
            self.passes += 1
            self._first, self._last = self._first or start, end
            self._pairs.append((start, end))
            while len(self._pairs) > _KEPT or (self._pairs and self._pairs[0][1].query()):
                self._fold()

    def restart(self) -> None:
        """Forget when the first pass began, so that `span` tells of what comes."""
        with self._lock:
            self._first = self._last = None

    @property
    def seconds(self) -> float:
        """Time inside all passes so far, those that still run included: waits for them [s]."""
        with self._lock:
            while self._pairs:
                self._fold()
            return self._seconds

    @property
    def span(self) -> float:
        """Time from the first pass's start to the last one's end since `restart` [s]."""
        if self._first is None or self._last is None:
            return 0.0
        self._last.synchronize()
        return float(self._first.elapsed_time(self._last)) / 1000

    def _fold(self) -> None:
        start, end = self._pairs.popleft()
        end.synchronize()
        self._seconds += start.elapsed_time(end) / 1000
