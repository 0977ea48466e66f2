"""The command line as a user meets it: real processes, real exit codes."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "dask", "distributed", "prefect", "rasterio", "numpy", "geopandas", "zarr", "pydantic")


def segflow(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "segflow.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_help_imports_nothing_heavy() -> None:
    """`segflow --help` answers at once."""
    code = (
        "import sys, segflow.cli.app\n"
        "try: segflow.cli.app.app(['--help'])\n"
        "except SystemExit: pass\n"
        f"print('HEAVY', [name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "HEAVY []" in done.stdout
    for command in ("run", "plan", "train", "verify", "demo", "doctor", "model"):
        assert command in done.stdout


@pytest.mark.parametrize("command", ["run", "plan", "train", "verify", "demo", "doctor", "model"])
def test_every_command_explains_itself(command: str) -> None:
    """`--help` exits with 0 and has text."""
    done = segflow(command, "--help")

    assert done.returncode == 0
    assert "Usage" in done.stdout


@pytest.mark.parametrize("arguments", [["run"], ["nope"], ["run", "x.tif", "--no-such-option"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    """A usage error is told apart from a failed run."""
    done = segflow(*arguments)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "missing.tif"], "missing.tif"),
        (["run", "missing.tif", "--tile", "100"], "setting 'tile'"),
        (["run", "missing.tif", "--config", "none.yaml"], "none.yaml: settings file cannot be read"),
        (["model", "show", "no-such-model"], "model 'no-such-model' not found"),
    ],
)
def test_an_error_is_one_line_and_exits_with_1(arguments: list[str], expected: str) -> None:
    """Where, found, needed, what to do; never a traceback."""
    done = segflow(*arguments)

    assert done.returncode == 1
    assert expected in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_debug_adds_the_traceback() -> None:
    """For those who want to know where it came from."""
    done = segflow("--debug", "model", "show", "no-such-model")

    assert done.returncode == 1
    assert "Traceback" in done.stderr
