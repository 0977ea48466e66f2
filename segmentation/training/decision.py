"""Biases on the logits of the classes, fitted on validation scenes for the best mean IoU.

Cross-entropy gives all pixels the same weight, while a map is judged by the overlap of its classes.
On validation scenes the best overlap is often reached with a constant added to the logits of some
classes. The biases become part of the last convolution, so prediction needs no code for them.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from segflow.errors import TrainingError
from segflow.segmentation.scores.metrics import Counts, Scores, confusion
from segflow.segmentation.training.chips import Sample
from segflow.tiling import NODATA

Floats = npt.NDArray[np.float32]

STEPS = np.arange(-2.0, 2.01, 0.25, dtype=np.float32)  # biases that are tried, on logits [1]


def count_logits(logits: Sequence[Floats], samples: Sequence[Sample], biases: Floats) -> Counts:
    """Count pixels by true and predicted class: (classes, classes) int64 array [truth, prediction]."""
    return sum(
        (
            confusion(sample.labels, label_pixels(found, sample, biases), len(biases))
            for found, sample in zip(logits, samples, strict=True)
        ),
        start=np.zeros((len(biases), len(biases)), np.int64),
    )


def fit_biases(logits: Sequence[Floats], samples: Sequence[Sample]) -> Floats:
    """Give the biases with the best mean IoU: one class after the other, the first one stays at 0.

    Parameters
    ----------
    logits
        (classes, height, width) logits of each scene.
    samples
        The scenes with their labels.

    Returns
    -------
    biases
        (classes,) float32 array.
    """
    biases = np.zeros(len(logits[0]), np.float32)
    for index in range(1, len(biases)):
        tried = [np.where(np.arange(len(biases)) == index, step, biases).astype(np.float32) for step in STEPS]
        scores = [Scores.of(count_logits(logits, samples, candidate)).mean_iou for candidate in tried]
        biases = tried[int(np.argmax(scores))]
    return biases


def add_biases(network: nn.Module, biases: Floats) -> None:
    """Make biases part of a network's last convolution.

    Raises
    ------
    TrainingError
        If its last convolution has no bias per class.
    """
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    if not convolutions or convolutions[-1].bias is None or convolutions[-1].out_channels != len(biases):
        msg = "the network does not end in a convolution with a bias per class: set fit_bias to false"
        raise TrainingError(msg)
    with torch.no_grad():
        convolutions[-1].bias += torch.from_numpy(biases).to(convolutions[-1].bias)


def label_pixels(logits: Floats, sample: Sample, biases: Floats) -> npt.NDArray[np.uint8]:
    """Give the (height, width) class of every pixel under some biases, 255 where not valid."""
    best = (logits + biases[:, None, None]).argmax(0).astype(np.uint8)
    return np.where(sample.valid, best, np.uint8(NODATA))
