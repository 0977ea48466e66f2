"""What each worker process on a machine gets: its processors, its GPU, and the resources that it offers to tasks."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segflow.segmentation.predict.memory import MALLOC_ENVIRONMENT

GPU = "GPU"  # Dask's usual name of the resource; a worker has one GPU, a task takes it


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """One worker process.

    Attributes
    ----------
    environment
        Variables of this process alone; what all workers get is `spawn_environment`.
    resources
        What it offers to tasks that ask for it.
    """

    environment: Mapping[str, str]
    resources: Mapping[str, float]


def worker_specs(workers: int, gpus: Sequence[str], device: str = "auto") -> tuple[WorkerSpec, ...]:
    """Divide the GPUs of a machine among its workers: each sees one, as ``cuda:0``.

    Parameters
    ----------
    workers
        Number of worker processes; where there are more than GPUs, some share one.
    gpus
        GPUs as ``CUDA_VISIBLE_DEVICES`` names them; none: workers compute on processors.
    device
        As in the settings. With ``cuda:1`` every worker sees all GPUs, and the tasks say which; with ``cpu`` none.
    """
    if device == "cpu":
        return (WorkerSpec(environment={"CUDA_VISIBLE_DEVICES": ""}, resources={}),) * workers
    if not gpus:
        return (WorkerSpec(environment={}, resources={}),) * workers
    if ":" in device:
        return (WorkerSpec(environment={}, resources={GPU: 1.0}),) * workers
    return tuple(
        WorkerSpec(environment={"CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)]}, resources={GPU: 1.0})
        for index in range(workers)
    )


def find_gpus(device: str) -> tuple[str, ...]:
    """Give the GPUs that this process may give to its workers; none where the device is the CPU."""
    if device == "cpu":
        return ()
    from segflow.segmentation.predict.devices import visible_gpus  # noqa: PLC0415  # torch, which worker processes load later

    return visible_gpus()


def spawn_environment(workers: int, threads: int | None = None) -> dict[str, str]:
    """Give the variables that must be set before a worker process starts: for malloc, and its share of the processors.

    Parameters
    ----------
    workers
        Worker processes on this machine.
    threads
        Processors that each may use; None: an even share.
    """
    share = str(threads or max(1, (os.cpu_count() or 1) // max(1, workers)))
    return {"OMP_NUM_THREADS": share, "MKL_NUM_THREADS": share, **MALLOC_ENVIRONMENT}
