"""Object storage, with a real S3 server: the same products as on a disk, exactly once, compared, in bounded time."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from segflow.configs.run import RunSettings
from segflow.errors import DamagedError, OutputBusyError, OutputError, OutputExistsError, SceneError
from segflow.flows.planning.paths import work_folder
from segflow.flows.planning.plan import plan_run
from segflow.flows.run.result import RunResult
from segflow.flows.run.segment import segment_scene
from segflow.flows.run.verify import verify_products
from segflow.io.scene.access import Access
from segflow.io.scene.identity import scene_identity
from segflow.io.storage.addresses import Address
from segflow.io.storage.client import request
from segflow.io.storage.objects import Stored, content_tag, find_object, read_object, upload_file, write_object
from segflow.io.work.canvas import NOT_WRITTEN, CanvasLayout, create_canvas, open_canvas
from segflow.io.work.canvas_places import canvas_exists, remove_canvas
from segflow.io.work.leases import output_lease
from segflow.tiling import Span, Window
from tests.io.storage.object_store import (
    contents,
    free_port,
    line_to,
    serve_objects,
    store_environment,
    unfinished_uploads,
    using_store,
)
from tests.scenes import noise_scene, write_pixelwise_model

BUCKET = "maps"
COMMAND = [sys.executable, "-m", "segflow.cli"]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """An S3 server with one bucket, which this process is led to; its port."""
    with serve_objects() as number, using_store(number, tmp_path_factory.mktemp("cache")):
        request("create_bucket", Address(BUCKET))
        yield number


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A scene of six tiles and a small model."""
    folder = tmp_path_factory.mktemp("inputs")
    return noise_scene(folder / "scene.tif", (500, 600)), write_pixelwise_model(folder / "bright.safetensors")


@pytest.fixture(scope="module")
def on_disk(inputs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The products of the same run on a disk, by name; without the item, which says where its scene lies."""
    scene, model = inputs
    folder = segment_scene(
        scene, RunSettings(out=str(tmp_path_factory.mktemp("disk")), model=str(model), tile=256)
    ).folder
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "scene.json"}


@pytest.fixture
def out(port: int, request: pytest.FixtureRequest) -> Address:
    """A prefix of the test's own."""
    assert port
    return Address(BUCKET, request.node.name.replace("[", "-").replace("]", ""))


def settings_for(out: Address, model: Path, **more: object) -> RunSettings:
    """Give the settings of a run to an address."""
    return RunSettings(**{"out": str(out), "model": str(model), "tile": 256, **more})  # type: ignore[arg-type]


def products(out: Address) -> dict[str, bytes]:
    """Give the products on the store by name, without the item."""
    return {name: content for name, content in contents(out / "scene").items() if name != "scene.json"}


def command(scene: Path, out: Address, model: Path) -> list[str]:
    """Give the command of a run to an address."""
    return [*COMMAND, "run", str(scene), "--out", str(out), "--model", str(model), "--tile", "256", "--json"]


def run_until_held(command: list[str], port: int, cache: Path, held_request: str) -> None:
    """Run a command until a request of it hangs at the store, then kill -9 it with all that it started."""
    with line_to(port, hold=held_request.encode()) as line:
        environment = {**os.environ, **store_environment(line.port, cache)}
        process = subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)
        try:
            while not line.held.wait(0.1):
                assert process.poll() is None, "the run ended before the request came"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_products_are_the_same_bytes_as_on_a_disk(
    inputs: tuple[Path, Path], on_disk: dict[str, bytes], out: Address
) -> None:
    """Nothing else is left: no canvas, no lock, no half of an upload, no copy in the work folder."""
    scene, model = inputs
    request("create_multipart_upload", out / "scene" / "scene.gpkg")  # as a run that was killed leaves it
    settings = settings_for(out, model)
    result = segment_scene(scene, settings)
    item = json.loads(read_object(out / "scene" / "scene.json") or b"{}")

    assert products(out) == on_disk
    assert {asset["href"].removeprefix("./") for asset in item["assets"].values()} == on_disk.keys()
    assert item["links"][0]["href"] == scene.as_uri()
    assert list(contents(out)) == sorted(f"scene/{name}" for name in [*on_disk, "scene.json"])
    assert unfinished_uploads(BUCKET) == 0
    assert not result.folder.exists()
    assert result.as_dict()["folder"] == f"{out}/scene"
    assert str(out) in result.describe()


def test_a_finished_run_is_found_on_the_store(inputs: tuple[Path, Path], out: Address, tmp_path: Path) -> None:
    """Also by another machine, whose work folder knows nothing; another model is refused unless it may replace."""
    scene, model = inputs
    other = write_pixelwise_model(tmp_path / "other.safetensors", threshold=90.0)
    first = segment_scene(scene, settings_for(out, model))
    before = contents(out)
    again = segment_scene(scene, settings_for(out, model))
    elsewhere = segment_scene(scene, settings_for(out, model, work=str(tmp_path / "work")))
    with pytest.raises(OutputExistsError, match=f"{out}/scene holds products of another"):
        segment_scene(scene, settings_for(out, other))

    assert not first.finished_before
    assert again.finished_before
    assert elsewhere.finished_before
    assert contents(out) == before
    replaced = segment_scene(scene, settings_for(out, other, overwrite=True))
    assert replaced.key != first.key
    assert products(out)["scene_classes.tif"] != before["scene/scene_classes.tif"]


def test_other_vector_settings_bring_the_rasters_back(inputs: tuple[Path, Path], out: Address) -> None:
    """They are not mapped again, and not sent again."""
    scene, model = inputs
    segment_scene(scene, settings_for(out, model))
    before = contents(out)
    second = segment_scene(scene, settings_for(out, model, min_area=5e4))

    assert "infer" not in second.seconds
    after = contents(out)
    assert after["scene/scene_classes.tif"] == before["scene/scene_classes.tif"]
    assert after["scene/scene.gpkg"] != before["scene/scene.gpkg"]


def test_verify_reads_the_store(inputs: tuple[Path, Path], out: Address) -> None:
    """Files and seams; one byte is enough, and what is missing is named."""
    scene, model = inputs
    segment_scene(scene, settings_for(out, model))
    sound = verify_products(f"{out}/scene", seams=2)
    vectors = out / "scene" / "scene.gpkg"
    content = bytearray(read_object(vectors) or b"")
    content[-1] ^= 1
    write_object(vectors, bytes(content))
    request("delete_object", out / "scene" / "scene.html")
    broken = verify_products(out / "scene")

    assert sound.sound
    assert (len(sound.sound_files), sound.seam_windows, sound.differing) == (7, 2, 0)
    assert [problem.split(" (")[0] for problem in broken.broken_files] == [
        "scene.html is missing: run again with --overwrite",
        "scene.gpkg was changed",
    ]
    with pytest.raises(OutputError, match="holds no finished run"):
        verify_products(out / "nothing")


@pytest.mark.slow  # `make test` kills the mapping
def test_killed_while_uploading_gives_the_same_bytes(
    inputs: tuple[Path, Path], on_disk: dict[str, bytes], out: Address, port: int
) -> None:
    """`kill -9` with some products sent: no item says that all is there, and the next run maps nothing again."""
    scene, model = inputs
    cache = Path(os.environ["XDG_CACHE_HOME"])
    run_until_held(command(scene, out, model), port, cache, f"PUT /{out.path}/scene/scene.gpkg")
    sent = contents(out / "scene")
    result = segment_scene(scene, settings_for(out, model))

    assert "scene_classes.tif" in sent
    assert not {"scene.gpkg", "scene.json"} & sent.keys()
    assert "infer" not in result.seconds
    assert products(out) == on_disk


def test_killed_while_mapping_gives_the_same_bytes(
    inputs: tuple[Path, Path], on_disk: dict[str, bytes], out: Address, port: int
) -> None:
    """`kill -9` with some chunks on the store, in the journal or not."""
    scene, model = inputs
    cache = Path(os.environ["XDG_CACHE_HOME"])
    key = plan_run(scene, settings_for(out, model)).key
    canvas = out / ".segflow" / key / "canvas.zarr"
    run_until_held(command(scene, out, model), port, cache, f"PUT /{canvas.path}/classes/c/1/1")
    written = contents(canvas)
    segment_scene(scene, settings_for(out, model))

    assert "classes/c/0/0" in written
    assert "classes/c/1/1" not in written
    assert products(out) == on_disk
    assert not canvas_exists(canvas)


@pytest.mark.cluster
@pytest.mark.slow  # starts two workers for what the tests above do in one process
def test_workers_write_to_the_store(inputs: tuple[Path, Path], on_disk: dict[str, bytes], out: Address) -> None:
    """Worker processes of their own, and the same bytes."""
    scene, model = inputs
    segment_scene(scene, settings_for(out, model, workers=2))

    assert products(out) == on_disk


def test_a_canvas_on_the_store_keeps_its_laws(out: Address) -> None:
    """What was written reads back, what was not reads as not written, a flipped bit raises, nothing foreign goes."""
    import numpy as np

    place, core = out / "canvas.zarr", Window(Span(0, 16), Span(16, 32))
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    layout = CanvasLayout(height=32, width=40, chunk=16)
    checksum = create_canvas(place, layout).write_core(core, labels, labels.T.copy())
    canvas = open_canvas(place)

    assert canvas.core_checksum(core) == checksum
    assert (canvas.read("classes", core) == labels).all()
    assert (canvas.read("classes", Window(Span(16, 32), Span(0, 16))) == NOT_WRITTEN).all()
    chunk = place / "classes/c/0/1"
    content = bytearray(read_object(chunk) or b"")
    content[len(content) // 2] ^= 1
    write_object(chunk, bytes(content))
    with pytest.raises(DamagedError, match="classes is damaged"):
        canvas.read("classes", core)
    write_object(place / "letter.txt", b"mine")
    with pytest.raises(OutputError, match=r"is none, it holds letter\.txt"):
        create_canvas(place, layout)
    request("delete_object", place / "letter.txt")
    remove_canvas(place)
    assert contents(place) == {}
    with pytest.raises(DamagedError, match="is no canvas"):
        open_canvas(place)


def test_one_run_per_output(inputs: tuple[Path, Path], out: Address, tmp_path: Path) -> None:
    """The second, on another machine, is told who holds it; after a crash the same machine goes on at once."""
    scene, model = inputs
    lock = out / ".segflow" / "scene.lock"
    settings = settings_for(out, model)
    with output_lease(lock, tmp_path), pytest.raises(OutputBusyError, match=f"process {os.getpid()} on .*, seen"):
        segment_scene(scene, settings)
    assert find_object(lock) is None
    with output_lease(lock, work_folder(settings)):  # what a crash leaves: the object, and nobody who holds it
        result = segment_scene(scene, settings)

    assert isinstance(result, RunResult)
    assert not result.finished_before


def test_a_silent_holder_is_replaced_and_knows(out: Address, tmp_path: Path) -> None:
    """It stops before it could write the item."""
    lock, here, there = out / "scene.lock", tmp_path / "here", tmp_path / "there"
    with output_lease(lock, here) as first:
        first.check()
        with pytest.raises(OutputBusyError, match="lets go after 120 s"), output_lease(lock, there):
            pass
        time.sleep(2.1)  # a store's clock has seconds
        with output_lease(lock, there, lapse=1.0) as second:
            second.check()
            with pytest.raises(OutputBusyError, match="was taken over by another run"):
                first.check()


def test_an_upload_in_parts_is_compared(out: Address, tmp_path: Path, port: int) -> None:
    """Its tag is known beforehand; what lies there is not sent again; another content is."""
    path, size = tmp_path / "large.bin", 40 << 20
    path.write_bytes(os.urandom(1 << 20) * 40)
    sent: list[int] = []
    upload_file(path, out / "large", "application/octet-stream", sent.append)
    found, expected = find_object(out / "large"), Stored(size=size, tag=content_tag(path))
    with line_to(port, hold=b"PUT ") as line, using_store(line.port, tmp_path):
        upload_file(path, out / "large", "application/octet-stream", sent.append)
    path.write_bytes(b"another")
    upload_file(path, out / "large", "application/octet-stream", sent.append)

    assert found == expected
    assert expected.tag.endswith("-3")
    assert sum(sent) == 2 * size + 7
    assert read_object(out / "large") == b"another"


def test_what_arrives_damaged_is_an_error(out: Address, tmp_path: Path, port: int) -> None:
    """A bit that flips on the way to the store."""
    path = tmp_path / "map.tif"
    path.write_bytes(b"a map" * 1000)
    with (
        line_to(port, flip=b"PUT ") as line,
        using_store(line.port, tmp_path),
        pytest.raises(DamagedError, match=r"map\.tif is not what was sent"),
    ):
        upload_file(path, out / "map.tif", "image/tiff", lambda _: None)


def test_scenes_on_the_store(inputs: tuple[Path, Path], on_disk: dict[str, bytes], out: Address) -> None:
    """Only when allowed; the same map; another content is another scene."""
    scene, model = inputs
    place = out / "scene.tif"
    write_object(place, scene.read_bytes())
    with pytest.raises(SceneError, match="--allow-remote"):
        segment_scene(str(place), settings_for(out, model))
    segment_scene(str(place), settings_for(out, model, allow_remote=True))
    checked = verify_products(out / "scene", seams=2)
    before = scene_identity(str(place), Access(remote=True))
    write_object(place, scene.read_bytes()[:-1] + b"\0")

    assert (checked.sound, checked.seam_windows, checked.differing) == (True, 2, 0)
    assert products(out).keys() == on_disk.keys()
    assert scene_identity(str(place), Access(remote=True)) != before
    assert scene_identity("/vsis3/" + place.path, Access(remote=True)) != before
    with pytest.raises(SceneError, match="does not exist"):
        scene_identity(str(out / "none.tif"), Access(remote=True))


def test_a_store_that_is_not_there_is_one_line(inputs: tuple[Path, Path], port: int, tmp_path: Path) -> None:
    """Within the patience of the client, and before anything is mapped."""
    scene, model = inputs
    assert port
    with (
        using_store(free_port(), tmp_path),
        pytest.raises(OutputError, match=r"s3://maps/x/\.segflow/scene\.lock cannot be .*AWS_ENDPOINT_URL") as told,
    ):
        segment_scene(scene, settings_for(Address(BUCKET, "x"), model))

    assert "\n" not in str(told.value)


@pytest.mark.slow
def test_a_store_that_says_nothing_is_one_line(inputs: tuple[Path, Path], port: int, tmp_path: Path) -> None:
    """A connection that is taken and never answered; from the command line."""
    scene, model = inputs
    with line_to(port, hold=b"HEAD ") as line:
        environment = {**os.environ, **store_environment(line.port, tmp_path)}
        done = subprocess.run(
            command(scene, Address(BUCKET, "x"), model),
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    assert done.returncode == 1
    assert "s3://maps/x/.segflow/scene.lock cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_library_the_extra_is_named(
    inputs: tuple[Path, Path], port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that says what to install; a run on a disk needs none of it."""
    scene, model = inputs
    with using_store(port, tmp_path):
        for name in [name for name in sys.modules if name.split(".")[0] in {"s3fs", "botocore", "aiobotocore"}]:
            monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
        with pytest.raises(OutputError, match=r"pip install 'segflow\[s3\]'"):
            segment_scene(scene, settings_for(Address(BUCKET, "x"), model))
        on_disk = segment_scene(scene, RunSettings(out=str(tmp_path / "maps"), model=str(model)))
        monkeypatch.undo()

    assert not on_disk.finished_before
