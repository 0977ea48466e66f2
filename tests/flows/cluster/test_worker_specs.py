"""What each worker process gets: one GPU, a share of the processors, malloc's thresholds."""

import os

import pytest

from segflow.flows.cluster.worker_specs import find_gpus, spawn_environment, worker_specs
from segflow.segmentation.predict.devices import name_gpus
from segflow.segmentation.predict.memory import MALLOC_ENVIRONMENT


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_each_worker_sees_one_gpu(device: str) -> None:
    """And offers it, so that a task that needs one finds it."""
    specs = worker_specs(3, ("0", "1", "GPU-7f"), device)

    assert [spec.environment for spec in specs] == [{"CUDA_VISIBLE_DEVICES": name} for name in ("0", "1", "GPU-7f")]
    assert [spec.resources for spec in specs] == [{"GPU": 1.0}] * 3


def test_fewer_workers_leave_gpus_free_and_more_share_them() -> None:
    """Dealt in turn."""
    seen = [[spec.environment["CUDA_VISIBLE_DEVICES"] for spec in worker_specs(n, ("4", "5"))] for n in (1, 5)]

    assert seen == [["4"], ["4", "5", "4", "5", "4"]]


def test_a_gpu_that_was_named_is_named_to_all() -> None:
    """`cuda:1` means the second of those that are visible, in the workers as here."""
    specs = worker_specs(2, ("4", "5"), "cuda:1")

    assert [(spec.environment, spec.resources) for spec in specs] == [({}, {"GPU": 1.0})] * 2


def test_no_gpu_is_offered_without_one_or_on_the_processor() -> None:
    """On the processor GPUs are hidden, so that none is opened by accident."""
    bare, hidden = worker_specs(1, (), "auto"), worker_specs(1, ("0",), "cpu")

    assert [(spec.environment, spec.resources) for spec in bare] == [({}, {})]
    assert [(spec.environment, spec.resources) for spec in hidden] == [({"CUDA_VISIBLE_DEVICES": ""}, {})]
    assert find_gpus("cpu") == ()


@pytest.mark.parametrize(
    ("count", "variable", "expected"),
    [(2, "", ("0", "1")), (2, "3, 5", ("3", "5")), (2, "3,5,9", ("3", "5")), (0, "", ()), (0, "7", ())],
)
def test_gpus_keep_the_names_that_the_user_gave(count: int, variable: str, expected: tuple[str, ...]) -> None:
    """`CUDA_VISIBLE_DEVICES` of the command goes on to its workers, no more of it than there are."""
    assert name_gpus(count, variable) == expected


def test_processors_are_shared_out_and_freed_memory_is_kept() -> None:
    """At least one processor each; a number that was given wins."""
    processors = os.cpu_count() or 1

    assert spawn_environment(1)["OMP_NUM_THREADS"] == str(processors)
    assert spawn_environment(100 * processors)["OMP_NUM_THREADS"] == "1"
    assert spawn_environment(4, threads=3)["MKL_NUM_THREADS"] == "3"
    assert spawn_environment(4).items() >= MALLOC_ENVIRONMENT.items()
