"""Training: chips in, the network with the best validation score out.

An exponential moving average of the weights is validated and kept, because it varies less from
epoch to epoch than the weights themselves. Lightning's Trainer runs the loop; an observer is
called instead of what it would print.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn
from torch.utils.data import DataLoader
from torchgeo.datasets import stack_samples

from segflow.errors import SettingsError
from segflow.segmentation.predict.devices import choose_device
from segflow.segmentation.training.atlas import Atlas, check_samples, count_labels
from segflow.segmentation.training.checkpoints import (
    BEST,
    LAST,
    EpochCheckpoint,
    Identity,
    Replace,
    check_identity,
    read_checkpoint,
)
from segflow.segmentation.training.chips import Sample
from segflow.segmentation.training.losses import weigh_classes
from segflow.segmentation.training.module import SegmentationModule, finish_network
from segflow.segmentation.training.recipe import Observer, Recipe, Task
from segflow.segmentation.training.samplers import BalancedSampler, ChipSampler, UniformSampler

_PRECISIONS: dict[str | None, Any] = {None: "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """Where checkpoints and logs of a training lie, and what identifies the training.

    Attributes
    ----------
    folder
        Of checkpoints and TensorBoard events.
    identity
        Settings and data, JSON values: what must not change between an interrupted training and its resumption.
    spec
        The model's spec as JSON, for the checkpoints.
    replace
        Puts a checkpoint in place once it is whole.
    resume
        Whether to resume from the checkpoint in `folder`; without one, training starts from the beginning.
    """

    folder: Path
    identity: Identity
    replace: Replace
    spec: str = ""
    resume: bool = False


def set_up(seed: int, threads: int | None) -> None:
    """Seed torch's generator, and choose the threads of the CPU; None: torch's own choice."""
    if threads is not None:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)


def train_network(
    network: nn.Module,
    samples: Sequence[Sample],
    validation: Sequence[Sample],
    *,
    task: Task,
    recipe: Recipe,
    logs: Logs,
    observer: Observer,
) -> nn.Module:
    """Train a network and give the averaged one of the epoch with the best mean IoU, on the CPU.

    Parameters
    ----------
    network
        The network to start from; its weights change.
    samples, validation
        Scenes to train on, and scenes to choose the best epoch by.
    task, recipe
        Classes and bands of the model, and how it is trained.
    logs
        Where checkpoints and TensorBoard events go, and whether to resume.
    observer
        Called after every step and epoch.

    Raises
    ------
    SettingsError
        If the device is not there, or the precision is not for it.
    TrainingError
        If a scene is smaller than a chip, nothing has a label, the loss is not finite, or a
        resumed training has other settings or data than it began with.
    """
    check_samples(samples, validation, recipe.chip)
    best = _learn(network, samples, validation, task=task, recipe=recipe, logs=logs, observer=observer)
    return finish_network(network.cpu(), best["state_dict"], best["biases"])


def refit_network(
    network: nn.Module,
    samples: Sequence[Sample],
    *,
    chosen: Path,
    task: Task,
    recipe: Recipe,
    logs: Logs,
    observer: Observer,
) -> nn.Module:
    """Train a network from the start for as many epochs as an earlier training found best, without validation.

    Parameters
    ----------
    network
        The network to start from, as the earlier training did; its weights change.
    samples
        Scenes to train on: the training and validation scenes of the earlier training.
    chosen
        Log folder of the earlier training: the number of epochs and the biases are those of its best network.
    task, recipe, logs, observer
        As in `train_network`; the observer is called after steps only.

    Raises
    ------
    SettingsError, TrainingError
        As in `train_network`.
    """
    best = read_checkpoint(chosen / BEST)
    recipe = replace(recipe, stop_after=best["best_epoch"], patience=None, fit_bias=False)
    last = _learn(network, samples, (), task=task, recipe=recipe, logs=logs, observer=observer)
    return finish_network(network.cpu(), last["state_dict"], best["biases"])


def _learn(
    network: nn.Module,
    samples: Sequence[Sample],
    validation: Sequence[Sample],
    *,
    task: Task,
    recipe: Recipe,
    logs: Logs,
    observer: Observer,
) -> dict[str, Any]:
    """Train or resume, unless the training has ended already; give the checkpoint of the best network."""
    device = choose_device(recipe.device)
    if recipe.half_precision == "float16" and device.type == "cpu":
        msg = "mixed_precision float16 is for GPUs: set it to bfloat16 or false, or choose another device"
        raise SettingsError(msg)
    counts = count_labels(samples, task.classes)
    module = SegmentationModule(
        network,
        task=task,
        recipe=recipe,
        validation=validation,
        weights=weigh_classes(recipe.class_weights, counts),
        observer=observer,
    )
    last = logs.folder / LAST
    begun = read_checkpoint(last) if logs.resume and last.is_file() else None
    if begun is not None:
        check_identity(begun["identity"], logs.identity, last)
        observer.resume(begun["epoch"])
    if begun is None or not _is_over(begun, recipe):
        _fit(module, samples, logs, device, None if begun is None else last)
    return read_checkpoint(logs.folder / BEST)


def _fit(
    module: SegmentationModule, samples: Sequence[Sample], logs: Logs, device: torch.device, last: Path | None
) -> None:
    atlas, recipe = Atlas(samples), module.recipe
    chips = DataLoader(
        atlas,
        batch_size=recipe.batch,
        sampler=build_sampler(atlas, recipe, module.task.classes),
        collate_fn=stack_samples,
        generator=torch.Generator(),  # else it draws from the one that the epoch is seeded with
    )
    module.to(memory_format=torch.channels_last)
    with _quiet():
        trainer = pl.Trainer(
            accelerator="gpu" if device.type == "cuda" else "cpu",
            devices=[device.index or 0] if device.type == "cuda" else 1,
            precision=_PRECISIONS[recipe.half_precision],
            max_epochs=recipe.epochs,
            accumulate_grad_batches=recipe.accumulate,
            gradient_clip_val=recipe.clip,
            callbacks=[EpochCheckpoint(logs.folder, logs.identity, logs.spec, logs.replace)],
            logger=TensorBoardLogger(logs.folder, name="", version=""),
            default_root_dir=logs.folder,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=1,
        )
        try:
            trainer.fit(module, chips, ckpt_path=last, weights_only=True)
        except SystemExit as error:  # what Lightning makes of Ctrl-C
            raise (error.__context__ if isinstance(error.__context__, KeyboardInterrupt) else error) from None


def build_sampler(atlas: Atlas, recipe: Recipe, classes: int) -> ChipSampler:
    """Give what draws the places of chips; an epoch is whole batches."""
    length = recipe.batches * recipe.batch
    if recipe.sampling == "balanced":
        return BalancedSampler(atlas, size=recipe.chip, length=length, seed=recipe.seed, classes=classes)
    return UniformSampler(atlas, size=recipe.chip, length=length, seed=recipe.seed)


def _is_over(begun: dict[str, Any], recipe: Recipe) -> bool:
    """Tell whether the training that wrote this checkpoint has ended."""
    waited = begun["epoch"] - begun["best_epoch"]
    return begun["epoch"] >= (recipe.stop_after or recipe.epochs) or (
        recipe.patience is not None and waited >= recipe.patience
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's banners, tips and warnings."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
