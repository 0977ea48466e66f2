"""The module that Lightning runs: a training step, the moving average of the weights, and its validation.

All random numbers follow from the seed and the number of the epoch, so a training that was
interrupted and resumed at the end of an epoch gives the same weights as one that was not.
"""

import copy
import time
from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchmetrics.classification import MulticlassConfusionMatrix

from segflow.errors import TrainingError
from segflow.segmentation.scores.metrics import Scores
from segflow.segmentation.training.augment import ChipAugmentation
from segflow.segmentation.training.chips import Sample
from segflow.segmentation.training.decision import add_biases, fit_biases, label_pixels
from segflow.segmentation.training.losses import SegmentationLoss
from segflow.segmentation.training.prediction import scene_pieces
from segflow.segmentation.training.recipe import Epoch, Observer, Recipe, Task
from segflow.segmentation.training.schedules import build_optimiser, build_schedule
from segflow.tiling import NODATA

AVERAGED = "averaged.module."  # what names of averaged weights begin with in a module's state
_LOGGED = 10  # steps between points of the loss in TensorBoard

Chips = Mapping[str, Any]  # what the atlas cuts, stacked


class SegmentationModule(pl.LightningModule):
    """A network in training, and the moving average of its weights.

    Parameters
    ----------
    network
        The network to start from; its weights change.
    task, recipe
        Classes and bands of the model, and how it is trained.
    validation
        Scenes to choose the best epoch by; without any, the last epoch is kept and no epoch is observed.
    weights
        (classes,) weights of the classes in the loss, or None.
    observer
        Called after steps and epochs.

    Attributes
    ----------
    averaged
        The moving average: what is validated and kept.
    biases
        (classes,) biases that were fitted for it at the end of the last epoch.
    learning_rate
        The one of the last step.
    best_score, best_epoch
        The best mean IoU so far, and its epoch, from 1; 0 before the first.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        task: Task,
        recipe: Recipe,
        validation: Sequence[Sample],
        weights: npt.NDArray[np.float32] | None,
        observer: Observer,
    ) -> None:
        super().__init__()
        self.task, self.recipe, self.validation, self.observer = task, recipe, validation, observer
        self.network = network
        decay = get_ema_multi_avg_fn(recipe.averaging)
        self.averaged = AveragedModel(network, multi_avg_fn=decay, use_buffers=True)
        self.augment = ChipAugmentation(task.bands, recipe)
        self.loss = SegmentationLoss(recipe, weights)
        self.confusion = MulticlassConfusionMatrix(task.classes, ignore_index=NODATA)
        self.biases = np.zeros(task.classes, np.float32)
        self.best_score, self.best_epoch = float("-inf"), 0
        self.learning_rate = recipe.learning_rate
        self._losses: list[float] = []
        self._began = 0.0

    def configure_optimizers(self) -> Any:  # noqa: ANN401  # Lightning's union of seven forms
        """Give the optimiser, and the schedule that follows its steps."""
        optimiser = build_optimiser(self.network, self.recipe)
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": build_schedule(optimiser, self.recipe), "interval": "step"},
        }

    def on_train_epoch_start(self) -> None:
        """Seed the generator of this epoch's augmentation and dropout."""
        torch.manual_seed(epoch_seed(self.recipe.seed, self.current_epoch))
        self.network.train()
        self.averaged.eval()
        self._losses, self._began = [], time.perf_counter()

    def on_after_batch_transfer(self, batch: Chips, dataloader_idx: int) -> Chips:  # noqa: ARG002  # Lightning's hook
        """Augment the chips on their device."""
        images, labels = self.augment(batch["image"], batch["mask"], batch["valid"])
        return {**batch, "image": images, "mask": labels}

    def training_step(self, batch: Chips, batch_idx: int) -> torch.Tensor:
        """Give the loss of a batch.

        Raises
        ------
        TrainingError
            If it is not finite; the message names the chips.
        """
        self.learning_rate = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        logits = self.network(batch["image"])
        with torch.autocast(self.device.type, enabled=False):
            loss: torch.Tensor = self.loss(logits.float(), batch["mask"])
        value = loss.item()
        if not np.isfinite(value):
            raise TrainingError(_describe_failure(value, batch, self.current_epoch + 1, batch_idx + 1, self.recipe))
        self._losses.append(value)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Chips, batch_idx: int) -> None:  # noqa: ANN401, ARG002
        """Update the average of the weights after each step of the optimiser, and call the observer."""
        if (batch_idx + 1) % self.recipe.accumulate:
            return
        self.averaged.update_parameters(self.network)
        self.observer.step(self.global_step, self._losses[-1])
        if self.global_step % _LOGGED == 0:
            self._plot({"loss": self._losses[-1], "learning_rate": self.learning_rate})

    def on_train_epoch_end(self) -> None:
        """Validate the averaged network and call the observer; the checkpoint is written after that."""
        number = self.current_epoch + 1
        self.trainer.should_stop = number == self.recipe.stop_after
        if not self.validation:
            self.best_epoch = number
            return
        scores = self.validate()
        score = scores.mean_iou
        better = self.best_epoch == 0 or score > self.best_score
        if better:
            self.best_score, self.best_epoch = score, number
        epoch = Epoch(
            number=number,
            loss=float(np.mean(self._losses)),
            learning_rate=self.learning_rate,
            seconds=time.perf_counter() - self._began,
            scores=scores,
            best=better,
        )
        self._plot({"epoch_loss": epoch.loss, "mean_iou": score, "pixel_accuracy": scores.pixel_accuracy})
        self.observer.epoch(epoch, self.candidate())
        patience = self.recipe.patience
        self.trainer.should_stop |= patience is not None and number - self.best_epoch >= patience

    def validate(self) -> Scores:
        """Score the averaged network, with biases where they are to be fitted."""
        task = self.task
        with torch.autocast(self.device.type, enabled=False):
            pieces = scene_pieces(
                self.averaged.module, self.validation, bands=task.bands, stride=task.stride, margin=task.margin
            )
            if self.recipe.fit_bias:
                kept = list(pieces)
                self.biases = fit_biases([logits for logits, _ in kept], [piece for _, piece in kept])
                pieces = iter(kept)
            self.confusion.reset()
            for logits, piece in pieces:
                found = label_pixels(logits, piece, self.biases)
                truth = np.where(piece.valid, piece.labels, np.uint8(NODATA))
                self.confusion.update(*(torch.from_numpy(a).to(self.device) for a in (found, truth)))
        return Scores.of(self.confusion.compute().cpu().numpy())

    def candidate(self) -> nn.Module:
        """Give a copy of the averaged network on the CPU, its biases included, ready to predict."""
        network = self.averaged.module
        return _finished(network, self.biases) if self.recipe.fit_bias else _finished(network, None)

    def _plot(self, values: dict[str, float]) -> None:
        if self.logger is not None:
            self.logger.log_metrics(values, step=self.global_step)


def epoch_seed(seed: int, epoch: int) -> int:
    """Give the seed of an epoch, counted from 0, under the seed of all training."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def finish_network(network: nn.Module, state: Mapping[str, torch.Tensor], biases: Sequence[float] | None) -> nn.Module:
    """Give a network with the averaged weights of a module's `state`, ready to predict."""
    averaged = {name.removeprefix(AVERAGED): tensor for name, tensor in state.items() if name.startswith(AVERAGED)}
    network.load_state_dict(averaged)
    return _finished(network, None if biases is None else np.array(biases, np.float32))


def _finished(network: nn.Module, biases: npt.NDArray[np.float32] | None) -> nn.Module:
    copied = copy.deepcopy(network).cpu().eval()
    if biases is not None:
        add_biases(copied, biases)
    return copied


def _describe_failure(value: float, batch: Chips, epoch: int, number: int, recipe: Recipe) -> str:
    """Say which batch has no finite loss, and what may help."""
    spoilt = [place for place, image in zip(batch["place"], batch["image"], strict=True) if not image.isfinite().all()]
    where = f"the training loss is {value} at epoch {epoch}, batch {number}"
    if spoilt:
        return f"{where}: pixels are not finite in {'; '.join(spoilt)}: mark them as nodata"
    advice = f"lower the learning rate ({recipe.learning_rate:g}) or set `clip`"
    return f"{where} of the chips {'; '.join(batch['place'])}: {advice}"
