"""The files in deploy/: that they say what runs, closed as they should be, and that each command they call exists."""

import re
import shlex
import shutil
import subprocess
import sys
import threading
from configparser import ConfigParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.configs.deployment_files import load_deployments
from segflow.flows.scheduled.registration import draft_deployment

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
INSTALLED = "/opt/segflow"


def unit(path: Path) -> dict[str, dict[str, str]]:
    """The sections of a unit; ConfigParser keeps the last of several equal keys, which none of ours has."""
    parser = ConfigParser(interpolation=None, strict=True, delimiters=("=",))
    parser.optionxform = str
    parser.read(path)
    return {name: dict(parser[name]) for name in parser.sections()}


def compose() -> dict:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def options_of(program: str, words: list[str]) -> set[str]:
    """The options that a command's own help names."""
    if program == "segflow":
        found = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*words, "--help"])
        assert found.exit_code == 0, found.output
        return set(re.findall(r"--[a-z][a-z-]+", found.output))
    command = [str(Path(sys.executable).parent / program), *words, "--help"]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env={"COLUMNS": "200"}, timeout=120)
    return set(re.findall(r"--[a-z][a-z-]+", found.stdout))


def commands() -> list[tuple[str, list[str]]]:
    """All commands of units and containers that are ours or Prefect's: program and arguments."""
    lines = [shlex.split(unit(path)["Service"]["ExecStart"]) for path in UNITS]
    lines += [service["command"] for service in compose()["services"].values() if "command" in service]
    return [(Path(line[0]).name, [str(word) for word in line[1:]]) for line in lines]


def test_every_command_and_option_exists() -> None:
    found = commands()
    assert [program for program, _ in found].count("prefect") == 4
    assert [program for program, _ in found].count("segflow") == 2
    known: dict[tuple[str, ...], set[str]] = {}
    for program, arguments in found:
        words = arguments[:2] if program == "prefect" else arguments[:1]
        if (program, *words) not in known:
            known[program, *words] = options_of(program, words)

        assert {word for word in arguments if word.startswith("--")} <= known[program, *words]


# ---------------------------------------------------------------------------- systemd


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_units_run_as_nobody_in_particular_and_come_back(path: Path) -> None:
    service = unit(path)["Service"]

    assert service["User"] == "segflow"
    assert service["ExecStart"].startswith(f"{INSTALLED}/.venv/bin/")
    assert service["Restart"] in {"always", "on-failure"}
    assert service["EnvironmentFile"] == "/etc/segflow/segflow.env"
    assert service["NoNewPrivileges"] == service["ProtectHome"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert unit(path)["Install"]["WantedBy"] == "multi-user.target"
    assert "0.0.0.0" not in path.read_text()  # noqa: S104  # nothing listens beyond loopback


@pytest.mark.parametrize("name", ["worker", "watch"])
def test_those_that_predict_see_the_gpu(name: str) -> None:
    service = unit(DEPLOY / "systemd" / f"segflow-{name}.service")["Service"]
    hiding = {"PrivateDevices", "DevicePolicy", "DeviceAllow", "ProtectClock", "MemoryDenyWriteExecute"}

    assert hiding & service.keys() == set()


def test_the_worker_waits_for_the_server() -> None:
    worker = unit(DEPLOY / "systemd" / "segflow-worker.service")

    assert "segflow-server.service" in worker["Unit"]["After"]
    assert "wait_for.py" in worker["Service"]["ExecStartPre"]


def test_the_environment_of_services_tells_nobody() -> None:
    lines = (DEPLOY / "systemd" / "segflow.env").read_text().splitlines()
    values = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    assert values["DO_NOT_TRACK"] == "1"
    assert values["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert values["PREFECT_API_URL"].startswith("http://127.0.0.1:")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze: apt-get install systemd")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    home = tmp_path / "segflow"
    (home / ".venv" / "bin").mkdir(parents=True)
    for name in ("prefect", "segflow", "python"):  # where make install puts them
        (home / ".venv" / "bin" / name).symlink_to(sys.executable)
    files = []
    for path in UNITS:
        files.append(tmp_path / path.name)
        files[-1].write_text(path.read_text().replace(INSTALLED, str(home)))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze: apt-get install systemd")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_finds_the_units_closed(path: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=35", str(path)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert checked.returncode == 0, checked.stdout[-2000:]


# ---------------------------------------------------------------------------- containers


def test_containers_listen_on_loopback_only_and_keep_what_matters() -> None:
    services, volumes = compose()["services"], compose()["volumes"]
    ports = [port for service in services.values() for port in service.get("ports", ())]
    kept = {entry.split(":")[0] for service in services.values() for entry in service["volumes"]}

    assert ports == ["127.0.0.1:4200:4200"]
    assert set(volumes) <= kept
    assert "ports" not in services["postgres"]
    assert services["postgres"]["volumes"] == ["postgres:/var/lib/postgresql/data"]


def test_containers_start_in_order_and_are_watched() -> None:
    services = compose()["services"]
    for name in ("postgres", "server", "worker"):
        assert {"test", "interval", "retries"} <= services[name]["healthcheck"].keys()

    assert services["server"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert services["deploy"]["depends_on"] == {"server": {"condition": "service_healthy"}}
    assert services["worker"]["depends_on"] == {"deploy": {"condition": "service_completed_successfully"}}
    assert services["deploy"]["restart"] == "no"


def test_containers_hold_no_password_and_few_rights() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    required = re.findall(r"\$\{(\w+):\?", text)
    offered = re.findall(r"^(\w+)=", (DEPLOY / "env.example").read_text(), re.MULTILINE)

    assert set(required) == set(offered) == {"POSTGRES_PASSWORD", "SEGFLOW_FOLDER"}
    assert re.findall(r"PASSWORD: (?!\$\{)", text) == []
    for name in ("server", "worker", "deploy"):
        service = compose()["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.docker
def test_compose_accepts_its_file() -> None:
    environment = {"POSTGRES_PASSWORD": "x", "SEGFLOW_FOLDER": "/srv/segflow", "PATH": "/usr/bin:/bin:/usr/local/bin"}
    command = ["docker", "compose", "-f", str(DEPLOY / "compose.yaml"), "config", "--quiet"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)

    assert checked.returncode == 0, checked.stderr


def test_the_image_is_installed_as_the_readme_says_and_runs_as_nobody() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE) for word in line.split()[:-1]]
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()

    assert "RUN make install" in text
    assert re.findall(r"^USER (\w+)$", text, re.MULTILINE) == ["segflow"]
    assert all((ROOT / name).exists() for name in copied)
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied)
    makefile = (ROOT / "Makefile").read_text()
    folders = re.search(r"^FOLDERS := (.+)$", makefile, re.MULTILINE)
    assert folders is not None
    assert {*folders[1].split(), "src"} <= set(copied)


# ---------------------------------------------------------------------------- what they start


def test_the_deployments_are_ones_that_segflow_takes() -> None:
    settings = load_deployments(DEPLOY / "deployments.yaml")
    drafts = {entry.name: draft_deployment(entry, settings) for entry in settings.deployments}

    assert drafts.keys() == {"nightly", "inbox", "weekly", "by-hand"}
    assert drafts["weekly"].content["entrypoint"] == "segflow.flows.scheduled.retrain_and_segment.retrain_and_segment"
    assert {path.name for path in UNITS} == {f"segflow-{name}.service" for name in ("server", "worker", "watch")}


class Answer(BaseHTTPRequestHandler):
    """Says yes."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_waiting_ends_with_an_answer_or_with_the_time() -> None:
    command = [sys.executable, str(DEPLOY / "wait_for.py")]
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        there = subprocess.run([*command, f"http://127.0.0.1:{server.server_port}/"], check=False, timeout=60)
        server.shutdown()
        port = server.server_port
    gone = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/", "0"], capture_output=True, text=True, check=False, timeout=60
    )
    wrong = subprocess.run([*command, "/health"], capture_output=True, text=True, check=False, timeout=60)

    assert there.returncode == 0
    assert gone.returncode == wrong.returncode == 1
    assert "does not answer after 0 s" in gone.stderr
    assert "set PREFECT_API_URL" in wrong.stderr
