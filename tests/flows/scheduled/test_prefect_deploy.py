"""`segflow deploy` without a server: what is shipped, what is refused and how, what stays unsaid."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.configs.deployment_files import load_deployments
from segflow.configs.deployments import DeploymentSettings, DeploySettings
from segflow.errors import FlowError, SettingsError
from segflow.flows.scheduled.deploy import deploy
from segflow.flows.scheduled.registration import ENTRYPOINTS, draft_deployment, load_flow


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def draft(**entry: object):
    return draft_deployment(DeploymentSettings(**{"name": "test", "flow": "segment_batch", **entry}), DeploySettings())


def test_the_shipped_deployments_are_complete():
    settings = load_deployments()
    drafts = [draft_deployment(entry, settings) for entry in settings.deployments]

    assert [entry.when for entry in drafts] == ["at 0 2 * * * UTC", "every 300 s", "by hand"]
    assert [entry.content["concurrency_limit"] for entry in drafts] == [1, 1, 2]
    strategies = [entry.content["concurrency_options"].collision_strategy.value for entry in drafts]
    assert strategies == ["ENQUEUE", "CANCEL_NEW", "ENQUEUE"]


def test_prefect_yaml_says_the_same(project_root):
    shipped = load_deployments()
    content = yaml.safe_load((project_root / "prefect.yaml").read_text(encoding="utf-8"))
    expected = []
    for entry in shipped.deployments:
        found = draft_deployment(entry, shipped)
        schedules = []
        if entry.cron:
            schedules = [{"cron": entry.cron, "timezone": entry.timezone, "active": True, "slug": "segflow"}]
        if entry.every:
            schedules = [{"interval": entry.every, "timezone": entry.timezone, "active": True, "slug": "segflow"}]
        expected.append(
            {
                "name": entry.name,
                "description": entry.description,
                "entrypoint": found.content["entrypoint"],
                "parameters": entry.parameters,
                "schedules": schedules,
                "tags": found.content["tags"],
                "concurrency_limit": {
                    "limit": entry.limit,
                    "collision_strategy": found.content["concurrency_options"].collision_strategy.value,
                },
                "work_pool": {"name": shipped.pool, "job_variables": {"env": found.content["job_variables"]["env"]}},
            }
        )

    assert content["deployments"] == expected


@pytest.mark.parametrize("name", sorted(ENTRYPOINTS))
def test_every_parameter_has_a_type_and_a_word(name):
    flow = load_flow(name)
    properties = flow.parameters.model_dump()["properties"]

    assert properties
    assert [key for key, value in properties.items() if not value.get("description")] == []
    assert [key for key, value in properties.items() if not {"type", "anyOf"} & set(value)] == []


def test_deploying_needs_no_torch():
    code = (
        "import sys; from segflow.flows.scheduled.registration import load_flow\n"
        "from segflow.flows.scheduled.registration import ENTRYPOINTS\n"
        "for name in ENTRYPOINTS: load_flow(name)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def test_nobody_is_told_unless_the_user_says_so():
    code = (
        "import segflow.flows.scheduled, os\n"
        "from prefect._internal.analytics.enabled import is_telemetry_enabled\n"
        "print(is_telemetry_enabled(), os.environ['PREFECT_SERVER_ANALYTICS_ENABLED'])"
    )
    quiet = {key: value for key, value in os.environ.items() if key not in {"CI", "DO_NOT_TRACK"}}
    found = []
    for more in ({}, {"PREFECT_SERVER_ANALYTICS_ENABLED": "true"}):
        environment = {key: value for key, value in quiet.items() if not key.startswith("PREFECT_")} | more
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        found.append(done.stdout.split())

    assert found == [["False", "false"], ["False", "true"]]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"parameters": {"scenes": ["a"], "modle": "x"}}, "has no parameter 'modle'; it has scenes, model"),
        ({"cron": "0 2 * * *"}, "has a schedule, so segment_batch needs its parameter 'scenes'"),
        ({"parameters": {"scenes": "a.tif"}}, "'a.tif' is not of type 'array'"),
        ({"parameters": {"scenes": ["a"]}, "cron": "at two"}, "schedule cannot be read"),
        ({"parameters": {"scenes": ["a"]}, "cron": "0 2 * * *", "timezone": "Mars/Base"}, "schedule cannot be read"),
    ],
)
def test_what_would_fail_every_night_is_refused_now(entry, message):
    with pytest.raises(SettingsError, match="deployment 'test'") as raised:
        draft(**entry)

    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("deployments: [{name: a, flow: segment_scenes}]", "deployment 1: setting 'flow'"),
        ("deployments: [{name: a, flow: segment_scene, corn: x}]", "unknown setting 'corn'; did you mean 'cron'"),
        ("deployments: [{name: a, flow: segment_scene, cron: x, every: 5}]", "has both cron and every"),
        ("deployments: {name: a}", "must be a list of mappings"),
        ("pol: a", "unknown setting 'pol'; did you mean 'pool'"),
        ("deployments: [{name: a, flow: segment_scene}, {name: a, flow: segment_scene}]", "deployed twice as 'a'"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path, text, message):
    with pytest.raises(SettingsError) as raised:
        load_deployments(write(tmp_path / "deployments.yaml", text))

    assert message in str(raised.value)


def test_show_prints_a_file_to_start_from(tmp_path):
    shown = CliRunner().invoke(app, ["deploy", "--show", "--pool", "mine"])
    file = write(tmp_path / "mine.yaml", shown.output)

    assert shown.exit_code == 0
    assert load_deployments(file) == load_deployments(options={"pool": "mine"})


@pytest.mark.parametrize("when", [{}, {"cron": "0 2 * * *"}, {"every": 300}])
def test_a_version_says_whether_anything_changed(when):
    first, same = (draft(parameters={"scenes": ["a"]}, **when) for _ in range(2))
    other = draft(parameters={"scenes": ["b"]}, **when)

    assert first.version == same.version
    assert first.version != other.version


def test_no_server_is_one_clear_line():
    settings = DeploySettings()
    with pytest.raises(FlowError, match=r"http://127\.0\.0\.1:9/api does not answer .*is it running there\?"):
        deploy(settings, api="http://127.0.0.1:9/api")


@pytest.mark.slow  # a process of its own
def test_no_server_configured_is_one_clear_line(tmp_path):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-m", "segflow.cli", "deploy"],
        env={**environment, "PREFECT_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("segflow: no Prefect server is configured: start one with `prefect server start`")
    assert json.dumps(done.stdout) == '""'
