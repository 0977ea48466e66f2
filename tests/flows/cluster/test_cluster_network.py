"""Two machines, each a network namespace, with TLS between them: who gets in, and a link that is cut for ten seconds.

Needs root, for namespaces and the link between them.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from segflow.configs.run import RunSettings
from segflow.flows.run.segment import segment_scene
from segflow.io.storage.certificates import write_certificates
from tests.flows.cluster.services import SEGFLOW, scheduler, service, worker
from tests.scenes import noise_scene, write_pixelwise_model

pytestmark = [pytest.mark.cluster, pytest.mark.slow]  # it waits for a link that is down

CUT_SECONDS = 10.0
HERE, THERE = "10.213.77.1", "10.213.77.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A network namespace and the name of its end of the link."""

    name: str
    link: str

    @property
    def inside(self) -> list[str]:
        """The command that starts another one on this machine."""
        return ["ip", "netns", "exec", self.name]

    def switch(self, state: str) -> None:
        """Take the link up or down."""
        ip("-n", self.name, "link", "set", self.link, state)


def ip(*words: str) -> None:
    """Run ``ip``."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    """Two namespaces with a link between them, and no way to anywhere else."""
    assert os.geteuid() == 0, "this test makes network namespaces: run it as root, or leave out `-m cluster`"
    own = f"{os.getpid() % 100_000}"
    here, there = (Machine(name=f"segflow-{side}-{own}", link=f"sf{side}{own}") for side in "ab")
    try:
        for machine in (here, there):
            ip("netns", "add", machine.name)
            ip("-n", machine.name, "link", "set", "lo", "up")
        ip("link", "add", here.link, "netns", here.name, "type", "veth", "peer", there.link, "netns", there.name)
        for machine, address in ((here, HERE), (there, THERE)):
            ip("-n", machine.name, "address", "add", f"{address}/24", "dev", machine.link)
            machine.switch("up")
        yield here, there
    finally:
        for machine in (here, there):
            subprocess.run(["ip", "netns", "delete", machine.name], check=False, capture_output=True)


def test_a_link_that_is_cut_for_ten_seconds_changes_nothing(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    """The scheduler and the run on one machine, the worker on the other; nobody in the clear gets in."""
    here, there = machines
    certs, out = tmp_path / "certs", tmp_path / "maps"
    write_certificates(certs, (HERE, THERE))
    scene = noise_scene(tmp_path / "scene.tif", (2560, 2560))
    model = str(write_pixelwise_model(tmp_path / "bright.safetensors"))
    near = RunSettings(out=str(tmp_path / "near"), model=model, tile=256, device="cpu", vectors=False)
    expected = segment_scene(scene, near).folder
    encrypted = ("--tls", str(certs))
    with (
        scheduler(tmp_path, "--host", HERE, *encrypted, inside=here.inside) as address,
        worker(tmp_path, address, "far", "--threads", "1", *encrypted, inside=there.inside),
    ):
        assert address.startswith(f"tls://{HERE}:")
        command = [*here.inside, *SEGFLOW, "run", str(scene), "--out", str(out), "--model", model, "--tile", "256"]
        command += ["--device", "cpu", "--no-vectors"]
        clear = subprocess.run(
            [*command, "--scheduler", address.replace("tls://", "tcp://")],
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        with service([*command, "--scheduler", address, *encrypted], tmp_path, "run") as run:
            wait_for_tiles(out, 1)
            here.switch("down")
            time.sleep(1.0)  # what was on its way has arrived
            count = tiles_done(out)
            time.sleep(CUT_SECONDS)
            still = tiles_done(out)
            here.switch("up")
            assert run.process.wait(timeout=240) == 0, run.complained

    assert (clear.returncode, clear.stdout) == (1, "")
    assert "it speaks TLS: say tls://" in clear.stderr
    assert 1 <= count == still < 100
    assert products(out / "scene") == products(expected)


def tiles_done(out: Path) -> int:
    """Count the tiles in the journal of a run."""
    return sum(path.read_text().count('"tile"') for path in (out / ".segflow").glob("*/journal.jsonl"))


def wait_for_tiles(out: Path, count: int) -> None:
    """Wait until so many tiles are done."""
    deadline = time.monotonic() + 240
    while tiles_done(out) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def products(folder: Path) -> dict[str, bytes]:
    """Give the content of every product."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
