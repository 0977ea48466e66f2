"""How a network is trained, and what an epoch gave."""

from dataclasses import dataclass
from typing import Literal, Protocol

from torch import nn

from segflow.configs.recipe import RecipeSettings
from segflow.segmentation.scores.metrics import Scores
from segflow.segmentation.spec import BandSpec

ClassWeights = Literal["none", "balanced"] | tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(RecipeSettings):
    """How long and how a network is trained: what is set, and where a refit ends.

    Attributes
    ----------
    stop_after
        Epoch after which training stops though the schedule goes on to `epochs`; None: the last.
    """

    stop_after: int | None = None

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
