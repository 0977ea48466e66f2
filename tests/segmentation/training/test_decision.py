"""Biases between classes: fitted where the overlap is best, and folded into the network."""

import numpy as np
import pytest
import torch
from torch import nn

from segflow.errors import TrainingError
from segflow.segmentation.scores.metrics import Scores
from segflow.segmentation.training.chips import Sample
from segflow.segmentation.training.decision import add_biases, count_logits, fit_biases


def scenes(shift: float, seed: int = 0) -> tuple[list[np.ndarray], list[Sample]]:
    """Give logits of two classes whose best border lies at `shift`, with the labels they belong to."""
    rng = np.random.default_rng(seed)
    truth = rng.random((40, 50)) < 0.3
    logits = np.stack([np.zeros(truth.shape), np.where(truth, 0.4, -0.4) + shift]).astype(np.float32)
    labels = truth.astype(np.uint8)
    sample = Sample(name="a", pixels=np.zeros((1, 40, 50), np.uint8), valid=np.ones((40, 50), bool), labels=labels)
    return [logits], [sample]


@pytest.mark.parametrize("shift", [-1.5, -0.75, 0.0, 1.0, 2.0])
def test_the_best_border_is_found(shift: float) -> None:
    """Whatever the network's own border, the fitted one separates what can be separated."""
    logits, samples = scenes(shift)
    biases = fit_biases(logits, samples)

    assert biases[0] == 0
    assert abs(biases[1] + shift) < 0.4
    assert Scores.of(count_logits(logits, samples, biases)).mean_iou == 1


def test_biases_become_part_of_the_network() -> None:
    """The logits move by them, everywhere."""
    network = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 1))
    x = torch.randn(1, 1, 8, 8)
    with torch.inference_mode():
        before = network(x)
        add_biases(network, np.array([0.0, -0.75], np.float32))
        after = network(x)

    torch.testing.assert_close(after - before, torch.tensor([0.0, -0.75])[None, :, None, None].expand_as(after))


def test_a_network_without_a_place_for_them_is_refused() -> None:
    """The message names the setting."""
    with pytest.raises(TrainingError, match="fit_bias"):
        add_biases(nn.Sequential(nn.Conv2d(1, 2, 1, bias=False)), np.zeros(2, np.float32))
