"""A refit: the length is chosen by validation scenes, then a network learns from them too."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.configs.training import TrainSettings
from segflow.configs.training_files import load_training
from segflow.flows.progress import Silence
from segflow.flows.train.labelled import plan_split, read_samples
from segflow.flows.train.new_model import begin_network
from segflow.flows.train.recipe import make_recipe
from segflow.flows.train.train import train_model
from segflow.io.models.packages import read_model_file
from segflow.io.storage.files import replace_file
from segflow.io.work.training_log import REFIT, read_training_log
from segflow.segmentation.predict.weights import pack_weights
from segflow.segmentation.spec import BandSpec, ModelSpec
from segflow.segmentation.training.checkpoints import BEST, LAST, read_checkpoint
from segflow.segmentation.training.loop import Logs, train_network
from segflow.segmentation.training.module import AVERAGED
from segflow.segmentation.training.recipe import Epoch, Task
from tests.training_scenes import write_toy

SCALED = "scaling={red: [60, 60], nir: [30, 20]}"
REFITTED = [SCALED, "refit=true", "epochs=4", "fit_bias=true"]


class _Deaf:
    def resume(self, epoch: int) -> None: ...

    def step(self, number: int, loss: float) -> None: ...

    def epoch(self, epoch: Epoch, network: object) -> None: ...


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., TrainSettings]:
    config = write_toy(tmp_path)
    return lambda *assign: load_training(config, assign, environment={})


def spec_of(path: Path | str) -> ModelSpec:
    return ModelSpec.from_json(read_model_file(path)[0])


def test_the_weights_are_those_of_a_training_on_both_parts_as_long_as_the_best(
    settings: Callable[..., TrainSettings], tmp_path: Path
) -> None:
    chosen = settings(*REFITTED)
    _, found = read_model_file(train_model(chosen))
    best = read_checkpoint(chosen.log_folder / BEST)

    plan = plan_split(chosen)
    training, validation = (read_samples(plan, part, chosen, dependency=None) for part in ("training", "validation"))
    bands = tuple(BandSpec(name=name, mean=mean, std=std) for name, (mean, std) in chosen.scaling.items())
    train_network(
        begin_network(chosen, Silence()).network,
        [*training, *validation],
        validation,
        task=Task(bands=bands, classes=2, stride=2, margin=32),
        recipe=replace(make_recipe(chosen), stop_after=best["best_epoch"]),
        logs=Logs(folder=tmp_path / "oracle", identity={}, replace=replace_file),
        observer=_Deaf(),
    )
    state = read_checkpoint(tmp_path / "oracle" / LAST)
    learnt = {name.removeprefix(AVERAGED): t for name, t in state["state_dict"].items() if name.startswith(AVERAGED)}
    network = begin_network(chosen, Silence()).network
    network.load_state_dict(learnt)
    expected = pack_weights(network)

    assert state["epoch"] == best["best_epoch"]
    assert found.keys() == expected.keys()
    *body, head = sorted(found, key=lambda name: name == "head.bias")
    assert all(np.array_equal(found[name], expected[name]) for name in body)
    assert found[head] == pytest.approx(expected[head] + np.array(best["biases"], np.float32))


def test_it_differs_from_the_one_that_chose_and_keeps_its_validation_scores(
    settings: Callable[..., TrainSettings],
) -> None:
    plain = settings(SCALED, "epochs=4", "fit_bias=true")
    once = train_model(plain)
    spec, weights = spec_of(once), read_model_file(once)[1]
    again = train_model(settings(*REFITTED))
    refitted, others = spec_of(again), read_model_file(again)[1]

    assert any(not np.array_equal(weights[name], others[name]) for name in weights)
    assert refitted.metrics["validation"] == spec.metrics["validation"]
    assert refitted.temperature == spec.temperature
    pixels = [sum(s.provenance["training_pixels"].values()) for s in (spec, refitted)]
    assert pixels[1] > pixels[0]


@pytest.mark.slow  # `make test` kills a training in test_training_resume.py
def test_one_killed_in_its_refit_resumes_to_the_same_bytes(
    settings: Callable[..., TrainSettings], tmp_path: Path
) -> None:
    long = [SCALED, "refit=true", "epochs=5", "chips_per_epoch=256", "fit_bias=true"]
    whole = settings(*long, f"out={tmp_path / 'whole.safetensors'}")
    expected = train_model(whole).read_bytes()
    command = [sys.executable, "-m", "segflow.cli", "train", str(tmp_path / "toy.yaml")]
    chosen = settings(*long)
    with subprocess.Popen(
        [*command, *(f"--set={text}" for text in long)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while not (chosen.log_folder / REFIT / LAST).is_file():
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert not any(event["event"] == "end" for event in read_training_log(chosen.log_folder))

    done = CliRunner().invoke(app, [*command[3:], "--resume", *(f"--set={text}" for text in long)])

    assert done.exit_code == 0, done.output
    assert "refit: resumes after epoch" in done.stderr
    found = Path(chosen.out).read_bytes()
    assert json.loads(read_model_file(chosen.out)[0]) == json.loads(read_model_file(whole.out)[0])
    assert found == expected


def test_a_new_training_takes_nothing_from_the_refit_of_an_earlier_one(
    settings: Callable[..., TrainSettings],
) -> None:
    train_model(settings(*REFITTED))
    first = settings(*REFITTED, "seed=1")
    expected = train_model(first).read_bytes()

    assert (first.log_folder / "previous" / REFIT / LAST).is_file()
    assert train_model(first, resume=True).read_bytes() == expected
