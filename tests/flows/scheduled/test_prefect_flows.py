"""Flows on a real Prefect server, run by a real worker: schedules, retries, what the screen shows, a server that dies.

All runs are started at once, so that they share the processors; each test waits for its own.
"""

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.configs.deployment_files import load_deployments
from segflow.flows.run.verify import verify_products
from segflow.flows.scheduled.deploy import deploy
from tests.flows.scheduled.prefect_server import SECONDS, PrefectServer, start_process, stop_process, wait_for
from tests.scenes import noise_scene, write_pixelwise_model

pytestmark = pytest.mark.prefect

DEPLOYMENTS = {
    "pool": "tests",
    "pool_limit": 4,
    "environment": {"PREFECT_API_REQUEST_TIMEOUT": "60"},  # tests may share their machine
    "deployments": [
        {
            "name": "nightly",
            "flow": "segment_batch",
            "cron": "0 2 * * *",
            "parameters": {"scenes": ["scenes/*.tif"], "model": "bright.safetensors", "out": "batch"},
        },
        {
            "name": "watch",
            "flow": "watch_folder",
            "every": 15,
            "when_full": "skip",
            "parameters": {"folder": "inbox", "model": "bright.safetensors", "out": "watched", "settle": 0},
        },
        {
            "name": "by-hand",
            "flow": "segment_scene",
            "limit": 2,
            "parameters": {"model": "bright.safetensors", "out": "maps"},
        },
    ],
}


@dataclass(frozen=True)
class Site:
    """A server with deployments, a worker, a folder of scenes, and runs that were started by hand."""

    server: PrefectServer
    folder: Path
    config: Path
    written: list[dict[str, str]]
    runs: dict[str, str]


@pytest.fixture(scope="module")
def site(prefect_server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    for name in ("scenes", "inbox"):
        (folder / name).mkdir()
    write_pixelwise_model(folder / "bright.safetensors")
    noise_scene(folder / "one.tif", (300, 400))
    noise_scene(folder / "held.tif", (600, 600), seed=1)
    noise_scene(folder / "scenes/a.tif", (300, 300), seed=2)
    noise_scene(folder / "scenes/b.tif", (300, 300), seed=3)
    shutil.copy(folder / "scenes/a.tif", folder / "inbox/arrived.tif")
    (folder / "maps/held/held_classes.tif/in-the-way").mkdir(parents=True)  # what a first try stumbles over
    config = folder / "deployments.yaml"
    config.write_text(yaml.safe_dump(DEPLOYMENTS), encoding="utf-8")
    shown = CliRunner().invoke(
        app,
        ["deploy", "--config", str(config), "--api", prefect_server.api, "--folder", str(folder), "--json"],
        catch_exceptions=False,
    )
    runs = {
        "one": prefect_server.start_run("segment-scene/by-hand", {"scene": "one.tif"}),
        "held": prefect_server.start_run("segment-scene/by-hand", {"scene": "held.tif", "more": {"tile": 256}}),
        "nightly": prefect_server.start_run("segment-batch/nightly", {}),
    }
    worker = start_process(
        ["worker", "start", "--pool", "tests", "--name", "tests"],
        prefect_server.environment(),
        prefect_server.home / "worker.log",
    )
    yield Site(prefect_server, folder, config, json.loads(shown.stdout), runs)
    stop_process(worker)


def test_deployments_are_written(site):
    found = [(entry["name"], entry["when"], entry["change"]) for entry in site.written]

    assert found == [
        ("segment-batch/nightly", "at 0 2 * * * UTC", "created"),
        ("watch-folder/watch", "every 15 s", "created"),
        ("segment-scene/by-hand", "by hand", "created"),
    ]


def test_a_cron_makes_scheduled_runs(site):
    found = site.server.ask("/deployments/name/segment-batch/nightly")

    def look() -> list[dict[str, object]]:
        runs = site.server.runs(deployment_id={"any_": [found["id"]]}, state={"type": {"any_": ["SCHEDULED"]}})
        return [run for run in runs if run["auto_scheduled"]]

    times = {str(run["expected_start_time"])[11:16] for run in wait_for(look, "a SCHEDULED run of the nightly cron")}
    assert times == {"02:00"}


@pytest.mark.slow  # two tries of a flow, a minute
def test_a_try_that_failed_is_made_again_and_goes_on(site):
    site.server.wait_for_run(site.runs["held"], {"AWAITINGRETRY", "RUNNING"})
    wait_for(lambda: any("Retry" in line for line in site.server.logs(site.runs["held"])), "the first try to fail")
    shutil.rmtree(site.folder / "maps/held/held_classes.tif")
    run = site.server.wait_for_run(site.runs["held"])
    resumed = "9 of 9 tiles were done before"
    wait_for(lambda: any(line.endswith(resumed) for line in site.server.logs(run["id"])), "the second try to go on")

    assert run["state_type"] == "COMPLETED"
    assert verify_products(site.folder / "maps/held").sound


def test_a_worker_maps_a_scene_and_shows_it(site):
    run = site.server.wait_for_run(site.runs["one"])
    artifacts = site.server.artifacts(run["id"])
    folder = site.folder / "maps/one"

    assert (run["state_type"], run["name"]) == ("COMPLETED", "one with bright")
    assert verify_products(folder).sound
    assert {key: kind for key, (kind, _) in artifacts.items()} == {
        "progress-one": "progress",
        "areas-one": "table",
        "products-one": "markdown",
        "report-one": "markdown",
        "quicklook-one": "image",
    }
    assert artifacts["progress-one"][1] == 100


def test_the_screen_says_what_the_products_say(site):
    run = site.server.wait_for_run(site.runs["one"])
    artifacts = site.server.artifacts(run["id"])
    rows = json.loads(artifacts["areas-one"][1])
    picture = base64.b64decode(artifacts["quicklook-one"][1].removeprefix("data:image/png;base64,"))
    with pytest.warns(NotGeoreferencedWarning), MemoryFile(picture) as memory, memory.open() as dataset:
        shape, shown = dataset.shape, dataset.read()

    assert [row["class"] for row in rows] == ["dark", "bright", "nodata"]
    assert sum(row["pixels"] for row in rows) == 300 * 400
    assert sum(row["area [ha]"] for row in rows) == pytest.approx(300 * 400 * 0.01, rel=2e-3)  # 10 m; UTM's scale
    assert shape == (300, 400)
    assert len(np.unique(shown.reshape(len(shown), -1), axis=1).T) == 2
    assert "one_classes.tif" in artifacts["products-one"][1]
    assert "one.html" in artifacts["report-one"][1]


def test_many_scenes_become_one_run(site):
    run = site.server.wait_for_run(site.runs["nightly"])
    artifacts = site.server.artifacts(run["id"])
    rows = json.loads(artifacts["scenes"][1])

    assert (run["state_type"], run["name"]) == ("COMPLETED", "scenes/*.tif with bright")
    assert [(row["scene"], row["state"]) for row in rows] == [("a", "mapped"), ("b", "mapped")]
    assert verify_products(site.folder / "batch/a").sound
    assert verify_products(site.folder / "batch/b").sound
    assert {"areas-a", "areas-b", "quicklook-a", "quicklook-b"} <= set(artifacts)


def test_a_schedule_really_runs_and_maps_what_came_in(site):
    found = site.server.ask("/deployments/name/watch-folder/watch")

    def look() -> list[dict[str, object]]:
        runs = site.server.runs(deployment_id={"any_": [found["id"]]}, state={"type": {"any_": ["COMPLETED"]}})
        return [run for run in runs if "scenes" in site.server.artifacts(str(run["id"]))]

    runs = wait_for(look, "a run of the watch that mapped something")
    site.server.ask(f"/deployments/{found['id']}/pause_deployment", {})

    assert [run["auto_scheduled"] for run in runs] == [True]
    assert verify_products(site.folder / "watched/arrived").sound


def test_deploying_again_changes_what_changed(site):
    settings = load_deployments(site.config, options={"folder": str(site.folder)})
    nightly = replace(settings.deployments[0], cron="0 3 * * *")
    again = deploy(settings, api=site.server.api)
    later = deploy(replace(settings, deployments=(nightly, *settings.deployments[1:])), api=site.server.api)
    schedules = site.server.ask("/deployments/name/segment-batch/nightly")["schedules"]

    assert [entry.change for entry in again] == ["unchanged"] * 3
    assert [entry.change for entry in later] == ["updated", "unchanged", "unchanged"]
    assert [schedule["schedule"]["cron"] for schedule in schedules] == ["0 3 * * *"]


@pytest.mark.slow  # half a minute
def test_prefect_yaml_deploys_what_is_shipped(site, project_root):
    site.server.ask("/work_pools/", {"name": "segflow", "type": "process"})
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        env=site.server.environment(PWD=str(project_root)),
        cwd=project_root,
        capture_output=True,
        text=True,
        check=False,
    )
    found = [
        site.server.ask(f"/deployments/name/{name}")
        for name in ("segment-batch/nightly", "watch-folder/watch", "segment-scene/by-hand")
    ]

    assert done.returncode == 0, done.stdout
    assert [entry["work_pool_name"] for entry in found] == ["segflow"] * 3
    assert [len(entry["schedules"]) for entry in found] == [1, 1, 0]
    assert found[0]["pull_steps"][0]["prefect.deployments.steps.set_working_directory"]["directory"] == str(
        project_root
    )


@pytest.mark.slow  # starts Prefect and torch twice more
def test_a_server_that_dies_while_a_flow_runs(site):
    """The work goes on, the flow ends with one clear line, the products are right, and a rerun takes them up."""
    noise_scene(site.folder / "lonely.tif", (1500, 1500), seed=4)
    code = (
        "import sys; from segflow.flows.scheduled.segment_scene import segment_scene\n"
        "print(segment_scene('lonely.tif', model='bright.safetensors', out='lonely')['finished_before'])"
    )
    call = [sys.executable, "-c", code]
    environment = site.server.environment()
    with subprocess.Popen(call, env=environment, cwd=site.folder, stderr=subprocess.PIPE, text=True) as flow:
        wait_for((site.folder / "lonely/.segflow").exists, "the work to begin")
        site.server.kill()
        try:
            _, told = flow.communicate(timeout=SECONDS)
        finally:
            flow.kill()
    site.server.start()
    again = subprocess.run(call, env=environment, cwd=site.folder, capture_output=True, text=True, check=False)

    assert flow.returncode == 1
    assert "FlowError: Prefect's server does not answer any more" in told
    assert "lonely.tif is mapped, its products are in" in told
    assert verify_products(site.folder / "lonely/lonely").sound
    assert again.stdout.strip() == "True"
