"""Training: chips in, the network with the best validation score out.

AdamW with a one-cycle schedule; an exponential moving average of the weights is what is
validated and kept, because it varies less from epoch to epoch than the weights themselves.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from segflow.errors import TrainingError
from segflow.segmentation.metrics import Counts, Scores
from segflow.segmentation.spec import NODATA, BandSpec
from segflow.segmentation.training.chips import Sample, Tint, random_chips
from segflow.segmentation.training.decision import add_biases, count_logits, fit_biases, scene_logits

_WARM_UP = 0.15  # share of all steps in which the learning rate rises
_LARGEST_GRADIENT = 5.0  # norm; a rare steep step must not spoil the average


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how a network is trained.

    Attributes
    ----------
    epochs, chips_per_epoch, batch, chip
        Chips in all are ``epochs × chips_per_epoch``, `batch` at a time, `chip` px a side.
    learning_rate, weight_decay
        Peak of the one-cycle schedule, and AdamW's decay.
    label_smoothing
        Share of probability that the loss spreads over all classes.
    averaging
        Decay of the moving average of the weights per step.
    mixed_precision
        Whether the forward pass runs in bfloat16 where that is safe.
    fit_bias
        Whether biases between the classes are fitted on the validation scenes, see `decision`.
    turn, tint
        Augmentation.
    seed
        Of weights, chips and augmentation.
    """

    epochs: int = 40
    chips_per_epoch: int = 320
    batch: int = 16
    chip: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.0
    averaging: float = 0.99
    mixed_precision: bool = False
    fit_bias: bool = False
    turn: bool = True
    tint: Tint = field(default_factory=Tint)
    seed: int = 0

    @property
    def steps(self) -> int:
        """Number of optimiser steps per epoch."""
        return max(1, self.chips_per_epoch // self.batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One epoch as it went.

    Attributes
    ----------
    number
        From 1.
    loss
        Mean of the training loss.
    scores
        Scores of the averaged network on the validation scenes.
    best
        Whether its mean IoU is the best so far.
    """

    number: int
    loss: float
    scores: Scores
    best: bool


def set_up(seed: int, threads: int | None) -> None:
    """Seed what draws random weights, and choose the threads of the CPU; None: torch's own choice."""
    if threads is not None:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)


def train_network(
    network: nn.Module,
    samples: Sequence[Sample],
    validation: Sequence[Sample],
    *,
    bands: Sequence[BandSpec],
    classes: int,
    stride: int,
    schedule: Schedule,
    report: Callable[[Epoch, nn.Module], None],
) -> nn.Module:
    """Train a network and give the averaged one of the epoch with the best mean IoU.

    Parameters
    ----------
    network
        The network to start from; its weights change.
    samples, validation
        Scenes to learn from, and scenes to choose the best epoch by.
    bands
        Scaling of the bands.
    classes
        Number of classes.
    stride
        The network's total downsampling [px].
    schedule
        How long and how.
    report
        Told of every epoch, with the averaged network.

    Raises
    ------
    TrainingError
        If a scene is smaller than a chip, or the loss is not finite.
    """
    check_samples(samples, validation, schedule.chip)
    torch.manual_seed(schedule.seed)
    decay = get_ema_multi_avg_fn(schedule.averaging)
    averaged = AveragedModel(network, multi_avg_fn=decay, use_buffers=True)
    losses = _optimise(network, averaged, samples, bands=bands, schedule=schedule)
    best, best_score = network, -math.inf
    for number in range(1, schedule.epochs + 1):
        loss = float(np.mean(list(islice(losses, schedule.steps))))
        candidate = copy.deepcopy(averaged.module)
        logits = [scene_logits(candidate, sample, bands=bands, stride=stride) for sample in validation]
        biases = fit_biases(logits, validation) if schedule.fit_bias else np.zeros(classes, np.float32)
        scores = Scores.of(count_logits(logits, validation, biases))
        if schedule.fit_bias:
            add_biases(candidate, biases)
        better = scores.mean_iou > best_score
        if better:
            best, best_score = candidate, scores.mean_iou
        report(Epoch(number=number, loss=loss, scores=scores, best=better), candidate)
    return best.eval()


def _optimise(
    network: nn.Module,
    averaged: AveragedModel,
    samples: Sequence[Sample],
    *,
    bands: Sequence[BandSpec],
    schedule: Schedule,
) -> Iterator[float]:
    """Take one optimiser step after the other and give its loss."""
    optimiser = torch.optim.AdamW(network.parameters(), schedule.learning_rate, weight_decay=schedule.weight_decay)
    total = schedule.epochs * schedule.steps
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, schedule.learning_rate, total, pct_start=_WARM_UP)
    loss_of = nn.CrossEntropyLoss(ignore_index=NODATA, label_smoothing=schedule.label_smoothing)
    for images, labels in _batches(samples, bands, schedule):
        network.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=schedule.mixed_precision):
            logits = network(images)
        loss = loss_of(logits.float(), labels)
        if not torch.isfinite(loss):
            msg = f"the training loss is {loss.item()}: lower the learning rate ({schedule.learning_rate})"
            raise TrainingError(msg)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT)
        optimiser.step()
        cycle.step()
        averaged.update_parameters(network)
        yield loss.item()


def _batches(
    samples: Sequence[Sample], bands: Sequence[BandSpec], schedule: Schedule
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Give (batch, bands, h, w) float32 images, channels last, with (batch, h, w) int64 labels, without end."""
    chips = random_chips(
        samples,
        bands,
        size=schedule.chip,
        turn=schedule.turn,
        tint=schedule.tint,
        random=np.random.default_rng(schedule.seed),
    )
    while True:
        images, labels = map(np.stack, zip(*islice(chips, schedule.batch), strict=True))
        if (labels != NODATA).any():  # else there is nothing to learn, and the mean over nothing is no number
            yield (
                torch.from_numpy(images).contiguous(memory_format=torch.channels_last),
                torch.from_numpy(labels).long(),
            )


def count_samples(
    network: nn.Module, samples: Sequence[Sample], *, bands: Sequence[BandSpec], classes: int, stride: int
) -> Counts:
    """Count pixels by true and predicted class over whole scenes, each in one forward pass."""
    logits = [scene_logits(network, sample, bands=bands, stride=stride) for sample in samples]
    return count_logits(logits, samples, np.zeros(classes, np.float32))


def check_samples(samples: Sequence[Sample], validation: Sequence[Sample], chip: int) -> None:
    """Check that there is something to learn from.

    Raises
    ------
    TrainingError
        If there are no scenes, or one is smaller than a chip.
    """
    if not samples or not validation:
        msg = f"training needs scenes to learn from and to validate on, got {len(samples)} and {len(validation)}"
        raise TrainingError(msg)
    for sample in samples:
        if min(sample.labels.shape) < chip:
            shape = " × ".join(map(str, sample.labels.shape))
            msg = f"scene {sample.name} has {shape} px, but a chip has {chip}: lower `chip`"
            raise TrainingError(msg)
