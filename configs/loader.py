"""The one loader: defaults < YAML file < environment < command line, checked once."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from segflow.configs.fields import SettingField, settings_of
from segflow.errors import SettingsError

Settings = TypeVar("Settings")


def load_settings(
    kind: type[Settings],
    *,
    file: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    source: str = "command line",
) -> Settings:
    """Give settings of the dataclass `kind`, each value from the strongest source that names it.

    Parameters
    ----------
    kind
        A frozen dataclass whose fields are the settings, each with what it says of itself.
    file
        YAML file with a mapping from setting to value; None for no file.
    environment
        Environment variables; ``SEGFLOW_NAME`` sets the field ``name``, lists are comma separated.
    options
        What was given on the command line; entries that are None were not given.
    overrides
        The same, stronger; None is a value here.
    source
        Where options and overrides come from, for messages.

    Raises
    ------
    SettingsError
        If a setting is unknown or its value is not of the field's type or range.
    """
    settings = settings_of(kind)
    known = [field.name for field in settings]
    sources: list[tuple[str, dict[str, Any]]] = [
        (str(file), read_mapping(file) if file is not None else {}),
        ("environment", _from_environment(environment or {}, settings)),
        (source, {key: value for key, value in (options or {}).items() if value is not None}),
        (source, dict(overrides or {})),
    ]
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for place, values in sources:
        for key, value in values.items():
            _check_known(key, known, place)
            merged[key], origin[key] = value, place
    return _validate(kind, merged, origin)


def read_mapping(file: str | os.PathLike[str]) -> dict[str, Any]:
    """Give the mapping in a YAML file.

    Raises
    ------
    SettingsError
        If the file is missing, not YAML, or not a mapping.
    """
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{file}: settings file cannot be read ({error.strerror}): check the path"
        raise SettingsError(msg) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        msg = f"{file}: settings file is not valid YAML ({problem})"
        raise SettingsError(msg) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        msg = f"{file}: settings file holds a {type(content).__name__}, but needs 'setting: value' lines"
        raise SettingsError(msg)
    return {str(key).replace("-", "_"): value for key, value in content.items()}


def _from_environment(environment: Mapping[str, str], settings: tuple[SettingField, ...]) -> dict[str, Any]:
    names = {field.variable: field.name for field in settings}
    return {names[key]: value for key, value in environment.items() if key in names and value != ""}


def _check_known(key: str, known: list[str], source: str) -> None:
    if key in known:
        return
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known settings: {', '.join(known)}"
    msg = f"{source}: unknown setting {key!r}; {hint}"
    raise SettingsError(msg)


def _validate(kind: type[Settings], values: dict[str, Any], origin: dict[str, str]) -> Settings:
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        where = origin.get(name, "settings")
        problem = first["msg"].removeprefix("Value error, ")
        found = f", got {first['input']!r}" if name else ""
        msg = f"{where}: setting {name!r}: {problem}{found}" if name else f"{where}: {problem}"
        raise SettingsError(msg) from error
