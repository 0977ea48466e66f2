"""How many tiles make a task: enough that scheduling costs nothing, few enough that no worker waits at the end."""

from collections.abc import Iterator, Sequence

FEWEST = 4  # tiles; keep the pipeline inside a task full: while one is predicted, others are read and written
MOST = 64  # tiles; what a dead worker's task may cost at the most
TASK_SECONDS = 2.0  # of one task; a scheduler needs some milliseconds for it, whatever it holds
ROUNDS = 2  # the tiles that are left are shared out so many times at least, so that all workers end together
MEMORY = 0.9  # weight of a task against the next one's; a worker's first task loads the model and tells little
QUICKEST = 1e-6  # s
LEAST_SECONDS = 0.5  # of a task; workers may end so far apart, and tiny tasks at the end keep no scheduler busy


class TileTasks:
    """Divides pending tiles into tasks, each when it is asked for, by how long the tasks before it took.

    Which tiles share a task changes no pixel of an exact map.

    Parameters
    ----------
    pending
        The tiles.
    slots
        Tasks that run at a time.
    first
        Tiles of each task that is cut before the first one has come back with its time.
    """

    def __init__(self, pending: Sequence[int], slots: int, first: int = FEWEST) -> None:
        self._pending, self._slots, self._first = pending, max(1, slots), first
        self._sent = 0
        self._tiles = self._seconds = 0.0  # of the tasks before, the older the less

    def learn(self, tiles: int, seconds: float) -> None:
        """Take into account that a task of so many tiles took so long [s]."""
        self._tiles = MEMORY * self._tiles + tiles
        self._seconds = MEMORY * self._seconds + seconds

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """Give tasks, each as the numbers of its tiles, until no tile is left."""
        while self._sent < len(self._pending):
            task = tuple(self._pending[self._sent : self._sent + self._size()])
            self._sent += len(task)
            yield task

    def _size(self) -> int:
        left = len(self._pending) - self._sent
        wanted, least = self._first, 1
        if self._seconds:
            pace = self._tiles / max(self._seconds, QUICKEST)  # tiles/s of one worker
            wanted = min(max(FEWEST, int(TASK_SECONDS * pace) // FEWEST * FEWEST), MOST)  # whole batches
            least = min(max(1, int(LEAST_SECONDS * pace)), MOST)
        fair = left if self._slots == 1 else max(least, -(-left // (ROUNDS * self._slots)))
        return min(wanted, fair)
