"""`segflow run SCENE…`: many scenes over one cluster, side by side within limits.

Scenes share nothing but the workers: one that fails is told and leaves the others alone. A thread per scene plans,
waits for its tiles and writes its products; so the workers predict one scene while another's products are written.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from distributed import Client

from segflow import __version__
from segflow.configs.run import RunSettings
from segflow.errors import SegflowError
from segflow.flows.cluster.shared import SharedCluster
from segflow.flows.progress import Progress, ScenesProgress, Silence, scene_progress
from segflow.flows.run.result import RunResult
from segflow.flows.run.scene_lists import SceneEntry, describe_path, gather_scenes
from segflow.flows.run.scene_state import write_pending
from segflow.flows.run.segment import ClientSource, segment_scene
from segflow.flows.stopping import Stoppable


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneOutcome:
    """What became of one scene of a batch.

    Attributes
    ----------
    scene, name
        Its file or address, and its name.
    result
        What was made; None where it failed.
    error
        What went wrong; None where it did not.
    """

    scene: str
    name: str
    result: RunResult | None = None
    error: Exception | None = None

    @property
    def damaged(self) -> bool:
        """Whether tiles were left empty."""
        return self.result is not None and self.result.damaged > 0

    def as_dict(self) -> dict[str, Any]:
        """Give the outcome as plain values for JSON."""
        return {"scene": self.scene, **(self.result.as_dict() if self.result else {"error": self.describe()})}

    def describe(self) -> str:
        """Give the outcome as a line to read; an error names the scene."""
        if self.result is not None:
            return self.result.describe()
        text = " ".join(str(self.error).split())
        if not isinstance(self.error, SegflowError):
            text = f"unexpected {type(self.error).__name__}: {text} (--debug shows where)"
        return text if self.scene in text or self.name in text else f"{self.scene}: {text}"


def segment_batch(
    scenes: Iterable[str | os.PathLike[str] | SceneEntry],
    settings: RunSettings,
    progress: Progress | None = None,
    *,
    client: Client | None = None,
    tell: Callable[[SceneOutcome], None] | None = None,
) -> tuple[SceneOutcome, ...]:
    """Map scenes, `settings.together` of them at once.

    Parameters
    ----------
    scenes
        Files, addresses, globs, CSV tables, STAC item collections, folders of catalogues.
    settings
        What to do with each; with `mosaic` all are the parts of one scene.
    progress
        Who watches; None for nobody.
    client
        A cluster that is there; None: one is opened as the settings say, when the first scene needs it.
    tell
        Hears of every scene when it is over, in the order in which they end, in the calling thread.

    Returns
    -------
    What became of every scene, in the order of `scenes`. A failing scene does not stop the others.

    Raises
    ------
    SettingsError
        If two scenes have one name.
    SceneError
        If a list of scenes cannot be read.
    """
    watcher = progress or Silence()
    entries = gather_scenes(scenes, settings)
    several = len(entries) > 1
    for entry in entries if several else ():
        write_pending(settings, entry.name, describe_path(entry.path))
    watcher.event("batch", scenes=len(entries), version=__version__, out=settings.out, model=settings.model)
    found: dict[str, SceneOutcome] = {}
    with _counted(watcher, len(entries)) as count, SharedCluster(settings) as cluster:
        for outcome in _run_all(entries, settings, watcher, client or cluster.client):
            found[outcome.name] = outcome
            count()
            if tell is not None:
                tell(outcome)
    return tuple(found[entry.name] for entry in entries)


def _run_all(
    entries: Sequence[SceneEntry], settings: RunSettings, watcher: Progress, client: ClientSource
) -> Iterator[SceneOutcome]:
    """Map scenes one after the other in this thread, or side by side in others."""
    several, together = len(entries) > 1, min(settings.together, len(entries))
    if together == 1:
        for entry in entries:
            with scene_progress(watcher, entry.name, several=several) as progress:
                yield _run(entry, settings, progress, client)
        return
    stop = threading.Event()

    def run(entry: SceneEntry) -> SceneOutcome:
        with scene_progress(watcher, entry.name, several=several) as progress:
            return _run(entry, settings, Stoppable(progress, stop), client)

    with ThreadPoolExecutor(together, thread_name_prefix="segflow-scene") as pool:
        futures = [pool.submit(run, entry) for entry in entries]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:  # a signal, say: no other scene begins, and those that run stop at their next step
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _run(entry: SceneEntry, settings: RunSettings, progress: Progress, client: ClientSource) -> SceneOutcome:
    """Map one scene; whatever goes wrong with it is an answer."""
    scene, started = describe_path(entry.path), time.monotonic()
    progress.event("scene", scene=entry.name, path=scene)
    try:
        result = segment_scene(entry.path, entry.settings(settings), progress, client=client)
    except Exception as error:  # noqa: BLE001  # even what should not happen must not take the other scenes along
        progress.event("scene_failed", scene=entry.name, message=str(error), error=type(error).__name__)
        return SceneOutcome(scene=scene, name=entry.name, error=error)
    progress.event(
        "scene_done",
        scene=entry.name,
        folder=str(result.place),
        key=result.key,
        tiles=result.tiles,
        reused=result.reused,
        damaged=result.damaged,
        finished_before=result.finished_before,
        seconds=round(time.monotonic() - started, 3),
    )
    return SceneOutcome(scene=scene, name=entry.name, result=result)


@contextmanager
def _counted(progress: Progress, scenes: int) -> Iterator[Callable[[], None]]:
    """Show how many of several scenes are over, to those who can show that beside the scenes; give what counts one."""
    if scenes == 1 or not isinstance(progress, ScenesProgress):
        yield lambda: None
        return
    progress.start("scenes", scenes, "scenes")
    try:
        yield lambda: progress.advance(1)
    finally:
        progress.finish()
