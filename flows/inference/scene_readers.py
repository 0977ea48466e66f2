"""Several threads that read one scene, each with a file handle of its own.

Decoding is what a GPU waits for: one thread decodes some hundred million pixels a second, a GPU maps several times
as many. A tile is read in strips, so that all threads work on the tile that is wanted next; strips end on multiples
of `STRIP` rows of the scene, where blocks of files end too, so that no block is decoded twice for it.
"""

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from segflow.io.scene.scenes import Scene
from segflow.tiling import Span, Window

STRIP = 512  # rows; side of the blocks of a COG, and a multiple of those of most other files

MOST = 64  # threads of this process that may read

# Threads outlive a scene: each new one would set PROJ up anew before it could open its file.
_threads = ThreadPoolExecutor(MOST, "segflow-read")

OpenScene = Callable[[], Any]  # gives a context manager of a `Scene`


class SceneReaders:
    """Threads that read windows into arrays; made by `scene_readers`."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[tuple[Window, npt.NDArray[Any], npt.NDArray[np.bool_], Future[None]] | None] = (
            queue.SimpleQueue()
        )

    def read(
        self, window: Window, pixels: npt.NDArray[Any], valid: npt.NDArray[np.bool_], step: int = STRIP
    ) -> list["Future[None]"]:
        """Queue the strips of a window; each is in the arrays when its future is done.

        Parameters
        ----------
        window
            What to read; it may reach past the end of the scene.
        pixels, valid
            (bands, height, width) and (height, width) arrays of the window's shape, to be filled.
        step
            Rows of a strip.
        """
        futures = []
        for rows in strips(window.rows, step):
            place = rows.shift(-window.rows.start).slice
            future: Future[None] = Future()
            self._tasks.put((Window(rows, window.cols), pixels[:, place], valid[place], future))
            futures.append(future)
        return futures

    def work(self, open_scene: OpenScene) -> None:
        """Read what is queued until told to stop; a scene that does not open fails every strip."""
        with ExitStack() as held:
            try:
                scene = held.enter_context(open_scene())
            except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to whoever asked for the strips
                while (task := self._tasks.get()) is not None:
                    if task[-1].set_running_or_notify_cancel():
                        task[-1].set_exception(error)
                return
            while (task := self._tasks.get()) is not None:
                _attempt(scene, *task)

    def stop(self, threads: int) -> None:
        """Let the strips that nobody has begun go, and tell so many threads to end."""
        while True:
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                break
            if task is not None:
                task[-1].cancel()
        for _ in range(threads):
            self._tasks.put(None)


@contextmanager
def scene_readers(open_scene: OpenScene, threads: int) -> Iterator[SceneReaders]:
    """Have threads read; leaving stops them and drops what they have not begun."""
    readers = SceneReaders()
    running = [_threads.submit(readers.work, open_scene) for _ in range(threads)]
    try:
        yield readers
    finally:
        readers.stop(threads)
        wait(running)


def strips(rows: Span, step: int) -> Iterator[Span]:
    """Cut rows at multiples of `step` rows of the scene."""
    start = rows.start
    while start < rows.stop:
        stop = min((start // step + 1) * step, rows.stop)
        yield Span(start, stop)
        start = stop


def _attempt(
    scene: Scene, window: Window, pixels: npt.NDArray[Any], valid: npt.NDArray[np.bool_], future: "Future[None]"
) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        found, holds = scene.read_window(window)
        np.copyto(pixels, found)
        np.copyto(valid, holds)
    except Exception as error:  # noqa: BLE001  # raised where the tile is waited for
        future.set_exception(error)
    else:
        future.set_result(None)
