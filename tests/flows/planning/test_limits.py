"""How large a scene may be is a setting: lowered it refuses the scene, raised it lets it through, in any process."""

import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from distributed import Client
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.configs.run import RunSettings
from segflow.configs.training_files import load_training
from segflow.configs.vectors import VectorizeSettings
from segflow.errors import SceneError, SettingsError
from segflow.flows.access import raster_access, run_access, training_access
from segflow.flows.cluster.opening import open_cluster
from segflow.flows.evaluate.evaluation import run_evaluation, run_sample
from segflow.flows.evaluate.reference import EvaluateSettings
from segflow.flows.inference.infer import tile_job
from segflow.flows.inference.store import open_work
from segflow.flows.inference.tiles import predict_tiles
from segflow.flows.planning.plan import plan_run
from segflow.flows.progress import Silence
from segflow.flows.run.segment import segment_scene
from segflow.flows.run.verify import verify_products
from segflow.flows.train.label_survey import survey_labels
from segflow.flows.vectorize.vectorize import vectorize
from segflow.io.scene.scenes import LOCAL, Access, Limits
from tests.scenes import write_pixelwise_model, write_scene
from tests.training_scenes import write_toy

# One block of 1024 × 512 px and three bands: 1.5 MiB. Per setting: too low, just enough, and what the refusal says.
SHAPE = (3, 1024, 512)
LIMITS = (
    ("max_pixels", 524_287, 524_288, "claims 524,288 pixels, but at most 524,287 are read: "),
    ("max_bands", 2, 3, "claims 3 bands, but at most 2 are read: "),
    ("max_block", 1, 2, "has blocks of 1,572,864 bytes, but at most 1,048,576 are read: "),
)
HINT = {"max_pixels": "max_pixels to 524288", "max_bands": "max_bands to 3", "max_block": "max_block to 2 [MiB]"}
WIDE = 520  # bands, more than any scene has without the setting


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of one block, a scene of very many bands, and a model for either."""
    place = tmp_path_factory.mktemp("limits")
    pixels = np.random.default_rng(0).integers(10, 120, SHAPE).astype(np.uint8)
    block = {"blockxsize": 512, "blockysize": 1024, "interleave": "pixel"}
    write_scene(place / "scene.tif", pixels, **block)  # type: ignore[arg-type]
    write_scene(place / "wide.tif", np.full((WIDE, 40, 30), 90, np.uint8), tiled=False, interleave="band")
    write_pixelwise_model(place / "bright.safetensors")
    return place


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A worker in a process of its own."""
    with open_cluster(1, None, device="cpu") as opened:
        yield opened


def settings_of(folder: Path, **settings: object) -> RunSettings:
    return RunSettings(model=str(folder / "bright.safetensors"), out=str(folder / "maps"), **settings)  # type: ignore[arg-type]


def plan(folder: Path, *options: str) -> str:
    """Call `segflow plan`; give the refusal, or nothing where the scene passes."""
    given = ["plan", str(folder / "scene.tif"), "--model", str(folder / "bright.safetensors"), *options]
    done = CliRunner().invoke(app, given)
    assert done.exception is None or isinstance(done.exception, SceneError), done.exception
    return "" if done.exception is None else str(done.exception)


@pytest.mark.parametrize(("name", "low", "enough", "found"), LIMITS)
def test_on_the_command_line(folder: Path, name: str, low: int, enough: int, found: str) -> None:
    option = f"--{name.replace('_', '-')}"
    message = plan(folder, option, str(low))

    assert f"{folder / 'scene.tif'} {found}" in message
    assert f"raise the setting {HINT[name]}" in message
    assert plan(folder, option, str(enough)) == ""


@pytest.mark.parametrize(("name", "low", "enough", "found"), LIMITS)
def test_in_a_yaml_file_and_as_a_variable(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, low: int, enough: int, found: str
) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump({name: low}))

    assert found in plan(folder, "--config", str(config))
    monkeypatch.setenv(f"SEGFLOW_{name.upper()}", str(enough))
    assert plan(folder, "--config", str(config)) == ""


@pytest.mark.cluster
@pytest.mark.parametrize(("name", "low", "enough", "found"), LIMITS)
def test_in_a_worker_process(folder: Path, client: Client, name: str, low: int, enough: int, found: str) -> None:
    """The tiles themselves are read there, by what the job brings along."""
    scene = folder / "scene.tif"
    settings = settings_of(folder, tile=512, **{name: enough})
    with open_work(plan_run(scene, settings)) as work:
        job = tile_job(work)
        done = client.submit(predict_tiles, job, (0,), pure=False).result()

        assert list(done.checksums) == [0]
        refused = replace(job, access=run_access(settings_of(folder, **{name: low})))
        with pytest.raises(SceneError, match=found):
            client.submit(predict_tiles, refused, (0,), pure=False).result()


@pytest.mark.cluster
def test_a_whole_run_and_its_check_honour_what_was_raised(folder: Path, tmp_path: Path) -> None:
    """A scene of 520 bands, mapped by a worker process; `verify` reads it again by what the item says."""
    more = {"bands": ("1", "2", "3"), "out": str(tmp_path / "maps"), "workers": 1}
    with pytest.raises(SceneError, match=r"claims 520 bands.*max_bands to 520"):
        segment_scene(folder / "wide.tif", RunSettings(model=str(folder / "bright.safetensors"), **more))
    done = segment_scene(
        folder / "wide.tif", RunSettings(model=str(folder / "bright.safetensors"), max_bands=WIDE, **more)
    )
    item = json.loads((done.folder / "wide.json").read_text())

    assert item["properties"]["segflow:run"]["limits"]["max_bands"] == WIDE
    assert verify_products(done.folder, seams=1).sound


def test_limits_neither_change_a_key_nor_stand_in_a_usual_item(folder: Path, tmp_path: Path) -> None:
    usual = settings_of(folder, tile=512)
    raised = settings_of(folder, tile=512, max_pixels=10**12, max_bands=1000, max_block=512)

    assert plan_run(folder / "scene.tif", usual).key == plan_run(folder / "scene.tif", raised).key
    done = segment_scene(folder / "scene.tif", RunSettings(model=usual.model, out=str(tmp_path)))
    record = json.loads((done.folder / "scene.json").read_text())["properties"]["segflow:run"]
    assert (record["sidecars"], record["remote"], "limits" in record) == (False, False, False)


def test_training_reads_scenes_and_labels_within_its_limits(tmp_path: Path) -> None:
    config = write_toy(tmp_path)
    for name, low in (("max_pixels", 1000), ("max_bands", 1)):
        with pytest.raises(SceneError, match=f"raise the setting {name}"):
            survey_labels(load_training(config, [f"{name}={low}"]))

    assert len(survey_labels(load_training(config, ["max_pixels=1000000", "max_bands=9"]))) == 4
    assert training_access(load_training(config, ["max_block=3"])).limits.max_block_bytes == 3 * 2**20


def test_maps_are_evaluated_drawn_from_and_vectorised_within_their_limits(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 2, (1, 128, 128)).astype(np.uint8)
    path = write_scene(tmp_path / "a_classes.tif", labels, nodata=255)
    low, enough = EvaluateSettings(max_pixels=128 * 128 - 1), EvaluateSettings(max_pixels=128 * 128, max_block=1)
    with pytest.raises(SceneError, match="max_pixels to 16384"):
        run_evaluation(path, str(path), low, None, Silence())
    with pytest.raises(SceneError, match="max_pixels to 16384"):
        run_sample(path, 50, None, 0, Silence(), low)
    with pytest.raises(SceneError, match="max_pixels to 16384"):
        vectorize(path, VectorizeSettings(max_pixels=1))

    assert run_evaluation(path, str(path), enough, None, Silence()).report.is_file()
    assert run_sample(path, 50, None, 0, Silence(), enough)[0].is_file()
    assert vectorize(path, VectorizeSettings(max_pixels=128 * 128, workers=0)).path.is_file()


def test_an_access_is_a_value_that_travels(folder: Path) -> None:
    access = run_access(settings_of(folder, sidecars=True, allow_remote=True, max_block=3))

    assert pickle.loads(pickle.dumps(access)) == access  # noqa: S301 - our own
    assert access == Access(sidecars=True, remote=True, limits=Limits(max_block_bytes=3 * 2**20))
    assert run_access(RunSettings()) == raster_access(VectorizeSettings()) == LOCAL
    with pytest.raises(SettingsError, match="max_bands"):
        Limits(max_bands=0)
