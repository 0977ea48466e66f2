"""A real Prefect server on loopback and a worker of it, as processes, for tests."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

SECONDS = 300  # for whatever is waited for: a machine that tests share is slow at times
PAUSE = 0.3  # s between looks
BUSY = 503  # SQLite is locked; Prefect's own client asks again too
OVER = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class PrefectServer:
    """A server with a home of its own; it can be killed and started again on its port."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> str:
        """Address of its API."""
        return f"http://127.0.0.1:{self.port}/api"

    def environment(self, **more: str) -> dict[str, str]:
        """Give the environment of processes that talk to it."""
        plain = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "SEGFLOW_"))}
        return {
            **plain,
            "PREFECT_HOME": str(self.home),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_DATABASE_TIMEOUT": "60",  # s
            "PREFECT_UI_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "DO_NOT_TRACK": "1",
            "OMP_NUM_THREADS": "1",
            **more,
        }

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = start_process(
            ["server", "start", "--host", "127.0.0.1", "--port", str(self.port)],
            self.environment(),
            self.home / "server.log",
        )
        wait_for(self._answers, f"the server; see {self.home / 'server.log'}")

    def kill(self) -> None:
        """Kill it as a power cut does."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def ask(self, path: str, content: object = None) -> Any:
        """Give what the API answers to a question, with content to a POST."""
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(  # noqa: S310  # loopback
            self.api + path, data, {"content-type": "application/json"}, method="GET" if data is None else "POST"
        )
        for pause in (1, 3, 9, 0):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # the same
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as error:
                if error.code != BUSY or not pause:
                    raise
            time.sleep(pause)
        raise AssertionError

    def runs(self, **filters: object) -> list[dict[str, Any]]:
        """Give flow runs by a filter."""
        return self.ask("/flow_runs/filter", {"flow_runs": filters})

    def start_run(self, deployment: str, parameters: dict[str, object]) -> str:
        """Start a deployment by hand, as Prefect's form does; give the id of the run."""
        found = self.ask(f"/deployments/name/{deployment}")
        return str(self.ask(f"/deployments/{found['id']}/create_flow_run", {"parameters": parameters})["id"])

    def wait_for_run(self, run: str, states: set[str] = OVER) -> dict[str, Any]:
        """Wait until a flow run is in one of the states; give the run."""

        def look() -> dict[str, Any] | None:
            found = self.ask(f"/flow_runs/{run}")
            return found if {found["state_type"], found["state_name"].upper()} & states else None

        return wait_for(look, f"flow run {run} to be one of {sorted(states)}")

    def logs(self, run: str) -> list[str]:
        """Give the lines of a run's log."""
        found = self.ask("/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC"})
        return [entry["message"] for entry in found]

    def artifacts(self, run: str) -> dict[str, Any]:
        """Give type and content of a run's artifacts by key."""
        found = self.ask("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
        return {entry["key"]: (entry["type"], entry["data"]) for entry in found}

    def _answers(self) -> bool:
        try:
            return bool(self.ask("/health"))
        except (urllib.error.URLError, OSError):
            return False


def start_process(arguments: list[str], environment: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    """Start `prefect` with arguments, in a process group of its own."""
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "prefect", *arguments],
            env=environment,
            cwd=log.parent,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def stop_process(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process to end, then make it, with all of its group."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(30)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def wait_for(look: Any, what: str, seconds: float = SECONDS) -> Any:
    """Look again and again until something true is found; give it."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(PAUSE)
    return found
