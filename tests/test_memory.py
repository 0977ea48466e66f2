"""malloc keeps large blocks: the second time they cost no page faults."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import numpy as np
from segflow.segmentation.memory import tune_malloc

tuned = tune_malloc() if sys.argv[1] == "tuned" else None
for _ in range(5):
    block = np.empty(2**27, np.uint8)
    block[:: 2**12] = 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    del block
    block = np.empty(2**27, np.uint8)
    block[:: 2**12] = 1
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    del block
print(tuned, faults)
"""


def faults(how: str) -> tuple[str, int]:
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True)
    tuned, count = done.stdout.split()
    return tuned, int(count)


def test_large_blocks_are_used_again() -> None:
    tuned, count = faults("tuned")
    if tuned == "False":
        pytest.skip("this C library is not glibc, so there is nothing to tune")

    assert count < 100
    assert faults("plain")[1] > 10 * max(1, count)
