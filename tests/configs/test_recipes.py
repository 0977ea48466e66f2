"""Recipes: the published figures, networks that can be built, and settings that go with any project."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from segflow.configs.loader import load_settings
from segflow.configs.recipes import find_presets, find_recipe
from segflow.configs.training import TrainSettings
from segflow.configs.training_files import load_training
from segflow.errors import SettingsError
from segflow.flows.models.lookup import find_model
from segflow.flows.progress import Silence
from segflow.flows.train.new_model import begin_network
from segflow.flows.train.recipe import make_recipe
from segflow.flows.train.train import train_model
from segflow.io.models.packages import read_model_file
from segflow.segmentation.networks.registry import ARCHITECTURES, build_network, find_architecture
from segflow.segmentation.training.schedules import build_optimiser
from tests.configs.test_train_settings import MINIMAL
from tests.training_scenes import write_toy

RECIPES = tuple(yaml.safe_load((Path(__file__).parents[2] / "configs" / "recipes.yaml").read_text(encoding="utf-8")))
PAPER = ("fcn32s-vgg16-paper", "fcn16s-vgg16-paper", "fcn8s-vgg16-paper")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project.yaml").write_text(MINIMAL + "epochs: 3\nlearning_rate: 0.1\nbackground: 0\n")
    return tmp_path


def settings(project: Path, name: str, *assign: str) -> TrainSettings:
    return load_training(project, assign, recipe=name, environment={})


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_goes_with_a_project_and_builds_its_network(project, name):
    found = settings(project, name)
    with torch.device("meta"):
        network = build_network(found.network, found.arguments, in_channels=4, classes=3)

    assert sum(parameter.numel() for parameter in network.parameters()) > 1e6
    assert make_recipe(found).steps >= 1
    assert (found.name, found.gsd, len(found.classes)) == ("toy", 10, 2)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_say_nothing_of_the_data(name):
    told = {"data", "scenes", "labels", "classes", "bands", "gsd", "gsd_range", "out", "name", "class_values", "split"}

    assert find_recipe(name).keys() & told == set()


def test_set_wins_over_the_recipe_which_wins_over_the_file(project):
    plain, chosen = load_training(project, environment={}), settings(project, PAPER[0], "epochs=7")

    assert settings(project, "unet-vgg16-320", "clip=null").clip is None
    assert (plain.epochs, plain.learning_rate, plain.optimiser) == (3, 0.1, "adamw")
    assert (chosen.epochs, chosen.learning_rate, chosen.optimiser) == (7, 1e-10, "sgd")


def test_s2_the_papers_recipe(project):
    stages = [settings(project, name) for name in PAPER]

    assert [stage.network for stage in stages] == ["fcn32s-vgg16", "fcn16s-vgg16", "fcn8s-vgg16"]
    assert [stage.learning_rate for stage in stages] == [1e-10, 1e-12, 1e-14]
    for stage in stages:
        assert (stage.optimiser, stage.momentum, stage.weight_decay) == ("sgd", 0.99, 5e-4)
        assert (stage.batch, stage.accumulate, stage.loss_reduction) == (1, 1, "sum")
        assert (stage.schedule, stage.clip, stage.background) == ("constant", None, 255)
        assert stage.epochs * make_recipe(stage).steps == 100_000


def test_s2_biases_learn_twice_as_fast_and_do_not_decay(project):
    network = build_network("fcn32s-vgg16", {"width": 0.02}, in_channels=3, classes=2)
    weights, biases = build_optimiser(network, make_recipe(settings(project, PAPER[0]))).param_groups
    dropped = [part.p for part in network.modules() if isinstance(part, torch.nn.Dropout)]

    assert (weights["lr"], weights["weight_decay"], weights["momentum"]) == (1e-10, 5e-4, 0.99)
    assert (biases["lr"], biases["weight_decay"], biases["momentum"]) == (2e-10, 0.0, 0.99)
    assert {parameter.ndim for parameter in biases["params"]} == {1}
    assert len(biases["params"]) == 16
    assert dropped == [0.5, 0.5]


def test_s3_alexnets_recipe(project):
    found = settings(project, "fcn-alexnet-paper")

    assert (found.network, found.learning_rate, found.momentum) == ("fcn-alexnet", 1e-4, 0.9)
    assert (found.batch, found.accumulate, found.loss_reduction) == (1, 20, "mean")
    assert make_recipe(found).steps == 1000


def test_s10_the_kitti_recipe(project):
    found = settings(project, "fcn8s-kitti-road")
    network = build_network(found.network, {**found.arguments, "width": 0.05}, in_channels=3, classes=2)

    assert (found.optimiser, found.learning_rate, found.epochs, found.batch) == ("adam", 1e-4, 25, 16)
    assert {part.p for part in network.modules() if isinstance(part, torch.nn.Dropout)} == {0.75}
    assert found.chip**2 == pytest.approx(160 * 576, rel=0.01)
    assert network(torch.zeros(1, 3, 160, 576)).shape == (1, 2, 160, 576)


def test_s10_augmentation_is_all_that_differs():
    plain, varied = find_recipe("fcn8s-kitti-road"), find_recipe("fcn8s-kitti-road-augmented")

    assert {key for key in plain if plain[key] != varied[key]} == {"turn", "gain", "band_gain", "haze", "band_haze"}
    assert plain["turn"] is False


def test_s8_every_preset_has_its_recipe(project):
    found = {name: settings(project, name) for network in ARCHITECTURES for name in find_presets(network)}

    assert len(found) == 8
    for name, preset in found.items():
        assert f"{preset.network}-{preset.chip}" == name
        assert find_architecture(name) is ARCHITECTURES[preset.network]  # a model file may hold it under either name
    assert {entry.batch * entry.accumulate for entry in found.values()} == {8}


def test_unknown_recipes_are_refused(project):
    with pytest.raises(SettingsError, match="did you mean 'unet-vgg16-320'"):
        settings(project, "unet-vgg-320")
    with pytest.raises(SettingsError, match="choose one of fcn32s-vgg16-paper"):
        settings(project, "zzz")


def test_defaults_are_checked_as_any_setting(project):
    with pytest.raises(SettingsError, match="learning_rate"):
        settings(project, PAPER[0], "learning_rate=-1")
    assert load_settings(TrainSettings, file=project / "project.yaml").loss_reduction == "mean"


@pytest.mark.parametrize(
    ("name", "rate"),
    [("fcn8s-vgg16-paper", "1e-6"), ("fcn8s-kitti-road-augmented", "1e-4"), ("unet-vgg16-320", "1e-4")],
)
def test_recipes_train_on_a_project(tmp_path, name, rate):
    config = write_toy(tmp_path)
    arguments = "arguments={encoder: resnet18}" if name.startswith("unet") else "arguments={width: 0.02}"
    short = ["epochs=1", "chips_per_epoch=4", "batch=2", "accumulate=1", "chip=32", f"learning_rate={rate}", arguments]
    path = train_model(load_training(config, short, recipe=name, environment={}))
    spec = find_model(str(path)).spec

    assert spec.architecture == find_recipe(name)["network"]
    assert spec.metrics["test"]["mean_iou"] is not None


def test_s2_each_stage_goes_on_from_the_one_before(tmp_path):
    config = write_toy(tmp_path)
    short = ["epochs=1", "chips_per_epoch=2", "chip=32", "learning_rate=1e-6", "arguments={width: 0.02}"]
    first = train_model(load_training(config, short, recipe=PAPER[0], environment={}))
    told = Notes()
    second = begin_network(
        load_training(config, [*short, f"weights={first}"], recipe=PAPER[1], environment={}), told
    ).network.state_dict()
    learnt = read_model_file(first)[1]
    shared = [name for name in learnt if name in second and name != "upscore.weight"]

    assert len(shared) == 32
    assert all(np.array_equal(learnt[name], second[name].numpy()) for name in shared)
    assert any("32 weights" in note for note in told.lines)


class Notes(Silence):
    """Remembers what is told."""

    def __init__(self):
        self.lines = []

    def note(self, message):
        self.lines.append(message)
