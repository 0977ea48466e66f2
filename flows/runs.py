"""How many tiles make a task: enough that scheduling costs nothing, few enough that no worker waits at the end."""

from collections.abc import Iterator, Sequence

FEWEST = 4  # tiles; keep the pipeline inside a task full: while one is predicted, others are read and written
MOST = 64  # tiles; what a dead worker's task may cost at the most
TASK_SECONDS = 2.0  # of one task; a scheduler needs some milliseconds for it, whatever it holds
ROUNDS = 2  # the tiles that are left are shared out so many times at least, so that all workers end together


class TileRuns:
    """Cuts pending tiles into tasks, each when it is asked for, by what the tasks before it took.

    Which tiles share a task decides no pixel of an exact map.
    """

    def __init__(self, pending: Sequence[int], slots: int) -> None:
        self._pending, self._slots = pending, max(1, slots)
        self._sent = self._learned = 0
        self._seconds = 0.0

    def learn(self, tiles: int, seconds: float) -> None:
        """Hear how long a task of so many tiles took [s]."""
        self._learned += tiles
        self._seconds += seconds

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """Give runs of tiles until none is left."""
        while self._sent < len(self._pending):
            run = tuple(self._pending[self._sent : self._sent + self._size()])
            self._sent += len(run)
            yield run

    def _size(self) -> int:
        left = len(self._pending) - self._sent
        wanted = FEWEST
        if self._learned and self._seconds:
            wanted = int(TASK_SECONDS * self._learned / self._seconds) // FEWEST * FEWEST  # whole batches
        wanted = min(max(FEWEST, wanted), MOST)
        fair = left if self._slots == 1 else -(-left // (ROUNDS * self._slots))
        return min(wanted, fair)
