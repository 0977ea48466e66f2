"""Optimisers and their learning-rate schedules."""

from typing import Any

from torch import nn, optim
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, OneCycleLR, PolynomialLR

from segflow.segmentation.training.recipe import Recipe

_WARM_UP = 0.15  # share of the steps of one cycle in which the learning rate rises
_POWER = 0.9  # of the polynomial; Chen et al. 2017, "DeepLab", section 4.1


def build_optimiser(network: nn.Module, recipe: Recipe) -> optim.Optimizer:
    """Give the optimiser of a recipe; biases have a rate and a decay of their own where it says so."""
    groups = _groups(network, recipe)
    if recipe.optimiser == "sgd":
        return optim.SGD(groups, recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    kind = optim.AdamW if recipe.optimiser == "adamw" else optim.Adam
    return kind(groups, recipe.learning_rate, weight_decay=recipe.weight_decay)


def build_schedule(optimiser: optim.Optimizer, recipe: Recipe) -> LRScheduler:
    """Give what sets the learning rate after every step, from the first to the last of all epochs."""
    total = recipe.epochs * recipe.steps
    if recipe.schedule == "one-cycle":
        peaks = [float(group["lr"]) for group in optimiser.param_groups]
        # It moves Adam's first beta too, as its author advises; SGD's momentum is a setting and stays.
        return OneCycleLR(optimiser, peaks, total, pct_start=_WARM_UP, cycle_momentum=recipe.optimiser != "sgd")
    if recipe.schedule == "cosine":
        return CosineAnnealingLR(optimiser, total)
    if recipe.schedule == "poly":
        return PolynomialLR(optimiser, total, power=_POWER)
    return ConstantLR(optimiser, factor=1.0, total_iters=0)


def _groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    trained = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    if recipe.bias_rate == 1 and recipe.bias_decay:
        return [{"params": [parameter for _, parameter in trained]}]
    biases = [parameter for name, parameter in trained if name.endswith("bias")]
    others = [parameter for name, parameter in trained if not name.endswith("bias")]
    decay = recipe.weight_decay if recipe.bias_decay else 0.0
    groups: list[dict[str, Any]] = [
        {"params": others},
        {"params": biases, "lr": recipe.learning_rate * recipe.bias_rate, "weight_decay": decay},
    ]
    return [group for group in groups if group["params"]]
