"""One run per output; the lock dies with its holder."""

import os
import signal
import subprocess
import sys

import pytest

from segflow.errors import OutputBusyError, OutputError
from segflow.io.work.locks import output_lock

HOLD = """
import sys, time
from pathlib import Path
from segflow.io.work.locks import output_lock
with output_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "run" / "lock"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_run_is_told_who_holds_the_output(tmp_path, holder):
    with pytest.raises(OutputBusyError) as caught, output_lock(tmp_path / "run" / "lock"):
        pass

    message = str(caught.value)
    assert f"process {holder.pid} on {os.uname().nodename}" in message
    assert str(tmp_path / "run") in message
    assert "\n" not in message


def test_a_killed_holder_lets_go(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)

    with output_lock(tmp_path / "run" / "lock"):
        pass


def test_a_lock_can_be_taken_again_after_success_and_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), output_lock(tmp_path / "lock"):
        _ = 1 / 0
    for _ in range(2):
        with output_lock(tmp_path / "lock"):
            pass


def test_two_runs_in_one_process_exclude_each_other(tmp_path):
    with output_lock(tmp_path / "lock"), pytest.raises(OutputBusyError), output_lock(tmp_path / "lock"):
        pass


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(OutputError, match="file/lock cannot be made"), output_lock(tmp_path / "file" / "lock"):
        pass
