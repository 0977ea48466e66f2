"""Interrupted training: killed for real, taken up again, and none the worse for it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.configs.training_files import load_training
from segflow.errors import TrainingError
from segflow.flows.train.train import train_model
from segflow.io.models.packages import read_model_file
from segflow.io.work.training_log import TrainingLog, read_training_log
from segflow.segmentation.training.checkpoints import check_identity, read_checkpoint
from segflow.segmentation.training.module import epoch_seed
from tests.training_scenes import write_toy

# All that draws at random or remembers: dropout is the network's, momentum and averages the optimiser's.
HARD = [
    "epochs=6",
    "chips_per_epoch=128",
    "fit_bias=true",
    "rotate=10",
    "cutmix=0.5",
    "cutout=0.5",
    "sampling=balanced",
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_toy(tmp_path)


def kill_in_epoch(config: Path, assign: list[str], epoch: int) -> None:
    """Start `segflow train` and kill it once the log knows of an epoch."""
    log = load_training(config, assign, environment={}).log_folder
    command = [sys.executable, "-m", "segflow.cli", "train", str(config), *(f"--set={text}" for text in assign)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not any(event.get("epoch") == epoch for event in read_training_log(log)):
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert not any(event["event"] == "end" for event in read_training_log(log))


def test_killed_and_resumed_training_gives_the_weights_of_one_that_was_not(config: Path, tmp_path: Path) -> None:
    whole = load_training(config, [*HARD, f"out={tmp_path / 'whole.safetensors'}"], environment={})
    expected = read_model_file(train_model(whole))

    kill_in_epoch(config, HARD, 2)
    done = CliRunner().invoke(app, ["train", str(config), "--resume", *(f"--set={text}" for text in HARD)])
    settings = load_training(config, HARD, environment={})
    found = read_model_file(settings.out)
    events, straight = (read_training_log(s.log_folder) for s in (settings, whole))

    assert done.exit_code == 0, done.output
    assert "resumes after epoch" in done.stderr
    assert json.loads(found[0]) == json.loads(expected[0])
    assert found[1].keys() == expected[1].keys()
    assert all((found[1][name] == expected[1][name]).all() for name in expected[1])
    timeless = [[{**e, "seconds": 0, "model": ""} for e in log] for log in (events, straight)]
    assert timeless[0] == timeless[1]


def test_a_finished_training_resumes_to_what_it_was(config: Path) -> None:
    settings = load_training(config, environment={})
    first = train_model(settings).read_bytes()
    log = read_training_log(settings.log_folder)

    assert train_model(settings, resume=True).read_bytes() == first
    assert read_training_log(settings.log_folder) == log


def test_one_that_stopped_early_stays_stopped(config: Path) -> None:
    settings = load_training(config, ["epochs=30", "patience=1", "learning_rate=1e-7", "averaging=0"], environment={})
    train_model(settings)
    log = read_training_log(settings.log_folder)
    train_model(settings, resume=True)

    assert len(log) < 30
    assert read_training_log(settings.log_folder) == log


def test_nothing_to_resume_starts(config: Path) -> None:
    assert train_model(load_training(config, ["epochs=1"], environment={}), resume=True).is_file()


@pytest.mark.parametrize(
    ("assign", "says"),
    [
        ("epochs=4", "epochs was '3' when .* was begun, but is '4'"),
        ("learning_rate=0.02", "learning_rate was '0.01'"),
        ("arguments={widths: [4, 4]}", "arguments was"),
        ("loss={dice: 1}", "loss was"),
        ("test=[s1]", "scene s1"),
    ],
)
def test_another_setting_is_refused_by_name(config: Path, assign: str, says: str) -> None:
    train_model(load_training(config, environment={}))
    with pytest.raises(TrainingError, match=f"--resume: {says}"):
        train_model(load_training(config, [assign], environment={}), resume=True)


def test_what_only_this_machine_knows_may_change(config: Path, tmp_path: Path) -> None:
    first = load_training(config, [f"logs={tmp_path / 'logs'}"], environment={})
    train_model(first)
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    moved = ["data=elsewhere", f"logs={tmp_path / 'logs'}", f"out={tmp_path / 'new.safetensors'}", "notes={by: me}"]
    moved[0] = f"data={tmp_path / 'elsewhere'}"

    assert train_model(load_training(config, moved, environment={}), resume=True).is_file()


def test_other_data_is_refused_by_scene() -> None:
    with pytest.raises(TrainingError, match="scene a was '1 × 1 px, checksum 0' when logs was begun, but is '…'"):
        check_identity({"scene a": "1 × 1 px, checksum 0"}, {"scene a": "…"}, Path("logs/last.ckpt"))


def test_checkpoints_load_without_pickled_code_and_say_what_they_are(config: Path) -> None:
    settings = load_training(config, environment={})
    train_model(settings)
    last = torch.load(settings.log_folder / "last.ckpt", weights_only=True)
    best = read_checkpoint(settings.log_folder / "best.ckpt")

    assert last["segflow"]["epoch"] == 3
    assert json.loads(best["spec"])["name"] == "toy"
    assert all(name.startswith("averaged.module.") for name in best["state_dict"])


def test_what_is_no_checkpoint_is_refused(config: Path) -> None:
    settings = load_training(config, environment={})
    train_model(settings)
    for content in (b"", b"PK\x03\x04 torn", b"\x80\x04."):
        (settings.log_folder / "last.ckpt").write_bytes(content)
        with pytest.raises(TrainingError, match=r"last\.ckpt is not a checkpoint of segflow"):
            train_model(settings, resume=True)


def test_a_log_forgets_what_no_checkpoint_knows(tmp_path: Path) -> None:
    log = TrainingLog.begin(tmp_path / "logs")
    log.write("start", name="a")
    for epoch in (1, 2):
        log.write("step", step=10 * epoch, loss=1.0)
        log.write("epoch", epoch=epoch)
    with (tmp_path / "logs" / "log.jsonl").open("a") as file:
        file.write('{"event": "st')
    log.rewind(1)

    assert [e["event"] for e in read_training_log(tmp_path / "logs")] == ["start", "step", "epoch"]


def test_seeds_of_epochs_differ() -> None:
    assert len({epoch_seed(seed, epoch) for seed in range(3) for epoch in range(50)}) == 150
