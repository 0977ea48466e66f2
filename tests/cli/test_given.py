"""Options are made from the fields of settings: what a command takes, and what becomes of it."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.cli.given import Given, Subset, takes_settings
from segflow.configs.fields import settings_class, settings_of
from segflow.configs.kinds import Count, Names
from segflow.configs.run import RunSettings
from segflow.configs.setting import NOTHING, PIXELS, Panel, Setting
from segflow.configs.vectors import VectorizeSettings

WIDE = {"COLUMNS": "300", "TERMINAL_WIDTH": "300"}


@settings_class
@dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    """Settings of nothing."""

    depth: Annotated[Count | None, Setting(PIXELS, Panel.HOW, "How deep [m].", unset="the sea's", metavar="M")] = None
    fish: Annotated[Names | None, Setting(NOTHING, Panel.WHAT, "Who lives there.", short="-f")] = None
    salt: Annotated[bool, Setting(NOTHING, Panel.WHAT, "Whether it is salty.", negative=True)] = True


def call(command, *arguments, **environment):
    toy = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode="markdown")
    toy.command()(takes_settings(command))
    return CliRunner().invoke(toy, arguments, env={**WIDE, **environment}, catch_exceptions=False)


def swim(sea: str, *, given: Given[Toy], often: int = 1) -> None:
    """Swim."""
    typer.echo(f"{sea} {given.load()} {often}")


def test_the_command_line_wins_over_variables_which_win_over_the_file(tmp_path):
    file = tmp_path / "toy.yaml"
    file.write_text("depth: 1\nfish: [eel]\nsalt: false\n")
    done = call(swim, "North", "--config", str(file), "-f", "cod,ray", "--often", "2", SEGFLOW_DEPTH="7")

    assert done.output == f"North {Toy(depth=7, fish=('cod', 'ray'), salt=False)} 2\n"
    assert call(swim, "North").output == f"North {Toy()} 1\n"
    assert call(swim, "North", "--no-salt").output == f"North {Toy(salt=False)} 1\n"


def test_help_comes_from_the_fields():
    text = call(swim, "--help").output
    lines = [line.strip("│ ") for line in text.splitlines()]

    depth = next(line for line in lines if "--depth" in line)

    assert " ".join(depth.split()) == "--depth M How deep [m]. [default: the sea's]"
    assert next(line for line in lines if "--fish" in line).split()[:2] == ["--fish", "-f"]
    assert text.index("What ─") < text.index("--salt") < text.index("How ─") < text.index("--depth")


def test_a_command_may_take_a_few():
    def float_(sea: str, *, given: Annotated[Given[Toy], Subset(only=("salt",), config=False)]) -> None:
        typer.echo(f"{sea} {given.load({'depth': 3})}")

    assert call(float_, "North", "--no-salt").output == f"North {Toy(depth=3, salt=False)}\n"
    assert call(float_, "North", "--depth", "3").exit_code == 2
    assert call(float_, "North", "--config", "x").exit_code == 2


@pytest.mark.parametrize(
    ("command", "kind", "without"),
    [
        ("run", RunSettings, ()),
        ("plan", RunSettings, ()),
        ("watch", RunSettings, ("name", "mosaic")),
        ("vectorize", VectorizeSettings, ()),
    ],
)
def test_every_setting_is_an_option(command, kind, without):
    text = CliRunner().invoke(app, [command, "--help"], env=WIDE).output

    for field in settings_of(kind):
        option = field.option.partition("/")[0]
        assert (f"{option} " in text) == (field.name not in without), field.name
        assert field.name in without or field.setting.help.replace("`", "") in text
    order = [text.index(f"{panel} ─") for panel in dict.fromkeys(field.setting.panel for field in settings_of(kind))]
    assert order == sorted(order)
