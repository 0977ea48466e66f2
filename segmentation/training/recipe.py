"""How a network is trained, and what an epoch gave."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from torch import nn

from segflow.segmentation.scores.metrics import Scores
from segflow.segmentation.spec import BandSpec

ClassWeights = Literal["none", "balanced"] | tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How chips vary; light is given in standard deviations.

    Attributes
    ----------
    turn
        Whether chips are turned and mirrored: the eight symmetries of a square.
    rotate, scale
        Largest angle of a rotation [°] and largest change of scale; 0: none, and no pixel is resampled.
    gain, band_gain
        Of the logarithm of a factor on all bands, sun and season, and on each band.
    haze, band_haze
        Of a summand on all bands, and on each band [std of the band].
    cutout, cutmix
        Chances that a chip gets a hole, and that a part of it comes from another chip of its batch.
    """

    turn: bool = True
    rotate: float = 0.0
    scale: float = 0.0
    gain: float = 0.1
    band_gain: float = 0.05
    haze: float = 0.1
    band_haze: float = 0.05
    cutout: float = 0.0
    cutmix: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How long and how a network is trained.

    Attributes
    ----------
    epochs, chips_per_epoch, batch, chip, accumulate
        Chips in all are ``epochs × chips_per_epoch``, `chip` px a side; `batch` go through the network
        at a time, and the optimiser steps after `accumulate` batches.
    patience
        Epochs without a better score after which training stops; None: never.
    stop_after
        Epoch after which training stops though the schedule goes on to `epochs`; None: the last.
    sampling
        ``uniform``: every place for a chip is as likely; ``balanced``: every class is.
    optimiser, learning_rate, momentum, weight_decay
        The peak of the learning rate; momentum is SGD's.
    bias_rate, bias_decay
        Factor on the learning rate of biases, and whether they decay.
    schedule, clip
        Course of the learning rate; largest norm of a gradient, None: any.
    loss, class_weights, label_smoothing, focal_gamma, loss_reduction
        Terms of the loss with their weights, see `losses`.
    averaging
        Decay of the moving average of the weights per step.
    mixed_precision
        Half precision of the forward pass, or None.
    fit_bias
        Whether biases between the classes are fitted on the validation scenes, see `decision`.
    augmentation
        How chips vary.
    seed, device
        Of weights, chips and augmentation; ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
    """

    epochs: int = 40
    chips_per_epoch: int = 320
    batch: int = 16
    chip: int = 256
    accumulate: int = 1
    patience: int | None = None
    stop_after: int | None = None
    sampling: Literal["uniform", "balanced"] = "uniform"
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = 2e-3
    momentum: float = 0.9
    weight_decay: float = 1e-2
    bias_rate: float = 1.0
    bias_decay: bool = True
    schedule: Literal["one-cycle", "cosine", "poly", "constant"] = "one-cycle"
    clip: float | None = 5.0
    loss: Mapping[str, float] = field(default_factory=lambda: {"cross-entropy": 1.0})
    class_weights: ClassWeights = "none"
    label_smoothing: float = 0.0
    focal_gamma: float = 2.0
    loss_reduction: Literal["mean", "sum"] = "mean"
    averaging: float = 0.99
    mixed_precision: Literal["bfloat16", "float16"] | None = None
    fit_bias: bool = False
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    device: str = "cpu"

    @property
    def batches(self) -> int:
        """Number of batches per epoch: whole steps of the optimiser, at least one."""
        return self.accumulate * self.steps

    @property
    def steps(self) -> int:
        """Number of optimiser steps per epoch."""
        return max(1, self.chips_per_epoch // (self.batch * self.accumulate))


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a network is to learn.

    Attributes
    ----------
    bands, classes
        Scaling of the bands; number of classes.
    stride, margin
        Of the network [px].
    """

    bands: tuple[BandSpec, ...]
    classes: int
    stride: int
    margin: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One epoch as it went.

    Attributes
    ----------
    number
        From 1.
    loss, learning_rate
        Mean of the training loss; learning rate at its end.
    seconds
        What learning and validating took [s].
    scores
        Scores of the averaged network on the validation scenes.
    best
        Whether its mean IoU is the best so far.
    """

    number: int
    loss: float
    learning_rate: float
    seconds: float
    scores: Scores
    best: bool


class Observer(Protocol):
    """Hears how training goes."""

    def resume(self, epoch: int) -> None:
        """Hear that training goes on after `epoch` epochs of an interrupted one."""

    def step(self, number: int, loss: float) -> None:
        """Hear of every optimiser step, from 1 over all epochs, and of the loss of its last batch."""

    def epoch(self, epoch: Epoch, network: nn.Module) -> None:
        """Hear of an epoch, with the averaged network that was scored; its checkpoint follows."""
