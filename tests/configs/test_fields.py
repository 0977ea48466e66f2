"""Every field of a settings class says what it changes, and one field is all that an option needs."""

import subprocess
import sys
from dataclasses import dataclass, fields
from typing import Annotated

import pytest

from segflow.configs.deployments import DeploymentSettings, DeploySettings
from segflow.configs.fields import settings_class, settings_of, values_that_change
from segflow.configs.importing import ImportSettings
from segflow.configs.kinds import Count
from segflow.configs.loader import load_settings
from segflow.configs.reference import settings_page
from segflow.configs.retrain import RetrainSettings
from segflow.configs.run import RunSettings
from segflow.configs.setting import NOTHING, PIXELS, PRODUCTS, Panel, Setting
from segflow.configs.training import TrainSettings
from segflow.configs.vector_rules import VectorRules
from segflow.configs.vectors import VectorizeSettings
from segflow.errors import SettingsError

CLASSES = (
    DeploySettings,
    DeploymentSettings,
    ImportSettings,
    RetrainSettings,
    RunSettings,
    TrainSettings,
    VectorizeSettings,
)


@settings_class
@dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    """Settings of nothing."""

    depth: Annotated[Count | None, Setting(PRODUCTS, Panel.HOW, "How deep [m].", unset="the sea's")] = None
    deep: Annotated[bool, Setting(PIXELS, Panel.WHAT, "Whether it is.", negative=True)] = True
    where: Annotated[str, Setting(NOTHING, Panel.HOW, "Where it lies.", short="-w")] = "here"


@pytest.mark.parametrize("kind", CLASSES)
def test_every_field_says_what_it_is(kind):
    found = settings_of(kind)

    assert {field.name for field in found} == {field.name for field in fields(kind)}
    assert all(field.setting.help.endswith((".", "…")) for field in found)
    assert [field.setting.panel for field in found] == sorted(
        (field.setting.panel for field in found), key=list(Panel).index
    )


def test_a_field_without_its_mark_is_refused():
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Forgetful(Toy):
        length: int = 3

    for refuse in (settings_class, settings_of, load_settings):
        with pytest.raises(TypeError, match=r"Forgetful.length does not say what it changes"):
            refuse(Forgetful)


def test_only_what_decides_can_be_resolved():
    assert values_that_change(Toy(depth=3), PRODUCTS, {}) == {"depth": 3}
    assert values_that_change(Toy(depth=3), PRODUCTS, {"depth": "deep"}) == {"depth": "deep"}
    with pytest.raises(TypeError, match="where of Toy cannot decide products"):
        values_that_change(Toy(), PRODUCTS, {"where": "there"})


def test_a_field_is_option_key_variable_and_default(tmp_path):
    deep, depth, where = settings_of(Toy)
    file = tmp_path / "toy.yaml"
    file.write_text("depth: 4\n")

    assert (deep.option, depth.option, where.option) == ("--deep/--no-deep", "--depth", "--where")
    assert (deep.kind, depth.kind, where.kind) == (bool, int, str)
    assert (deep.default_text, depth.default_text, where.default_text) == ("yes", "the sea's", "here")
    assert load_settings(Toy, file=file, environment={"SEGFLOW_DEEP": "no"}) == Toy(depth=4, deep=False)
    with pytest.raises(SettingsError, match="setting 'depth': Input should be greater than or equal to 0, got -1"):
        load_settings(Toy, options={"depth": -1})


def test_run_and_vectorize_share_what_vectors_are_to_be():
    shared = {field.name for field in fields(VectorRules)}

    assert shared >= {"min_area", "min_hole", "simplify", "smooth", "max_vertices", "max_objects", "max_gap"}
    assert not shared & (RunSettings.__annotations__.keys() | VectorizeSettings.__annotations__.keys())
    assert all(issubclass(kind, VectorRules) for kind in (RunSettings, VectorizeSettings))


def test_the_page_of_settings_is_up_to_date(project_root):
    page = (project_root / "docs" / "settings.md").read_text(encoding="utf-8")

    assert page == settings_page(), "docs/settings.md is older than the settings: make settings"


def test_fields_are_read_without_pydantic():
    """Or `segflow --help` would wait for it."""
    code = (
        "import sys, segflow.configs.run, segflow.configs.vectors, segflow.configs.training, segflow.configs.retrain\n"
        "import segflow.configs.deployments, segflow.configs.importing\n"
        "print([name for name in ('pydantic', 'yaml') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
