"""What all flows share: which errors are tried again, names of runs, progress in Prefect's log and on its screen."""

import contextvars
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from prefect import Task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.schemas import State, TaskRun
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from segflow.errors import ModelError, OutputExistsError, SceneMismatchError, SettingsError
from segflow.flows.scheduled.bounds import tell

if TYPE_CHECKING:
    from uuid import UUID

RETRIES = 2
RETRY_DELAYS = [10.0, 60.0]  # s; a share that is mounted again, a scene that another run holds
LASTING = (SettingsError, SceneMismatchError, ModelError, OutputExistsError)  # another try would say the same
REPORT_SECONDS = 2.0  # between updates of a progress artifact
_LAST_SECONDS = 5.0  # for the last one


def worth_another_try(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell whether a task that failed may succeed when it is tried again: its inputs are not what is wrong.

    For ``@task(retries=RETRIES, retry_delay_seconds=RETRY_DELAYS, retry_condition_fn=worth_another_try)``.
    """
    error = state.data
    return not isinstance(error, LASTING) and not isinstance(getattr(error, "__cause__", None), LASTING)


def run_parameter(name: str) -> Any:  # noqa: ANN401  # as it was given
    """Give a parameter of the flow run that is about to be named."""
    return flow_run.parameters[name]


def short_name(path: str) -> str:
    """Give the last part of a path or address without its suffix, for names of runs."""
    return Path(path.rstrip("/")).stem or path


class FlowProgress:
    """Progress in the log of a Prefect run, and as a progress artifact on its screen.

    The artifact is written by a thread of its own, so that a slow or absent server never holds up the work.
    Open it with `flow_progress`, inside a flow or a task.

    Parameters
    ----------
    key
        Key of the artifact: ``artifact_key("progress", scene)``.
    """

    def __init__(self, key: str) -> None:
        self._log = get_run_logger()
        self._key = key
        self._artifact: UUID | None = None
        self._stage, self._total, self._done = "", 0, 0
        self._told = (-1.0, "")
        self._closing = threading.Event()

    def start(self, stage: str, total: int, unit: str) -> None:
        """Begin a stage."""
        self._stage, self._total, self._done = stage, total, 0
        self._log.info("%s: %s %s to do", stage, f"{total:,}", unit)

    def advance(self, amount: int) -> None:
        """Count."""
        self._done += amount

    def finish(self) -> None:
        """End the stage."""
        self._done = self._total
        self._log.info("%s: done", self._stage)

    def note(self, message: str) -> None:
        """Write a line into the run's log."""
        warning = message.startswith("warning: ")
        self._log.log(logging.WARNING if warning else logging.INFO, "%s", message.removeprefix("warning: "))

    def event(self, name: str, **fields: Any) -> None:  # noqa: ANN401  # whatever JSON can say
        """Drop the event: events have a log of their own (`log_json`), and one per tile would hide other messages."""

    def report(self) -> None:
        """Update the artifact every few seconds until `close` is called; the body of a thread."""
        while not self._closing.wait(REPORT_SECONDS):
            self._send()
        self._send()

    def close(self) -> None:
        """Let the thread write the last update and end."""
        self._closing.set()

    def _send(self) -> None:
        share = min(100.0, 100.0 * self._done / self._total) if self._total else 100.0
        text = f"{self._stage}: {self._done:,} of {self._total:,}"
        if not self._stage or (share, text) == self._told or tell(lambda: self._write(share, text)) is not None:
            return
        self._told = (share, text)

    def _write(self, share: float, text: str) -> None:
        if self._artifact is None:
            self._artifact = cast("UUID", create_progress_artifact(share, key=self._key, description=text))
        else:
            update_progress_artifact(self._artifact, share, description=text)


@contextmanager
def flow_progress(key: str) -> Iterator[FlowProgress]:
    """Show the progress of what runs inside; leaving waits for the last update, for a few seconds at most."""
    progress = FlowProgress(key)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # Prefect turned every logger to INFO
    context = contextvars.copy_context()  # Prefect finds the run there
    thread = threading.Thread(target=context.run, args=(progress.report,), name="segflow-progress", daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        progress.close()
        thread.join(_LAST_SECONDS)
