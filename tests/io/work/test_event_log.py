"""The log of a run: one line of JSON per event, whole, with scene, tile and worker."""

import json
import threading
from pathlib import Path

import pytest

from segflow.cli.console import LineProgress
from segflow.configs.run import RunSettings
from segflow.errors import OutputError
from segflow.flows.events import log_events
from segflow.flows.many.batch import segment_batch
from segflow.flows.progress import Silence
from segflow.io.work.event_log import KEYS, EventLog
from tests.scenes import noise_scene, write_pixelwise_model


def read(path: Path) -> list[dict[str, object]]:
    """Give the events of a log; every line must be JSON."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """The log of a batch of three scenes of four tiles, one of them broken."""
    folder = tmp_path_factory.mktemp("log")
    scenes = [
        noise_scene(folder / "a.tif", (500, 400)),
        folder / "broken.tif",
        noise_scene(folder / "b.tif", (400, 500)),
    ]
    scenes[1].write_text("no TIFF")
    noise_scene(folder / "nowhere.tif", (64, 64), crs=None)
    model = str(write_pixelwise_model(folder / "bright.safetensors"))
    settings = RunSettings(out=str(folder / "maps"), model=model, tile=256, together=2)
    with log_events(str(folder / "logs" / "run.jsonl"), Silence()) as progress:
        segment_batch([*scenes, folder / "nowhere.tif"], settings, progress)
    return read(folder / "logs" / "run.jsonl")


def test_every_line_has_the_same_keys_and_a_time(events: list[dict[str, object]]) -> None:
    """What an event does not know is null."""
    assert all(set(KEYS) <= event.keys() for event in events)
    times = [str(event["time"]) for event in events]
    assert times == sorted(times)
    assert all(time.endswith("+00:00") for time in times)


def test_every_tile_is_there_once_with_scene_and_worker(events: list[dict[str, object]]) -> None:
    """Four tiles each for a and b, one for the small scene."""
    tiles = sorted((str(e["scene"]), e["tile"]) for e in events if e["event"] == "tile")

    assert tiles == [*(("a", i) for i in range(4)), *(("b", i) for i in range(4)), ("nowhere", 0)]
    assert all(e["worker"] for e in events if e["event"] == "tile")


def test_scenes_begin_and_end_and_failures_say_why(events: list[dict[str, object]]) -> None:
    """One begin and one end per scene; stages name it."""
    begun = sorted(str(e["scene"]) for e in events if e["event"] == "scene")
    done = sorted(str(e["scene"]) for e in events if e["event"] == "scene_done")
    failed = [e for e in events if e["event"] == "scene_failed"]
    stages = {e["stage"] for e in events if e["event"] == "stage_done" and e["scene"] == "a"}

    assert begun == ["a", "b", "broken", "nowhere"]
    assert done == ["a", "b", "nowhere"]
    assert [e["scene"] for e in failed] == ["broken"]
    assert "is not a GeoTIFF" in str(failed[0]["message"])
    assert failed[0]["error"] == "SceneError"
    assert stages == {"infer", "rasters", "vectors"}


def test_warnings_are_logged_as_such(events: list[dict[str, object]]) -> None:
    """With the scene that they concern."""
    warnings = [e for e in events if e["event"] == "warning"]

    assert [e["scene"] for e in warnings] == ["nowhere"]
    assert "CRS" in str(warnings[0]["message"])


def test_threads_write_whole_lines_and_a_second_run_appends(tmp_path: Path) -> None:
    """Eight threads, two logs on one file."""
    path = tmp_path / "log.jsonl"

    def write(log: EventLog, number: int) -> None:
        for index in range(200):
            log.write("tile", tile=index, scene=f"ä{number}", text="x" * 300)

    with EventLog(path) as first, EventLog(path) as second:
        threads = [threading.Thread(target=write, args=((first, second)[n % 2], n)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = read(path)
    assert sorted((e["scene"], e["tile"]) for e in found) == sorted((f"ä{n}", i) for n in range(8) for i in range(200))

    with EventLog(path) as third:
        third.write("end")
    assert len(read(path)) == 1601


def test_a_log_that_cannot_be_written_stops_before_the_work(tmp_path: Path) -> None:
    """One line that names the file and the option."""
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(OutputError, match=r"log .*file/log\.jsonl cannot be written .*--log-json"),
        log_events(str(tmp_path / "file" / "log.jsonl"), Silence()),
    ):
        pass


def test_lines_of_many_scenes_name_them_and_leave_out_what_is_quick(capsys: pytest.CaptureFixture[str]) -> None:
    """A batch of a hundred small scenes prints no four hundred stages."""
    progress = LineProgress()
    progress.start("scenes", 2, "scenes")
    with progress.scene("north", several=True) as north:
        north.start("infer", 10, "px")
        north.advance(10)
        north.finish()
        north.note("a hint")
        north.note("north is here")
    progress.advance(2)
    progress.finish()
    lines = capsys.readouterr().err.splitlines()

    assert lines[:2] == ["north: a hint", "north is here"]
    assert len(lines) == 3
    assert lines[2].startswith("scenes: 2 scenes in")
