"""Calibration against a plain loop, and the temperature against logits whose temperature is known."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from segflow.errors import ModelError, TrainingError
from segflow.segmentation.predict.torch_engine import TorchEngine
from segflow.segmentation.scores.calibration import Calibration, fit_temperature, reliability
from segflow.segmentation.spec import BandSpec, ClassSpec, ModelSpec

SPEC = ModelSpec(
    name="toy",
    version="1",
    architecture="pixelwise",
    arguments={},
    bands=(BandSpec(name="red", mean=100, std=20),),
    dtype="uint8",
    gsd=10,
    gsd_range=(5, 20),
    classes=tuple(ClassSpec(value=v, name=f"c{v}", colour="#000000") for v in range(3)),
    stride=1,
    dependency=0,
    margin=0,
    guarantee="exact",
)
labels = arrays(np.uint8, (5, 6), elements=st.sampled_from([0, 1, 255]))
percents = arrays(np.uint8, (5, 6), elements=st.sampled_from([*range(0, 101, 5), 1, 99, 255]))


@given(labels, labels, percents)
def test_the_error_is_that_of_a_plain_loop(truth: np.ndarray, prediction: np.ndarray, said: np.ndarray) -> None:
    """Bins as torchmetrics draws them: ``low < confidence <= high``."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for t, p, c in zip(truth.ravel(), prediction.ravel(), said.ravel(), strict=True):
        if 255 not in {t, p, c}:
            bins.setdefault(max(0, math.ceil(int(c) * 10 / 100) - 1), []).append((int(c) / 100, t == p))
    total = sum(map(len, bins.values()))
    gaps = [abs(sum(right for _, right in entry) - sum(said for said, _ in entry)) for entry in bins.values()]
    found = Calibration.of(reliability(truth, prediction, said), bins=10)

    assert sum(entry.pixels for entry in found.bins) == total
    assert found.error == pytest.approx(sum(gaps) / total if total else math.nan, nan_ok=True)


@given(labels, labels, percents)
def test_parts_add_up(truth: np.ndarray, prediction: np.ndarray, said: np.ndarray) -> None:
    parts = sum(reliability(truth[rows], prediction[rows], said[rows]) for rows in (slice(2), slice(2, 5)))

    assert np.array_equal(parts, reliability(truth, prediction, said))


def test_a_map_that_is_always_sure_and_right_is_calibrated() -> None:
    truth = np.array([[0, 1]], np.uint8)
    found = Calibration.of(reliability(truth, truth, np.full((1, 2), 100, np.uint8)))

    assert (found.error, found.accuracy, found.confidence) == (0, 1, 1)
    assert found.bins[-1].pixels == 2


def drawn(temperature: float, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from ``softmax(logits / temperature)``."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (classes, 300, 400))
    shares = np.exp(logits / temperature)
    chosen = (shares.cumsum(0) / shares.sum(0) > random.random((300, 400))).argmax(0)
    return logits.astype(np.float32), chosen.astype(np.uint8)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_that_drew_the_labels_is_found(temperature: float) -> None:
    logits, truth = drawn(temperature)

    assert fit_temperature([logits], [truth]) == pytest.approx(temperature, rel=0.02)


def test_the_temperature_is_torchs() -> None:
    """LBFGS on torch's cross-entropy, as in the paper's code, ends at the same number."""
    logits, truth = drawn(1.7, seed=3)
    truth[:50] = 255
    scores, wanted = torch.from_numpy(logits)[None].double(), torch.from_numpy(truth)[None].long()
    temperature = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([temperature], max_iter=20, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = nn.functional.cross_entropy(scores / temperature, wanted, ignore_index=255)
        value.backward()
        return value

    optimiser.step(loss)

    assert fit_temperature([logits], [truth]) == pytest.approx(temperature.item(), abs=2e-4)


def test_scenes_count_by_their_pixels_in_any_order() -> None:
    logits, truth = drawn(1.5)
    halves = [logits[:, :100], logits[:, 100:]], [truth[:100], truth[100:]]

    assert fit_temperature(*halves) == fit_temperature([logits], [truth])
    assert fit_temperature(halves[0][::-1], halves[1][::-1]) == pytest.approx(fit_temperature(*halves), abs=2e-4)


def test_scaling_lowers_the_calibration_error() -> None:
    logits, truth = drawn(3.0)
    temperature = fit_temperature([logits], [truth])

    def error(scale: float) -> float:
        shares = torch.from_numpy(logits / scale).softmax(0).amax(0).numpy()
        said = np.round(100 * shares).astype(np.uint8)
        return Calibration.of(reliability(truth, logits.argmax(0).astype(np.uint8), said)).error

    assert error(temperature) < 0.01 < error(1.0)


def test_nothing_to_fit_and_broken_logits_are_refused() -> None:
    logits, truth = drawn(1.0)
    with pytest.raises(TrainingError, match="labelled pixels"):
        fit_temperature([logits], [np.full_like(truth, 255)])
    with pytest.raises(TrainingError, match="labelled pixels"):
        fit_temperature([], [])
    with pytest.raises(TrainingError, match="do not fit"):
        fit_temperature([logits[:, 1:]], [truth])
    logits[0, 0, 0] = np.nan
    with pytest.raises(TrainingError, match="finite"):
        fit_temperature([logits], [truth])


def test_the_engine_heeds_the_temperature_and_keeps_the_classes() -> None:
    torch.manual_seed(0)
    network = nn.Conv2d(1, 3, 1).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (1, 1, 20, 30), dtype=np.uint8)
    valid = np.ones((1, 20, 30), bool)

    def predict(temperature: float):
        spec = replace(SPEC, temperature=temperature)
        return TorchEngine(network, spec, device="cpu", precision="float32", probabilities=True).predict(pixels, valid)

    plain, soft = predict(1.0), predict(4.0)
    with torch.inference_mode():
        logits = network(torch.from_numpy((pixels - np.float32(100)) / np.float32(20)))
    shares = (logits / 4).softmax(1).numpy()

    assert np.array_equal(soft.labels, plain.labels)
    assert np.abs(soft.confidence - 100 * shares.max(1)).max() <= 0.501
    assert np.abs(soft.probabilities - 200 * shares).max() <= 0.501
    assert soft.confidence.mean() < plain.confidence.mean()


def test_the_temperature_travels_with_the_model() -> None:
    spec = replace(SPEC, temperature=1.37)

    assert ModelSpec.from_json(spec.to_json()).temperature == 1.37


def test_models_from_before_have_none() -> None:
    fields = json.loads(SPEC.to_json())
    del fields["temperature"]

    assert ModelSpec.from_json(json.dumps(fields)) == SPEC


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_out_of_range_is_refused(temperature: float) -> None:
    with pytest.raises(ModelError, match="temperature"):
        replace(SPEC, temperature=temperature)
