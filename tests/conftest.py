"""Fixtures that every test may ask for."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # before anything imports torch: tests side by side share the processors
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent

# Deterministic, so that a red gate stays red; no deadline, because CI machines stall.
settings.register_profile(
    "segflow", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("segflow")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Give how many processes run tests side by side: one a processor that is ours, up to 8, each with 3 GiB."""
    processors = len(os.sched_getaffinity(0))
    return max(1, min(processors, psutil.virtual_memory().available // (3 * 2**30), 8))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests of a GPU where there is none."""
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if wanting and not _has_gpu():
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason="no CUDA device is there: run make test-gpu on a machine with one"))


def _has_gpu() -> bool:
    import torch  # other tests do without it

    return torch.cuda.is_available()


@pytest.fixture(scope="session")
def project_root() -> Path:
    """Folder that holds pyproject.toml."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real scenes and labels; skips where there is none."""
    folder = Path(os.environ.get("SEGFLOW_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "forest-amazon").is_dir():
        pytest.skip(f"real data not found in {folder}: set SEGFLOW_SHARED_DATA to the folder that holds forest-amazon/")
    return folder
