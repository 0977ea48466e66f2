"""`segflow scheduler` and `segflow worker`: who gets in, who is told what is wrong, and how they end."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from distributed.comm.addressing import get_address_host_port

from segflow import __version__
from segflow.configs.run import RunSettings
from segflow.errors import ClusterError, SettingsError
from segflow.flows.cluster import opening as cluster
from segflow.flows.cluster.opening import open_cluster
from segflow.flows.cluster.worker_checks import check_model, check_readable, check_shared, needed_resources, offers
from segflow.flows.cluster.workers import check_exposure, is_loopback
from segflow.flows.run.segment import segment_scene
from segflow.io.models.packages import model_digest
from segflow.io.storage.certificates import write_certificates
from tests.cluster_tasks import born_with, doze, hold, suspected, visible
from tests.flows.cluster.services import SEGFLOW, Service, results_of, scheduler, service, worker
from tests.scenes import noise_scene, write_pixelwise_model

pytestmark = pytest.mark.cluster

EVERYWHERE = "0.0.0.0"  # noqa: S104  # what must not happen by accident

# A worker of Dask's own in which something differs; it joins and says so.
ODD_WORKER = """
import asyncio, sys
{}
from distributed import Security, Worker
address, certs = sys.argv[1:]
own = {{f"tls_worker_{{part}}": f"{{certs}}/{{part}}.pem" for part in ("cert", "key")}}
security = Security(require_encryption=True, tls_ca_file=f"{{certs}}/ca.pem", **own)
async def main():
    async with Worker(address, nthreads=1, name="odd", security=security, dashboard=False) as worker:
        print("odd joined", flush=True)
        await worker.finished()
asyncio.run(main())
"""
OLD_SEGFLOW = "import segflow; segflow.__version__ = '0.0.1'"
NO_SEGFLOW = "sys.modules['segflow'] = None"
OLD_TORCH = """
import segflow.flows.cluster.versions as versions
true = versions.version
versions.version = lambda name: "1.0.0+cpu" if name == "torch" else true(name)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where services write what they say, and a folder `certs`."""
    place = tmp_path_factory.mktemp("services")
    write_certificates(place / "certs", ("localhost",))
    return place


@pytest.fixture(scope="module")
def certs(folder: Path) -> str:
    """Folder of certificates."""
    return str(folder / "certs")


@pytest.fixture(scope="module")
def address(folder: Path, certs: str) -> Iterator[str]:
    """A scheduler with TLS."""
    with scheduler(folder, "--tls", certs) as found:
        yield found


@pytest.fixture(scope="module")
def plain(folder: Path, certs: str, address: str) -> Iterator[Service]:
    """A worker without a GPU."""
    with worker(folder, address, "plain", "--gpus", "none", "--threads", "3", "--tls", certs) as started:
        yield started


def test_they_listen_on_loopback_alone(address: str, plain: Service) -> None:
    """Scheduler, nanny and worker: each has one port, on this machine; no dashboard."""
    port = int(address.rpartition(":")[2])
    pids = [c.pid for c in psutil.net_connections("tcp") if c.laddr.port == port and c.status == psutil.CONN_LISTEN]
    family = [psutil.Process(pids[0]), psutil.Process(plain.process.pid)]
    family += family[1].children(recursive=True)
    ports = [
        connection.laddr.ip
        for process in family
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]

    assert ports == ["127.0.0.1"] * 3


def test_workers_have_what_must_be_set_before_they_start(address: str, certs: str, plain: Service) -> None:
    """Malloc's thresholds and the processors that were given stand in the environment that the kernel handed over."""
    assert "0 GPU(s): plain" in plain.said
    with open_cluster(0, address, tls=certs) as client:
        (born,) = client.run(born_with).values()

    assert born["MALLOC_MMAP_MAX_"] == "0"
    assert born["OMP_NUM_THREADS"] == "3"


def test_a_run_on_the_cluster_equals_one_in_the_process(
    address: str, certs: str, plain: Service, tmp_path: Path
) -> None:
    """The same bytes, whoever maps."""
    assert plain.process.poll() is None
    scene = noise_scene(tmp_path / "scene.tif", (300, 400))
    model = str(write_pixelwise_model(tmp_path / "bright.safetensors"))
    far = RunSettings(out=str(tmp_path / "far"), model=model, tile=256, device="cpu", scheduler=address, tls=certs)
    near = RunSettings(out=str(tmp_path / "near"), model=model, tile=256, device="cpu")
    folders = [segment_scene(scene, settings).folder for settings in (far, near)]
    rasters = [[(place / f"scene_{name}.tif").read_bytes() for name in ("classes", "confidence")] for place in folders]

    assert rasters[0] == rasters[1]
    assert not list(tmp_path.glob("far/**/.probe-*"))


def test_a_gpu_that_no_worker_offers_is_an_error_at_once(
    address: str, certs: str, plain: Service, tmp_path: Path
) -> None:
    """Dask alone would wait for ever."""
    assert plain.process.poll() is None
    scene = noise_scene(tmp_path / "scene.tif", (300, 300))
    settings = RunSettings(out=str(tmp_path / "maps"), device="cuda", scheduler=address, tls=certs)
    with pytest.raises(ClusterError, match=r"device cuda needs a worker that offers the resource GPU, but none of 1"):
        segment_scene(scene, settings)
    with open_cluster(0, address, tls=certs) as client:
        assert needed_resources(client, "auto") is None
        assert not offers(client, {"GPU": 1.0})
        assert offers(client, None)


def test_tasks_that_need_a_gpu_go_where_one_is(folder: Path, address: str, certs: str, plain: Service) -> None:
    """Each worker with a GPU sees one of them and takes one task at a time; the others are left alone."""
    with (
        worker(folder, address, "gpu", "--gpus", "3,5", "--tls", certs) as started,
        open_cluster(0, address, tls=certs) as client,
    ):
        wanted = needed_resources(client, "auto")
        seen = client.gather(client.map(visible, range(8), resources=wanted, pure=False))
        everyone = set(client.run(visible, 0).values())

        assert "2 worker(s)" in started.said
    assert "0 GPU(s)" in plain.said
    assert wanted == {"GPU": 1.0}
    assert set(seen) == {"3", "5"}
    assert everyone == {"", "3", "5"}


@pytest.mark.parametrize(
    ("difference", "complaint"),
    [
        (OLD_SEGFLOW, rf"worker \S+ runs segflow 0\.0\.1, but {re.escape(__version__)} is needed"),
        (OLD_TORCH, r"worker \S+ runs torch 1\.0\.0, but \S+ is needed"),
        (NO_SEGFLOW, rf"worker \S+: .*ModuleNotFoundError.*install segflow {re.escape(__version__)} there"),
    ],
    ids=["segflow", "torch", "none"],
)
def test_another_version_on_a_worker_is_named(
    folder: Path, address: str, certs: str, difference: str, complaint: str
) -> None:
    """Which worker, what it runs and what is needed, before any tile is mapped."""
    with service([sys.executable, "-c", ODD_WORKER.format(difference), address, certs], folder, "odd") as odd:
        odd.wait_for("joined")
        with pytest.raises(ClusterError, match=complaint), open_cluster(0, address, tls=certs):
            pass
        odd.stop()


@pytest.mark.usefixtures("plain")
def test_another_version_that_joins_a_run_is_named(folder: Path, address: str, certs: str) -> None:
    """Its tiles would come from other arithmetic: the run stops, and what is done is kept."""
    with open_cluster(0, address, tls=certs) as client:
        answers = results_of(client, doze, 0.1, range(3000))
        next(answers)
        with service([sys.executable, "-c", ODD_WORKER.format(OLD_TORCH), address, certs], folder, "late") as odd:
            odd.wait_for("joined")
            with pytest.raises(ClusterError, match=r"worker odd@\S+ runs torch 1\.0\.0, but \S+ is needed"):
                list(answers)
            odd.stop()


def test_paths_that_a_worker_does_not_share_are_named(folder: Path, certs: str, address: str, tmp_path: Path) -> None:
    """A worker that sees its own files under the same paths, or none, or may not write, is found out."""
    hidden, other, fixed, split = (tmp_path / name for name in ("hidden", "other", "fixed", "split"))
    for place in (hidden, other, fixed, split):
        place.mkdir()
    model = write_pixelwise_model(other / "model.safetensors")
    scene = noise_scene(hidden / "scene.tif", (300, 300))
    changed = write_pixelwise_model(tmp_path / "changed.safetensors", threshold=61)
    (tmp_path / "upper").mkdir()
    with (
        worker(folder, address, "apart", "--tls", certs, inside=own_mounts(tmp_path)),
        open_cluster(0, address, tls=certs) as client,
    ):
        with pytest.raises(ClusterError, match=rf"worker tls://\S+: .*{scene}"):
            check_readable(client, [str(scene)])
        with pytest.raises(ClusterError, match=rf"worker tls://\S+ has another model in {model}"):
            check_model(client, str(model), model_digest(model))
        with pytest.raises(ClusterError, match=rf"worker tls://\S+ sees another file as {model}"):
            check_readable(client, [str(model)])
        with pytest.raises(ClusterError, match=rf"worker tls://\S+: cannot see what was just written to {hidden}"):
            check_shared(client, hidden)
        with pytest.raises(ClusterError, match=rf"worker tls://\S+: .*Read-only file system.*{fixed}"):
            check_shared(client, fixed)
        with pytest.raises(ClusterError, match=rf"what worker tls://\S+ wrote to {split} cannot be read here"):
            check_shared(client, split)
        check_shared(client, tmp_path / "seen")
        check_model(client, str(changed), model_digest(changed))
        left = list(tmp_path.rglob(".probe-*"))
        settings = RunSettings(out=str(hidden / "maps"), model=str(changed), scheduler=address, tls=certs)
        seen = noise_scene(tmp_path / "seen.tif", (300, 300))
        with pytest.raises(ClusterError, match="must be a path that all workers see"):
            segment_scene(seen, settings)

    assert [path for path in left if split not in path.parents and tmp_path / "upper" not in path.parents] == []


def own_mounts(folder: Path) -> list[str]:
    """Give the command that starts another one where folders hold other files, as on another machine."""
    assert os.geteuid() == 0, "this test mounts file systems: run it as root, or leave out the tests marked `cluster`"
    script = """
        mount -t tmpfs none "$0/hidden"
        mount --bind "$0/changed.safetensors" "$0/other/model.safetensors"
        mount --bind "$0/fixed" "$0/fixed" && mount -o remount,ro,bind "$0/fixed"
        mount -t tmpfs none "$0/upper" && mkdir "$0/upper/new" "$0/upper/work"
        mount -t overlay none -o "lowerdir=$0/split,upperdir=$0/upper/new,workdir=$0/upper/work" "$0/split"
        exec "$@"
    """
    return ["unshare", "--mount", "sh", "-ec", script, str(folder)]


def test_whoever_does_not_fit_a_tls_cluster_is_told_why(
    address: str, certs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the clear, with another authority's certificate, or with certificates where none are asked for."""
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 5)
    clear = address.replace("tls://", "tcp://")
    with pytest.raises(ClusterError, match=r"it speaks TLS: say tls://"), open_cluster(0, clear):
        pass
    heard = b""
    with suppress(ConnectionResetError), socket.create_connection(get_address_host_port(address), timeout=30) as bold:
        bold.sendall(bytes(64))
        while word := bold.recv(64):
            heard += word
    assert heard[:1] in {b"", b"\x15"}  # hung up on, at most with an alert of TLS
    write_certificates(tmp_path / "other", ("localhost",))
    with (
        pytest.raises(ClusterError, match=r"certificate of another authority: is the folder given with --tls a copy"),
        open_cluster(0, address, tls=str(tmp_path / "other")),
    ):
        pass
    with (
        scheduler(tmp_path) as unencrypted,
        pytest.raises(ClusterError, match=r"it does not speak TLS: say tcp://"),
        open_cluster(0, unencrypted.replace("tcp://", "tls://"), tls=certs),
    ):
        pass
    with pytest.raises(SettingsError, match=r"--tls .* is for a scheduler"), open_cluster(0, None, tls=certs):
        pass


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_a_port_that_says_nothing_is_not_waited_for(certs: str, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """Connected is not answered."""
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_address = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}"
        with (
            pytest.raises(ClusterError, match=rf"{silent_address} does not answer within 2 s"),
            open_cluster(0, silent_address, tls=certs if scheme == "tls" else None),
        ):
            pass


def test_nothing_listens_beyond_loopback_by_accident(tmp_path: Path) -> None:
    """Without TLS an explicit word is needed, and then it is said aloud."""
    for command in (("scheduler", "--host", EVERYWHERE), ("worker", "tcp://192.0.2.1:8786")):
        done = subprocess.run([*SEGFLOW, *command], capture_output=True, text=True, check=False, timeout=240)
        assert (done.returncode, done.stdout) == (1, "")
        assert re.match(r"segflow: listening on \S+ without TLS lets everyone who reaches it run code", done.stderr)
    with service([*SEGFLOW, "scheduler", "--port", "0", "--host", EVERYWHERE, "--insecure"], tmp_path, "open") as brave:
        brave.wait_for("scheduler tcp://")
        assert f"warning: everyone who reaches {EVERYWHERE} can run code here (--insecure)" in brave.said
        assert brave.stop() == 0


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        *((host, True) for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost")),
        *((host, False) for host in (EVERYWHERE, "::", "192.0.2.1", "no-such-host.invalid")),
    ],
)
def test_loopback_is_told_from_the_rest(host: str, alone: bool) -> None:
    """A name is what it resolves to; one that does not is not trusted."""
    said: list[str] = []
    assert is_loopback(host) is alone
    check_exposure(host, encrypted=True, insecure=False, say=said.append)
    check_exposure(host, encrypted=False, insecure=True, say=said.append)

    assert len(said) == (0 if alone else 1)


@pytest.mark.slow  # a quarter of a minute
def test_a_worker_that_is_told_to_stop_hands_its_task_to_another(folder: Path, address: str, certs: str) -> None:
    """SIGTERM ends it with 0, and nobody takes that for a task that kills workers."""
    with (
        worker(folder, address, "leaving", "--gpus", "0", "--tls", certs) as leaving,
        open_cluster(0, address, tls=certs) as client,
    ):
        future = client.submit(hold, str(folder / "held"), resources={"GPU": 1}, pure=False)
        while not (folder / "held").exists():
            time.sleep(0.05)
        assert leaving.stop() == 0
        with worker(folder, address, "staying", "--gpus", "0", "--tls", certs):
            answer = future.result(timeout=60)
            suspicion = client.run_on_scheduler(suspected, future.key)

    assert answer == "second"
    assert suspicion == 0
    assert "Traceback" not in leaving.complained


@pytest.mark.slow  # starts a worker twice
def test_a_worker_process_that_dies_is_started_again(address: str, certs: str, plain: Service) -> None:
    """`kill -9`, and the worker is back."""
    with open_cluster(0, address, tls=certs) as client:
        (before,) = client.run(os.getpid).values()
        os.kill(before, signal.SIGKILL)
        after = before
        while after == before:
            time.sleep(0.1)
            client.wait_for_workers(1, timeout=120)
            after = next(iter(client.run(os.getpid, on_error="ignore").values()), before)

    assert after in {child.pid for child in psutil.Process(plain.process.pid).children(recursive=True)}


@pytest.mark.slow  # waits for a worker to lose its patience
def test_workers_end_with_an_error_when_their_scheduler_is_gone(tmp_path: Path) -> None:
    """So that whoever watches them starts them again."""
    with service([*SEGFLOW, "scheduler", "--port", "0"], tmp_path, "brief") as brief:
        address = brief.wait_for("scheduler").split()[1]
        with worker(tmp_path, address, "orphan", "--gpus", "none") as orphan:
            assert brief.stop() == 0
            assert orphan.process.wait(timeout=60) == 1

        assert re.search(rf"segflow: scheduler {address} is gone", orphan.complained)
