"""Waiting for Prefect's server, never for long: a server that is gone may not stop a map."""

import contextvars
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from prefect.settings import (
    PREFECT_API_SSL_CERT_FILE,
    PREFECT_API_TLS_INSECURE_SKIP_VERIFY,
    PREFECT_API_URL,
    temporary_settings,
)

from segflow.errors import FlowError

T = TypeVar("T")

ANSWER_SECONDS = 15.0  # for one call
HEALTH_SECONDS = 12.0  # for "are you there?": a server that is gone says no at once, a busy one needs seconds
RETURN_SECONDS = 14.0  # for a server that restarts while a flow ends; then Prefect itself asks for up to a minute more
_PAUSE = 1.0  # s between questions


class NoAnswerError(Exception):
    """A call did not come back in time."""


SERVER_ERRORS = (NoAnswerError, PrefectException, httpx.HTTPError)  # what asking a server may raise


def answer_within(seconds: float, call: Callable[[], T]) -> T:
    """Give what a call returns, or raise what it raises.

    The call runs in a thread of its own with the context of the caller, so that Prefect knows the run.
    A call that hangs is left behind; its thread ends with the process.

    Raises
    ------
    NoAnswerError
        If it takes longer than `seconds`.
    """
    answer: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            answer.append(call())
        except BaseException as error:  # noqa: BLE001  # whatever it is, it belongs to the caller
            failure.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), name="segflow-ask", daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not answer:
        msg = f"no answer within {seconds:g} s"
        raise NoAnswerError(msg)
    return answer[0]


def server_address() -> str | None:
    """Give the address of the server that ``PREFECT_API_URL`` or the profile names; None where neither does."""
    address: str | None = PREFECT_API_URL.value()
    return address


@contextmanager
def server_at(address: str) -> Iterator[None]:
    """Talk to the server at an address inside."""
    with temporary_settings({PREFECT_API_URL: address}):
        yield


def server_problem(seconds: float = HEALTH_SECONDS) -> str | None:
    """Give why the server of this run does not answer; None where it answers, be it with a refusal."""
    try:
        answer_within(seconds, lambda: _knock(seconds))
    except SERVER_ERRORS as error:
        return f"{type(error).__name__}: {error}".removesuffix(": ")
    return None


def _knock(seconds: float) -> None:
    """Ask the server for its health once; Prefect's own client asks again and again."""
    trusted = PREFECT_API_SSL_CERT_FILE.value() or None
    verify = False if PREFECT_API_TLS_INSECURE_SKIP_VERIFY.value() else ssl.create_default_context(cafile=trusted)
    address = str(get_client(sync_client=True).api_url).rstrip("/")
    httpx.get(f"{address}/health", timeout=seconds, verify=verify)


def tell(call: Callable[[], object], *, seconds: float = ANSWER_SECONDS) -> str | None:
    """Tell the server something that a map does not depend on; give why that failed, None where it did not.

    A server that is gone costs nothing, one that stalls `HEALTH_SECONDS`.
    """
    problem = server_problem()
    if problem is not None:
        return problem
    try:
        answer_within(seconds, call)
    except SERVER_ERRORS as error:
        return f"{type(error).__name__}: {error}"
    return None


def wait_for_server(what: str, *, seconds: float = RETURN_SECONDS) -> None:
    """Wait for the server at the end of a flow, as long as a restart takes.

    Parameters
    ----------
    what
        What was done, for the message: ``12 scenes are mapped``.

    Raises
    ------
    FlowError
        If it does not come back.
    """
    deadline = time.monotonic() + seconds
    while (problem := server_problem()) is not None:
        if time.monotonic() >= deadline:
            msg = (
                f"Prefect's server does not answer any more ({problem}), so this run cannot be reported: {what}; "
                "start the server and run the flow again, it takes up what is there"
            )
            raise FlowError(msg)
        time.sleep(_PAUSE)
