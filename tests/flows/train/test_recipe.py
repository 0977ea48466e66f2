"""The recipe of the loop is the part of the training settings that it reads, written once."""

from dataclasses import fields, replace

from segflow.configs.fields import settings_of
from segflow.configs.recipe import RecipeSettings
from segflow.configs.setting import PIXELS
from segflow.configs.training import TrainSettings
from segflow.configs.training_files import load_training
from segflow.flows.train.new_model import FREE
from segflow.flows.train.recipe import make_recipe
from segflow.segmentation.training.recipe import Recipe


def test_every_field_of_a_recipe_is_a_setting_but_where_a_refit_ends():
    defaults = {field.name: field.default for field in settings_of(TrainSettings)}
    own = {field.name for field in fields(Recipe)} - {field.name for field in fields(RecipeSettings)}

    assert own == {"stop_after"}
    assert {field.name: field.default for field in settings_of(RecipeSettings)}.items() <= defaults.items()
    assert not TrainSettings.__annotations__.keys() & {field.name for field in fields(RecipeSettings)}


def test_a_recipe_says_what_the_settings_say():
    settings = load_training("forest-amazon-s2", environment={})
    recipe = make_recipe(settings)

    assert all(getattr(recipe, field.name) == getattr(settings, field.name) for field in fields(RecipeSettings))
    assert recipe.stop_after is None


def test_half_precision_is_named():
    recipe = Recipe()

    assert [replace(recipe, mixed_precision=value).half_precision for value in (True, False, "float16")] == [
        "bfloat16",
        None,
        "float16",
    ]


def test_what_leaves_the_weights_alone_may_differ_when_training_goes_on():
    limits = {"max_pixels", "max_bands", "max_block", "allow_datum_shift"}

    assert {"data", "out", "logs", "notes", "description", "licence", "version", "core", *limits} == FREE
    assert {field.name for field in settings_of(TrainSettings) if field.setting.changes is not PIXELS} == FREE
