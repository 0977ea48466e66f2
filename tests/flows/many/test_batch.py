"""Batches: lists of scenes over one cluster, side by side; a failing scene leaves the others alone."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.configs.run import RunSettings
from segflow.errors import ClusterError, SceneError, SettingsError
from segflow.flows.cluster.opening import open_cluster
from segflow.flows.inference.tiles import _load_engine
from segflow.flows.many.batch import segment_batch
from segflow.flows.many.status import read_status
from segflow.flows.progress import Silence
from segflow.flows.run.scene_lists import gather_scenes
from segflow.flows.run.segment import segment_scene
from tests.scenes import noise_scene, write_pixelwise_model

SHAPE = (300, 280)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six small scenes."""
    folder = tmp_path_factory.mktemp("scenes")
    return [noise_scene(folder / f"s{index}.tif", SHAPE, seed=index) for index in range(6)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_pixelwise_model(tmp_path_factory.mktemp("model") / "bright.safetensors"))


@pytest.fixture(scope="module")
def alone(scenes: list[Path], model: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of the products of every scene, each mapped by a call of its own."""
    out = tmp_path_factory.mktemp("alone")
    for scene in scenes:
        segment_scene(scene, RunSettings(out=str(out), model=model))
    return digests(out)


def digests(out: Path) -> dict[str, str]:
    """Give the SHA-256 of every product below a folder."""
    files = (path for path in sorted(out.glob("*/*")) if not path.parent.name.startswith("."))
    return {f"{p.parent.name}/{p.name}": hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def segflow(*arguments: object) -> Result:
    """Run the command line inside this process, which has torch already."""
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.mark.parametrize("together", [1, 3])
def test_a_batch_gives_the_bytes_of_single_runs(
    scenes: list[Path], model: str, alone: dict[str, str], tmp_path: Path, together: int
) -> None:
    """One cluster, any number of scenes side by side; the second time nothing is done again."""
    settings = RunSettings(out=str(tmp_path), model=model, together=together)
    told = []
    first = segment_batch(scenes, settings, tell=told.append)
    second = segment_batch(scenes, settings)

    assert [outcome.name for outcome in first] == [scene.stem for scene in scenes]
    assert {outcome.name for outcome in told} == {scene.stem for scene in scenes}
    assert all(outcome.result and not outcome.result.finished_before for outcome in first)
    assert all(outcome.result and outcome.result.finished_before for outcome in second)
    assert digests(tmp_path) == alone


def write_lists(folder: Path, scenes: list[Path]) -> dict[str, list[str]]:
    """Write the first three scenes as every kind of list; give what names each on the command line."""
    assets = [{"data": {"href": os.path.relpath(s, folder), "type": "image/tiff", "roles": ["data"]}} for s in scenes]
    items = [
        {"type": "Feature", "stac_version": "1.1.0", "id": s.stem, "assets": a}
        for s, a in zip(scenes, assets, strict=True)
    ]
    collection = folder / "items.json"
    collection.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    with (folder / "scenes.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["Scene", "note"])
        table.writerows([[os.path.relpath(scene, folder), "x"] for scene in scenes])
    catalogue = folder / "catalogue"
    links = []
    for item in items:
        place = catalogue / item["id"] / f"{item['id']}.json"
        place.parent.mkdir(parents=True)
        item["assets"]["data"]["href"] = os.path.relpath(folder / item["assets"]["data"]["href"], place.parent)
        place.write_text(json.dumps(item))
        links.append({"rel": "item", "href": f"./{item['id']}/{item['id']}.json"})
    inner = {"type": "Collection", "links": [*links, {"rel": "root", "href": "../catalog.json"}]}
    (catalogue / "inner").mkdir()
    moved = [{**link, "href": f".{link['href']}"} for link in links]
    (catalogue / "inner" / "collection.json").write_text(json.dumps({**inner, "links": [*moved, inner["links"][-1]]}))
    child = {"rel": "child", "href": "./inner/collection.json"}
    (catalogue / "catalog.json").write_text(json.dumps({"type": "Catalog", "links": [child]}))
    return {
        "files": [str(scene) for scene in scenes],
        "glob": [str(scenes[0].parent / "s[012].tif")],
        "csv": [str(folder / "scenes.csv")],
        "items": [str(collection)],
        "catalogue": [str(catalogue)],
    }


@pytest.mark.parametrize("kind", ["files", "glob", "csv", "items", "catalogue"])
def test_scenes_may_be_listed_in_many_ways(scenes: list[Path], tmp_path: Path, kind: str) -> None:
    """All name the same scenes in the same order."""
    given = write_lists(tmp_path, scenes[:3])[kind]
    entries = gather_scenes(given, RunSettings())

    assert [entry.name for entry in entries] == ["s0", "s1", "s2"]
    assert [Path(str(entry.path)).resolve() for entry in entries] == [scene.resolve() for scene in scenes[:3]]


def test_the_command_takes_lists_and_names_from_a_table(scenes: list[Path], model: str, tmp_path: Path) -> None:
    """A CSV with names, as a user runs it."""
    (tmp_path / "list.csv").write_text(f"\ufeffscene,name\n{scenes[0]},north\n\n{scenes[1]},south\n", encoding="utf-8")
    done = segflow("run", tmp_path / "list.csv", "-m", model, "-o", tmp_path / "maps", "--json")
    answer = json.loads(done.stdout)

    assert done.exit_code == 0
    assert [Path(each["folder"]).name for each in answer] == ["north", "south"]
    assert (tmp_path / "maps" / "south" / "south_classes.tif").is_file()
    assert "2 scenes in" in done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path\na.tif\n", "has no column scene (it has: path)"),
        ("scene,name\n,b\n", "names no scene in line 2"),
        ("scene\n", "lists no scene"),
        ("scene,name\na.tif,../up\n", "'../up' is no name"),
        ("scene,name\na.tif,x\nb.tif,x\n", "two scenes are called x"),
        ("scene\nfolder/a.tif\nother/a.tif\n", "two scenes are called a"),
    ],
)
def test_a_wrong_table_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    """Found, needed, what to do; before any scene is opened."""
    (tmp_path / "list.csv").write_text(text)

    with pytest.raises((SceneError, SettingsError)) as caught:
        gather_scenes([tmp_path / "list.csv"], RunSettings())
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"type": "FeatureCollection", "features": []}, "lists no scene"),
        ({"type": "FeatureCollection", "features": [{"id": "a"}]}, "an item without assets"),
        ({"type": "FeatureCollection", "features": [{"id": "a", "assets": {}}]}, "item a with 0 data assets"),
        ({"type": "Catalog", "links": [{"rel": "item", "href": "https://x.y/i.json"}]}, "links to https://x.y/i.json"),
        ({"type": "Catalog", "links": [{"rel": "child", "href": "./list.json"}]}, "lists no scene"),
        ({"type": "Catalog", "links": [{"rel": "item", "href": "gone.json"}]}, "gone.json cannot be read"),
    ],
)
def test_a_wrong_stac_list_is_one_line(tmp_path: Path, content: dict[str, object], expected: str) -> None:
    """Circles end, and nothing is fetched."""
    (tmp_path / "list.json").write_text(json.dumps(content))

    with pytest.raises(SceneError) as caught:
        gather_scenes([tmp_path / "list.json"], RunSettings())
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_glob_that_matches_nothing_is_an_error(tmp_path: Path) -> None:
    """It is never an empty batch."""
    with pytest.raises(SceneError, match="matches no file"):
        gather_scenes([tmp_path / "*.tif"], RunSettings())


def test_two_scenes_of_one_name_stop_the_batch_before_it_begins(scenes: list[Path], model: str, tmp_path: Path) -> None:
    """Nothing is written, and both files are named."""
    other = tmp_path / "other" / "s0.tif"
    other.parent.mkdir()
    other.write_bytes(scenes[1].read_bytes())
    settings = RunSettings(out=str(tmp_path / "maps"), model=model)

    with pytest.raises(SettingsError, match=r"two scenes are called s0 \(.*s0\.tif and .*other/s0\.tif\)"):
        segment_batch([*scenes, other], settings)
    with pytest.raises(SettingsError, match="--name x is for one scene, but 2 were given"):
        segment_batch(scenes[:2], RunSettings(out=str(tmp_path / "maps"), model=model, name="x"))
    assert not (tmp_path / "maps").exists()


def test_a_failing_scene_does_not_stop_the_others(scenes: list[Path], model: str, tmp_path: Path) -> None:
    """One line each on standard error, exit 1 at the end; `status` tells it too."""
    (tmp_path / "text.tif").write_text("no scene")
    given = (scenes[0], tmp_path / "missing.tif", tmp_path / "text.tif", scenes[1])
    done = segflow("run", *given, "-m", model, "-o", tmp_path / "maps", "--together", "2")
    errors = [line for line in done.stderr.splitlines() if line.startswith("segflow: ")]

    assert done.exit_code == 1
    assert sorted(path.name for path in (tmp_path / "maps").iterdir() if not path.name.startswith(".")) == ["s0", "s1"]
    assert len(errors) == 2
    assert any("missing.tif does not exist" in line for line in errors)
    assert any("text.tif is not a GeoTIFF" in line for line in errors)
    assert {status.name: status.state for status in read_status(str(tmp_path / "maps"))} == {
        "s0": "done",
        "s1": "done",
        "missing": "failed",
        "text": "failed",
    }


class Clumsy(Silence):
    """Progress with a bug, which meets one scene."""

    def event(self, name: str, **fields: object) -> None:
        if name == "tile" and fields["scene"] == "s1":
            msg = "a bug"
            raise KeyError(msg)


def test_even_what_should_not_happen_leaves_the_others_alone(scenes: list[Path], model: str, tmp_path: Path) -> None:
    """An error that is not ours is an outcome as well, and says so."""
    outcomes = segment_batch(scenes[:3], RunSettings(out=str(tmp_path), model=model), Clumsy())

    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert outcomes[1].describe() == f"{scenes[1]}: unexpected KeyError: 'a bug' (--debug shows where)"


def test_a_scheduler_that_is_gone_is_waited_for_once(
    scenes: list[Path], model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every scene is told, none waits again."""
    monkeypatch.setattr("segflow.flows.cluster.opening.CONNECT_SECONDS", 2)
    settings = RunSettings(out=str(tmp_path), model=model, scheduler="tcp://127.0.0.1:9")
    outcomes = segment_batch(scenes[:3], settings)

    assert all(isinstance(outcome.error, ClusterError) for outcome in outcomes)
    assert len({str(outcome.error) for outcome in outcomes}) == 1
    assert outcomes[1].error is not None
    assert isinstance(outcomes[1].error.__cause__, ClusterError)  # the first one's, passed on


def count_loads() -> int:
    """Count how often this process loaded a model."""
    return _load_engine.cache_info().misses


@pytest.mark.cluster
@pytest.mark.slow  # the test below holds the same in one process
def test_the_model_is_loaded_once_per_worker(
    scenes: list[Path], alone: dict[str, str], model: str, tmp_path: Path
) -> None:
    """Six scenes over two worker processes, three side by side."""
    with open_cluster(2, None) as client:
        before = client.run(count_loads)
        outcomes = segment_batch(scenes, RunSettings(out=str(tmp_path), model=model, together=3), client=client)
        loads = client.run(count_loads)

    assert all(outcome.error is None for outcome in outcomes)
    assert set(before.values()) == {0}
    assert sorted(loads.values()) in ([0, 1], [1, 1])  # one of the two may have come too late for any tile
    assert digests(tmp_path) == alone


def test_the_embedded_worker_loads_the_model_once(scenes: list[Path], model: str, tmp_path: Path) -> None:
    """The same inside this process, across scenes and batches."""
    _load_engine.cache_clear()
    segment_batch(scenes[:3], RunSettings(out=str(tmp_path / "a"), model=model))
    segment_batch(scenes[3:], RunSettings(out=str(tmp_path / "b"), model=model, together=3))

    assert count_loads() == 1


@pytest.mark.parametrize("together", [pytest.param("1", marks=pytest.mark.slow), "3"])
def test_a_batch_stops_on_a_signal_and_goes_on(
    scenes: list[Path], model: str, alone: dict[str, str], tmp_path: Path, together: str
) -> None:
    """SIGTERM: 143, what is done is kept, no scene counts as failed; the same command finishes it."""
    out = tmp_path  # as deep as the folder of `alone`: items name their scene relative to it
    options = [*map(str, scenes), "-m", model, "-o", str(out), "--together", together]
    process = subprocess.Popen(
        [sys.executable, "-m", "segflow.cli", "run", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not any(out.glob("*/*_classes.tif")):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    stopped = process.wait(timeout=120)
    states = {status.state for status in read_status(str(out))}
    done = segflow("run", *options)

    assert done.exit_code == 0
    assert stopped == 128 + signal.SIGTERM
    assert states <= {"done", "stopped", "pending"}
    assert states & {"stopped", "pending"}
    assert digests(out) == alone
    assert {status.state for status in read_status(str(out))} == {"done"}


def test_what_small_objects_moved_is_told_and_reported(scenes: list[Path], model: str, tmp_path: Path) -> None:
    """On the terminal and in the report, as in the item."""
    settings = RunSettings(out=str(tmp_path), model=model, min_area=20_000, min_hole=1_000)
    result = segment_scene(scenes[0], settings)
    item = json.loads((result.folder / "s0.json").read_text())
    page = (result.folder / "s0.html").read_text()
    moved = {(move["from"], move["to"]): move for move in item["properties"]["segflow:moved"]}

    assert set(moved) == {("dark", "bright"), ("bright", "dark")}
    for (source, target), move in moved.items():
        words = f"{source} → {target} {move['pixels']:,} px"
        assert words in result.describe()
        assert f"<th>{source} → {target}</th><td>{move['pixels']:,} px" in page
    assert (
        "Moved in the vectors"
        not in (segment_scene(scenes[1], RunSettings(out=str(tmp_path), model=model)).folder / "s1.html").read_text()
    )
