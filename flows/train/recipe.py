"""What training settings say to the loop: a recipe, and a task."""

from dataclasses import fields

from segflow.configs.recipe import RecipeSettings
from segflow.configs.training import TrainSettings
from segflow.segmentation.spec import ModelSpec
from segflow.segmentation.training.recipe import Recipe, Task


def make_recipe(settings: TrainSettings) -> Recipe:
    """Give the part of the settings that the loop reads."""
    return Recipe(**{field.name: getattr(settings, field.name) for field in fields(RecipeSettings)})


def make_task(spec: ModelSpec) -> Task:
    """Give what a model of this spec is to learn."""
    return Task(bands=spec.bands, classes=len(spec.classes), stride=spec.stride, margin=spec.margin)
