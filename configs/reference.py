"""The page docs/settings.md, made from the fields: `make settings` writes it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from segflow.configs.deployments import DeploymentSettings, DeploySettings
from segflow.configs.fields import SettingField, settings_of
from segflow.configs.importing import ImportSettings
from segflow.configs.retrain import RetrainSettings
from segflow.configs.run import RunSettings
from segflow.configs.training import TrainSettings
from segflow.configs.vectors import VectorizeSettings

_HEAD = """\
# Settings

Every setting of every command, made from the code by `make settings`: do not edit this page.

The command line wins over environment variables, these over the YAML file, and that over the defaults.
A YAML key is the setting's name; `-` and `_` mean the same there.

**Changes** says what is made anew when a setting gets another value:

- *pixels*: the map or the model itself; another run, which reuses nothing.
- *products*: files that are made from the pixels; the pixels are reused.
- *nothing*: where, when and how fast, or at which error to stop.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """The settings of some commands.

    Attributes
    ----------
    title, about
        Heading, and how the settings are given.
    kind
        The settings class.
    option
        What an option looks like, with ``{option}`` and ``{name}``; empty: there are none.
    options
        Names of the settings that are options; none: all.
    variables
        Whether there are environment variables.
    """

    title: str
    about: str
    kind: type
    option: str = ""
    options: tuple[str, ...] = ()
    variables: bool = False


_SECTIONS = (
    _Section(
        title="segflow run, plan and watch",
        about="What counts is what a setting becomes: `model` the weights, `device` a processor or a GPU, `bands` "
        "their numbers; `tile` and `margin` change pixels only where a map is not exact, `scheduler` only where "
        "`device` is auto.\n"
        "`segflow watch` names scenes by their files, so it has neither `--name` nor `--mosaic`.",
        kind=RunSettings,
        option="{option}",
        variables=True,
    ),
    _Section(
        title="segflow vectorize",
        about="The settings of vectors are those of `segflow run`.",
        kind=VectorizeSettings,
        option="{option}",
        variables=True,
    ),
    _Section(
        title="segflow train",
        about="Lines of the YAML file or of `project.yaml`; `--set KEY=VALUE` wins over them, and the variable "
        "`SEGFLOW_DATA` over `data`. What training does with them is told in [Training](training.md).",
        kind=TrainSettings,
        option="--set {name}=…",
    ),
    _Section(
        title="segflow retrain",
        about="`training` is the command's argument, and `assign` is `--set`; `--config` is a file of settings of "
        "`segflow run`.",
        kind=RetrainSettings,
        option="{option}",
        options=("shelf", "base", "from_current", "least_scenes", "least_gain", "most_loss"),
        variables=True,
    ),
    _Section(title="segflow model import", about="Lines of the YAML file given by `--spec`.", kind=ImportSettings),
    _Section(
        title="segflow deploy",
        about="Lines of the YAML file given by `--config`.",
        kind=DeploySettings,
        option="{option}",
        options=("pool", "folder"),
    ),
    _Section(title="Each of its deployments", about="Entries of `deployments`.", kind=DeploymentSettings),
)


def settings_page() -> str:
    """Give the page as Markdown."""
    return "\n".join([_HEAD, *(line for section in _SECTIONS for line in _section(section))])


def _section(section: _Section) -> Iterator[str]:
    heads = ["setting", *(["option"] if section.option else []), *(["variable"] if section.variables else [])]
    heads += ["default", "changes", "what it is"]
    yield from (f"## {section.title}", "", section.about, "")
    panel = None
    for field in settings_of(section.kind):
        if panel != field.setting.panel:
            if panel is not None:
                yield ""
            panel = field.setting.panel
            yield from (f"### {panel}", "", _row(heads), _row(["---"] * len(heads)))
        yield _row(_cells(section, field))
    yield ""


def _cells(section: _Section, field: SettingField) -> list[str]:
    cells = [f"`{field.name}`"]
    if section.option:
        cells.append(_option(section, field))
    if section.variables:
        cells.append(f"`{field.variable}`")
    default = "(required)" if field.required else "no" if field.default is False else field.default_text
    return [*cells, default, str(field.setting.changes), field.setting.help]


def _option(section: _Section, field: SettingField) -> str:
    if section.options and field.name not in section.options:
        return ""
    names = [section.option.format(option=field.option, name=field.name), field.setting.short]
    return ", ".join(f"`{name}`" for name in names if name)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write(settings_page())
