"""Checks before a run that the workers of a cluster can do it: devices, versions, model, files, shared folders."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from distributed import Client

from segflow import __version__
from segflow.errors import ClusterError, SegflowError
from segflow.flows.cluster.versions import read_versions
from segflow.flows.cluster.worker_specs import GPU
from segflow.io.models.packages import model_digest
from segflow.io.storage.addresses import Place
from segflow.io.storage.probes import answer_probe, file_head, place_probe, remove_answer

ANSWER_SECONDS = 30.0  # that a worker has to answer a question


def needed_resources(client: Client, device: str) -> dict[str, float] | None:
    """Give the Dask resources that a task must ask for; None: any worker will do.

    With ``auto`` tasks go to the workers with a GPU where there are any, so that one map comes from one kind of device.

    Raises
    ------
    ClusterError
        If a GPU is needed and no worker offers one: such a task would wait for ever.
    """
    wanted = {GPU: 1.0}
    if device == "cpu":
        return None
    if offers(client, wanted):
        return wanted
    if device == "auto":
        return None
    count = len(client.nthreads())
    msg = (
        f"device {device} needs a worker that offers the resource GPU, but none of {count} does: "
        "start one with `segflow worker ADDRESS --gpus auto`, or use --device cpu"
    )
    raise ClusterError(msg)


def offers(client: Client, resources: dict[str, float] | None) -> bool:
    """Tell whether any worker that is there now offers what a task would ask for."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return any(
        all(worker["resources"].get(name, 0) >= amount for name, amount in (resources or {}).items())
        for worker in workers
    )


def check_versions(client: Client) -> None:
    """Check that every worker runs the same segflow and torch as this process.

    Raises
    ------
    ClusterError
        If one does not; it is named, with what it runs.
    """
    here = read_versions()
    for worker, there in _ask(client, read_versions, f"install segflow {__version__} there").items():
        here.check(there, worker)


def check_model(client: Client, path: str, digest: str) -> None:
    """Check that every worker reads the very model file that the run was planned with.

    Raises
    ------
    ClusterError
        If one does not; it is named.
    """
    advice = f"put model {path} on a path that all workers see"
    for worker, found in _ask(client, model_digest, advice, path).items():
        if found != digest:
            msg = f"worker {worker} has another model in {path} ({found}, needs {digest}): {advice}"
            raise ClusterError(msg)


def check_readable(client: Client, paths: Iterable[str]) -> None:
    """Check that every worker sees the same files: their size and their first bytes. URLs are left out.

    Raises
    ------
    ClusterError
        If one does not; worker and path are named.
    """
    local = tuple(path for path in paths if "://" not in path)
    for path in local:
        advice = f"put {path} on a path that all workers see"
        try:
            here = file_head(path)
        except OSError as error:
            msg = f"{path} cannot be read ({error.strerror}): check the path"
            raise ClusterError(msg) from error
        for worker, there in _ask(client, file_head, advice, path).items():
            if there != here:
                msg = f"worker {worker} sees another file as {path} ({there}, needs {here}): {advice}"
                raise ClusterError(msg)


def check_shared(client: Client, place: Place) -> None:
    """Check that all workers read in `place` what this process writes there, and that it reads what they write.

    Raises
    ------
    ClusterError
        If one does not; worker and place are named.
    OutputError
        If the place cannot be written to from here.
    """
    advice = f"{place} must be a path that all workers see and may write to: choose another --out or --work"
    with place_probe(place) as probe:
        answers = _ask(client, answer_probe, advice, place, probe.token)
        unseen = [worker for worker, answer in answers.items() if not probe.holds(answer)]
        for answer in answers.values():
            remove_answer(place, probe.token, answer)
    if unseen:
        msg = f"what worker {unseen[0]} wrote to {place} cannot be read here: {advice}"
        raise ClusterError(msg)


def _ask(client: Client, call: Callable[..., Any], advice: str, *arguments: object) -> dict[str, Any]:
    """Give every worker's answer, by its address.

    Raises
    ------
    ClusterError
        If a worker cannot answer, or does not within `ANSWER_SECONDS`.
    """
    addresses = tuple(client.nthreads())
    answers = dict(zip(addresses, client.sync(_gather, client, addresses, call, arguments), strict=True))
    for worker, answer in answers.items():
        if isinstance(answer, TimeoutError):
            msg = f"worker {worker} does not answer within {ANSWER_SECONDS:g} s: stop it, or start it again"
            raise ClusterError(msg) from answer
        if isinstance(answer, Exception):
            reason = str(answer) if isinstance(answer, SegflowError) else f"{type(answer).__name__}: {answer}"
            msg = f"worker {worker}: {reason}; {advice}"
            raise ClusterError(msg) from answer
    return answers


async def _gather(
    client: Client, addresses: tuple[str, ...], call: Callable[..., Any], arguments: tuple[object, ...]
) -> list[Any]:
    """Ask all workers at once; what one raised takes the place of its answer."""

    async def ask_one(address: str) -> Any:  # noqa: ANN401  # what `call` returns
        asked = client.run(_answer, call, arguments, workers=[address], on_error="return")
        return (await asyncio.wait_for(asked, ANSWER_SECONDS))[address]

    return await asyncio.gather(*(ask_one(address) for address in addresses), return_exceptions=True)


async def _answer(call: Callable[..., Any], arguments: tuple[object, ...]) -> Any:  # noqa: ANN401  # what `call` returns
    """Answer on a worker, in a thread: a file system that hangs must not stop the heartbeat of its event loop."""
    return await asyncio.to_thread(call, *arguments)
