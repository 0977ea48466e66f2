"""Fine-tuning: what a model to start from must have, and what it passes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from segflow.configs.training_files import load_training
from segflow.errors import ModelError, SegflowError
from segflow.flows.models.lookup import find_model
from segflow.flows.progress import Silence
from segflow.flows.train.train import train_model
from segflow.io.models.packages import read_model_file, write_model_file
from segflow.segmentation.networks.registry import build_network
from segflow.segmentation.predict.weights import pack_weights
from segflow.segmentation.spec import ModelSpec
from segflow.segmentation.training.fine_tuning import adopt_weights
from tests.training_scenes import write_toy

THIRD = (
    'classes=[{value: 0, name: a, colour: "#000000"}, {value: 1, name: b, colour: "#ffffff"}, '
    '{value: 2, name: c, colour: "#0000ff"}]'
)


class Told(Silence):
    """Progress that remembers its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def start(config: Path) -> Path:
    """A trained model of two classes."""
    return train_model(load_training(config, [f"out={config.parent / 'start.safetensors'}"], environment={}))


def tune(config: Path, start: Path | str, *assign: str) -> tuple[ModelSpec, list[str]]:
    told = Told()
    given = [f"start={start}", "epochs=1", *assign]
    model = train_model(load_training(config, given, environment={}), told)
    return find_model(str(model)).spec, told.notes


def test_weights_and_scaling_are_passed_on(config: Path, start: Path) -> None:
    spec, notes = tune(config, start, "learning_rate=1e-9", "averaging=0")
    weights, before = (read_model_file(path)[1] for path in (config.parent / "models" / "toy.safetensors", start))
    head = next(name for name in weights if name.startswith("head") and name.endswith("weight"))

    assert np.allclose(weights[head], before[head], atol=1e-6)
    assert spec.bands == find_model(str(start)).spec.bands
    assert spec.provenance["start"]["digest"] == find_model(str(start)).digest
    assert str(start) not in spec.to_json()
    assert any("starts from the weights of toy 1" in note for note in notes)


def test_another_number_of_classes_renews_the_last_layer_and_says_so(config: Path, start: Path) -> None:
    spec, notes = tune(config, start, THIRD, "allow_unseen=true")

    assert len(spec.classes) == 3
    assert any(
        "toy has 2 classes, this model 3: head.bias, head.weight start from random weights" in note for note in notes
    )


def test_all_but_the_last_layer_is_kept(start: Path) -> None:
    text, arrays = read_model_file(start)
    torch.manual_seed(1)
    network = build_network("unet", {"widths": [4, 8]}, in_channels=2, classes=5)
    fresh = adopt_weights(network, arrays, ModelSpec.from_json(text), classes=5)
    found = pack_weights(network)

    assert fresh == ("head.bias", "head.weight")
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays if name not in fresh)


@pytest.mark.parametrize(
    ("assign", "says"),
    [
        ("arguments={widths: [4, 16]}", r"was built with widths: \[4, 8\], but `arguments` say widths: \[4, 16\]"),
        ("network=pixelwise", "is a unet, but `network` is pixelwise"),
        ("bands=[red, green]", "sees the bands red, nir, but `bands` are red, green"),
        ("start=no-such-model", "no-such-model"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(config: Path, start: Path, assign: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        tune(config, start, assign)


def test_the_first_weight_that_differs_is_named(start: Path) -> None:
    text, arrays = read_model_file(start)
    spec = ModelSpec.from_json(text)
    network = build_network("unet", {"widths": [4, 8]}, in_channels=2, classes=2)
    wrong = {**arrays, "down.0.0.weight": np.zeros((4, 3, 3, 3), np.float32)}
    with pytest.raises(ModelError, match=r"'down.0.0.weight' has shape \(4, 3, 3, 3\), but .* needs \(4, 2, 3, 3\)"):
        adopt_weights(network, wrong, spec, classes=2)
    with pytest.raises(ModelError, match=r"'extra' is in it, but not in this network"):
        adopt_weights(network, {**arrays, "extra": np.zeros(1, np.float32)}, spec, classes=2)
    with pytest.raises(ModelError, match=r"'head.bias' is in this network, but not in it"):
        adopt_weights(network, {n: a for n, a in arrays.items() if n != "head.bias"}, spec, classes=2)


def test_weights_of_a_file_go_where_they_fit(config: Path, start: Path, tmp_path: Path) -> None:
    arrays = read_model_file(start)[1]
    kept = {name: torch.from_numpy(array) for name, array in arrays.items() if not name.startswith("head")}
    torch.save(kept, tmp_path / "encoder.pt")
    told = Told()
    settings = load_training(config, [f"weights={tmp_path / 'encoder.pt'}", "epochs=1"], environment={})
    spec = find_model(str(train_model(settings, told))).spec

    assert any(f"gives {len(kept)} weights, 2 start at random" in note for note in told.notes)
    assert spec.provenance["settings"]["weights"] == "encoder.pt"


def test_pixels_of_another_kind_need_a_scaling(config: Path, start: Path, tmp_path: Path) -> None:
    text, arrays = read_model_file(start)
    other = tmp_path / "other.safetensors"
    write_model_file(other, replace(ModelSpec.from_json(text), dtype="uint16", display=False).to_json(), arrays)
    with pytest.raises(SegflowError, match="trained on uint16 pixels, but the scenes have uint8: set `scaling`"):
        tune(config, other)
    spec, _ = tune(config, other, "scaling={red: [80, 60], nir: [30, 20]}")

    assert [(band.mean, band.std) for band in spec.bands] == [(80, 60), (30, 20)]
