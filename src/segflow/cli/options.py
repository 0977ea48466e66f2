"""Options that several commands have: those that are no settings, written here, and those made from a setting."""

from pathlib import Path
from typing import Annotated, Any

import typer

from segflow.configs.fields import SettingField, settings_of

Scenes = Annotated[
    list[str],
    typer.Argument(help="GeoTIFFs, plain VRTs, folders of one-band files, STAC items.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, nothing else on standard output.")]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="YAML file of settings; options on the command line win.", metavar="FILE"),
]


def option_of(kind: type, name: str) -> Any:  # noqa: ANN401  # typer's own
    """Give the option of a setting, for a command that takes this one alone."""
    return make_option(next(field for field in settings_of(kind) if field.name == name))


def make_option(field: SettingField) -> Any:  # noqa: ANN401  # typer's own
    """Give typer's option of a setting; where it is not given, its value is None."""
    setting = field.setting
    default = f" [default: {field.default_text}]" if field.default_text else ""
    return typer.Option(
        *([field.option, setting.short] if setting.short else [field.option]),
        help=f"{setting.help}{default}",
        rich_help_panel=str(setting.panel),
        metavar=setting.metavar,
        show_default=False,
    )
