"""Optimisers and the course of the learning rate."""

import math

import pytest
import torch
from torch import nn

from segflow.segmentation.training.recipe import Recipe
from segflow.segmentation.training.schedules import build_optimiser, build_schedule


def course(schedule: str, optimiser: str = "sgd") -> list[float]:
    """Give the learning rate of each of 20 steps, the peak being 1."""
    recipe = Recipe(
        epochs=4,
        chips_per_epoch=10,
        batch=2,
        learning_rate=1.0,
        schedule=schedule,
        optimiser=optimiser,  # type: ignore[arg-type]
    )
    found = build_optimiser(nn.Conv2d(1, 1, 1), recipe)
    following = build_schedule(found, recipe)
    rates = []
    for _ in range(recipe.epochs * recipe.steps):
        rates.append(found.param_groups[0]["lr"])
        found.step()
        following.step()
    return rates


def test_each_course_is_its_formula() -> None:
    steps = range(20)

    assert course("constant") == [1.0] * 20
    assert course("poly") == pytest.approx([(1 - step / 20) ** 0.9 for step in steps])
    assert course("cosine") == pytest.approx([(1 + math.cos(math.pi * step / 20)) / 2 for step in steps])


@pytest.mark.parametrize("optimiser", ["adamw", "adam", "sgd"])
def test_one_cycle_rises_to_the_peak_and_falls_to_nothing(optimiser: str) -> None:
    rates = course("one-cycle", optimiser)

    assert rates[0] == pytest.approx(1 / 25)
    assert max(rates) == pytest.approx(1)
    assert rates.index(max(rates)) == 2
    assert rates[-1] < 1e-3


def test_momentum_is_a_setting_and_stays() -> None:
    recipe = Recipe(optimiser="sgd", momentum=0.99, schedule="one-cycle")
    optimiser = build_optimiser(nn.Conv2d(1, 1, 1), recipe)
    build_schedule(optimiser, recipe)

    assert optimiser.param_groups[0]["momentum"] == 0.99


def test_biases_may_learn_at_another_rate_and_not_decay() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1, bias=False))
    recipe = Recipe(optimiser="sgd", learning_rate=0.1, weight_decay=5e-4, bias_rate=2.0, bias_decay=False)
    weights, biases = build_optimiser(network, recipe).param_groups

    assert (weights["lr"], weights["weight_decay"], len(weights["params"])) == (0.1, 5e-4, 3)
    assert (biases["lr"], biases["weight_decay"], len(biases["params"])) == (0.2, 0.0, 2)
    assert len(build_optimiser(network, Recipe()).param_groups) == 1


def test_a_network_without_biases_needs_no_group_for_them() -> None:
    optimiser = build_optimiser(nn.Conv2d(1, 1, 1, bias=False), Recipe(bias_rate=2.0))

    assert len(optimiser.param_groups) == 1
    assert isinstance(optimiser, torch.optim.AdamW)


def test_steps_are_whole_and_never_none() -> None:
    assert (Recipe(chips_per_epoch=100, batch=8).steps, Recipe(chips_per_epoch=100, batch=8).batches) == (12, 12)
    assert (Recipe(chips_per_epoch=100, batch=8, accumulate=5).steps) == 2
    assert (Recipe(chips_per_epoch=100, batch=8, accumulate=5).batches) == 10
    assert Recipe(chips_per_epoch=1, batch=8, accumulate=2).batches == 2
