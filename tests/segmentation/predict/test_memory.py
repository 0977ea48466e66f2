"""malloc keeps large blocks: the second time they cost no page faults."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, threading
import numpy as np
from segflow.segmentation.predict.memory import tune_malloc

tuned = tune_malloc() if sys.argv[1] == "tuned" else None


def work():
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


if sys.argv[2] == "thread":
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
else:
    work()
"""


def faults(how: str, where: str) -> tuple[str, int]:
    # Worker processes of earlier tests leave their settings of malloc in this process's environment.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", SCRIPT, how, where]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    tuned, count = done.stdout.split()
    return tuned, int(count)


@pytest.mark.parametrize("where", ["main", "thread"])
def test_large_blocks_are_used_again(where: str) -> None:
    tuned, count = faults("tuned", where)
    if tuned == "False":
        pytest.skip("this C library is not glibc, so there is nothing to tune")

    assert count < 100
    assert faults("plain", where)[1] > 10 * max(1, count)
