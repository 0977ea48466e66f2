"""Scenes by address: few requests, and from a server that fails an error instead of wrong pixels."""

import json
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from segflow.configs.run import RunSettings
from segflow.errors import SceneError, TileError
from segflow.flows.planning.plan import plan_run
from segflow.flows.run.segment import segment_scene
from segflow.flows.run.verify import verify_products
from segflow.io.inputs.band_files import BandChoice
from segflow.io.inputs.kinds import describe_input
from segflow.io.scene.scenes import Access, describe_scene, open_scene
from segflow.tiling import Span, Window
from tests.io.scene.test_many_files import write_item, write_parts
from tests.scenes import write_pixelwise_model, write_scene

PIXELS = np.random.default_rng(0).integers(0, 255, (3, 1024, 1024)).astype(np.uint8)
HEADER = 30_000  # bytes; a COG's header ends before, and the server fails after
PATIENCE = {
    "GDAL_HTTP_TIMEOUT": "4",
    "GDAL_HTTP_LOW_SPEED_TIME": "1",
    "GDAL_HTTP_MAX_RETRY": "1",
    "GDAL_HTTP_RETRY_DELAY": "0.1",
}


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder with byte ranges, counts, and fails as it is told once a header was read."""

    protocol_version = "HTTP/1.1"
    log: list[tuple[str, int]]  # method and bytes sent
    fails: list[str]  # how; empty: not at all
    released: threading.Event

    def do_HEAD(self):
        self.log.append(("HEAD", 0))
        super().do_HEAD()

    def do_GET(self):
        path = Path(self.directory) / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        wanted = self.headers.get("Range")
        if wanted is None or "whole" in self.fails:
            self.answer(200, content)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last or len(content)) + 1, len(content))
        mode = self.fails[0] if self.fails and start > HEADER else ""
        span = {"Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"}
        if mode.isdigit():
            self.answer(int(mode), b"")
        elif mode == "other bytes":
            self.answer(206, bytes(stop - start), span)
        else:
            self.answer(206, content[start:stop], span, mode)

    def answer(self, status, body, headers=(), mode=""):
        self.log.append(("GET", len(body)))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        part = body[: len(body) // 2] if mode else body
        try:
            self.wfile.write(part)
            if mode == "stalls":
                self.released.wait(30)
        except OSError:  # the client has gone
            pass
        self.close_connection = self.close_connection or bool(mode)

    def log_message(self, *_):
        """Stay quiet."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    for name, value in PATIENCE.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "served"
    folder.mkdir()
    handler = type("Served", (Handler,), {"log": [], "fails": [], "released": threading.Event()})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield handler, f"http://127.0.0.1:{http.server_port}", folder
        handler.released.set()
        http.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def cog(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cog")
    source = write_scene(folder / "source.tif", PIXELS, photometric="rgb")
    rasterio.shutil.copy(source, folder / "cog.tif", driver="COG", blocksize=256, compress="DEFLATE")
    return (folder / "cog.tif").read_bytes()


@pytest.fixture(scope="module")
def bright(tmp_path_factory):
    return write_pixelwise_model(tmp_path_factory.mktemp("model") / "bright.safetensors")


def test_a_window_of_a_cog_takes_few_requests_and_few_bytes(server, cog):
    handler, address, folder = server
    (folder / "scene.tif").write_bytes(cog)
    with open_scene(f"{address}/scene.tif", (1, 2, 3), Access(remote=True)) as scene:
        opened = len(handler.log)
        pixels, valid = scene.read_window(Window(Span(256, 512), Span(0, 256)))

    assert np.array_equal(PIXELS[:, 256:512, :256], pixels)
    assert valid.all()
    assert opened <= 3
    assert len(handler.log) - opened <= 2
    assert sum(sent for _, sent in handler.log) < len(cog) / 4


@pytest.mark.parametrize("fails", ["404", "500", "503", "is cut", "stalls", "other bytes"])
def test_a_server_that_fails_under_way_is_an_error_in_bounded_time(server, cog, fails):
    handler, address, folder = server
    (folder / "scene.tif").write_bytes(cog)
    with open_scene(f"{address}/scene.tif", (1, 2, 3), Access(remote=True)) as scene:
        handler.fails.append(fails)
        started = time.monotonic()
        with pytest.raises(SceneError) as caught:
            scene.read_window(Window(Span(256, 1024), Span(256, 1024)))

    assert time.monotonic() - started < 30
    assert f"{address}/scene.tif: reading rows 256–1024, columns 256–1024 failed" in str(caught.value)
    assert "its server failed, stalled" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("compress", ["none", "deflate"])
def test_a_cut_answer_never_becomes_pixels(server, compress):
    handler, address, folder = server
    write_scene(folder / "scene.tif", PIXELS, compress=compress)
    with open_scene(f"{address}/scene.tif", (1, 2, 3), Access(remote=True)) as scene:
        handler.fails.append("is cut")
        for row in range(256, 1024, 256):
            with pytest.raises(SceneError, match="failed"):
                scene.read_window(Window(Span(row, row + 256), Span(0, 1024)))


def test_a_server_without_ranges_is_told_at_once(server, cog):
    handler, address, folder = server
    (folder / "scene.tif").write_bytes(cog)
    handler.fails.append("whole")
    with pytest.raises(SceneError, match=r"opening failed .*gives no byte ranges"):
        describe_scene(f"{address}/scene.tif", Access(remote=True))


def test_a_remote_scene_runs_resumes_and_is_verified(server, cog, bright, tmp_path):
    """A server that fails names the tile; once it answers again, the same command ends."""
    handler, address, folder = server
    (folder / "scene.tif").write_bytes(cog)
    settings = RunSettings(out=str(tmp_path / "maps"), model=str(bright), tile=256, allow_remote=True, batch=1)
    scene = f"{address}/scene.tif"
    with pytest.raises(SceneError, match="--allow-remote"):
        plan_run(scene, RunSettings(out=str(tmp_path / "maps"), model=str(bright)))
    handler.fails.append("500")
    with pytest.raises(TileError, match=rf"tile \d+ of {scene}: .*its server failed"):
        segment_scene(scene, settings)
    handler.fails.clear()
    products = segment_scene(scene, settings).folder
    with rasterio.open(products / "scene_classes.tif") as classes:
        labels = classes.read(1)

    assert np.array_equal(PIXELS[0] > 60, labels)
    assert segment_scene(scene, settings).finished_before
    assert verify_products(products, seams=2).sound
    item = json.loads((products / "scene.json").read_text())
    assert [link["href"] for link in item["links"] if link["rel"] == "derived_from"] == [scene]
    (folder / "scene.tif").write_bytes(cog + b"\0")  # another version, whatever it holds
    assert plan_run(scene, settings).key != item["properties"]["segflow:run"]["key"]


def test_a_remote_item_and_remote_parts_are_scenes_too(server):
    _, address, folder = server
    write_item(folder / "scene")
    choice = BandChoice(wanted=("red", "green", "blue"))
    local = describe_input(folder / "scene" / "item.json", choice)
    remote = describe_input(f"{address}/scene/item.json", choice, Access(remote=True))
    found = []
    for info, allowed in ((local, False), (remote, True)):
        with open_scene(info, (3, 1), Access(remote=allowed)) as scene:
            found.append(scene.read_window(info.grid.window))
    assert all(map(np.array_equal, *found))
    paths, whole, _ = write_parts(folder)
    mosaic = describe_input([f"{address}/{path.name}" for path in paths], choice, Access(remote=True))
    with open_scene(mosaic, (1, 2, 3), Access(remote=True)) as scene:
        assert np.array_equal(whole, scene.read_window(mosaic.grid.window)[0])
    for given in (f"{address}/scene/item.json", [f"{address}/{path.name}" for path in paths]):
        with pytest.raises(SceneError, match="--allow-remote"):
            describe_input(given, choice)


def test_a_remote_item_that_does_not_come_is_one_line(server):
    handler, address, folder = server
    choice = BandChoice(wanted=("red",))
    with pytest.raises(SceneError, match=r"none\.json cannot be read \(HTTP Error 404"):
        describe_input(f"{address}/none.json", choice, Access(remote=True))
    (folder / "item.json").write_text(
        json.dumps(
            {
                "type": "Feature",
                "id": "x",
                "assets": {"red": {"href": "file:///etc/passwd", "type": "image/tiff", "roles": ["data"]}},
            }
        )
    )
    with pytest.raises(SceneError, match="is not a plain path"):
        describe_input(f"{address}/item.json", choice, Access(remote=True))
    assert handler.log
