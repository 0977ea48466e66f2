"""Runs write down how it goes with a scene, for `segflow status`: running, failed with what, or nothing once done."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from segflow.configs.run import RunSettings
from segflow.errors import OutputBusyError
from segflow.flows.planning.paths import work_folder
from segflow.flows.planning.plan import RunPlan
from segflow.io.work.scene_states import SceneState, clear_state, write_state


class StateKeeper:
    """Keeps the state of one scene on disk; made by `keep_state`."""

    def __init__(self, settings: RunSettings, name: str, scene: str) -> None:
        self._work = work_folder(settings)
        self._state = SceneState(name=name, scene=scene, state="pending")

    def planned(self, plan: RunPlan) -> None:
        """Hear what the scene is really called."""
        if plan.name != self._state.name:
            clear_state(self._work, self._state.name)
        self._state = replace(self._state, name=plan.name, key=plan.key, tiles=len(plan.tiles))

    def running(self, reused: int) -> None:
        """Write down that work goes on, with so many tiles done before."""
        self._write(replace(self._state, state="running", reused=reused, since=time.time()))

    def failed(self, error: Exception) -> None:
        """Write down what went wrong, where there is a work folder: a mistyped name leaves no folder behind."""
        message = " ".join(str(error).split()) or type(error).__name__
        if self._work.is_dir():
            self._write(replace(self._state, state="failed", since=time.time(), message=message))

    def done(self) -> None:
        """Leave nothing: the item says it all."""
        clear_state(self._work, self._state.name)

    def _write(self, state: SceneState) -> None:
        self._state = state
        write_state(self._work, state)


@contextmanager
def keep_state(settings: RunSettings, name: str, scene: str) -> Iterator[StateKeeper]:
    """Keep the state of a scene while it is mapped.

    What stops the process (a signal, Ctrl-C) is no failure: the scene stays ``running``, and its lock, which nobody
    holds, says that it was stopped. Nor is it one that another run is at the scene: that one keeps its state.
    """
    keeper = StateKeeper(settings, name, scene)
    try:
        yield keeper
    except OutputBusyError:
        raise
    except Exception as error:
        keeper.failed(error)
        raise
    keeper.done()


def write_pending(settings: RunSettings, name: str, scene: str) -> None:
    """Write down that a batch will come to a scene."""
    write_state(work_folder(settings), SceneState(name=name, scene=scene, state="pending", since=time.time()))
