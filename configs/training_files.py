"""The files that say what a training is: YAML files, the folders of projects, and the shipped ones by name."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from segflow.configs.loader import load_settings, read_mapping
from segflow.configs.recipes import find_recipe
from segflow.configs.training import TrainSettings
from segflow.errors import SettingsError

DATA_VARIABLE = "SEGFLOW_DATA"  # the one setting that differs between machines
PROJECT_FILE = "project.yaml"  # the settings of a folder made by `segflow project init`


def load_training(
    config: str | os.PathLike[str],
    assign: Sequence[str] = (),
    *,
    recipe: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> TrainSettings:
    """Give the settings in a YAML file, in a project's folder, or in the shipped file of that name.

    Parameters
    ----------
    config
        Path of a YAML file or of a folder with a `project.yaml`, or the name of a shipped model.
    assign
        ``KEY=VALUE`` texts that override lines of the file; the value is YAML.
    recipe
        Name of a recipe whose lines override those of the file, but not `assign`; None: none.
    environment
        Where ``SEGFLOW_DATA`` may override `data`; None: the process's own.

    Raises
    ------
    SettingsError
        If a setting is unknown, missing or out of range.
    """
    file = _find_config(config)
    options = {**(find_recipe(recipe) if recipe else {}), **dict(_parse_assignment(text) for text in assign)}
    data = (os.environ if environment is None else environment).get(DATA_VARIABLE)
    if data and "data" not in options:
        options["data"] = data
    if "data" not in options:
        options["data"] = str(file.parent / str(read_mapping(file).get("data", ".")))
    options["data"] = os.path.abspath(options["data"])  # noqa: PTH100  # keeps links, unlike resolve
    if file.name == PROJECT_FILE and "out" not in options and "out" in read_mapping(file):
        options["out"] = str(file.parent / str(read_mapping(file)["out"]))  # a project keeps its model with it
    _check_present(file, options)
    return load_settings(TrainSettings, file=file, overrides=options)


def _find_config(config: str | os.PathLike[str]) -> Path:
    if Path(config).is_dir():
        return Path(config) / PROJECT_FILE
    shipped = Path(str(files("segflow.configs"))) / f"{config}.yaml"
    return shipped if not Path(config).exists() and shipped.is_file() else Path(config)


def _parse_assignment(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        msg = f"--set {text!r}: needs KEY=VALUE, such as --set epochs=5"
        raise SettingsError(msg)
    try:
        return key.strip().replace("-", "_"), yaml.safe_load(value)
    except yaml.YAMLError as error:
        msg = f"--set {text!r}: the value is not valid YAML"
        raise SettingsError(msg) from error


def _check_present(file: Path, options: Mapping[str, Any]) -> None:
    """Name all settings that are missing at once."""
    required = [
        f.name
        for f in dataclasses.fields(TrainSettings)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    missing = [name for name in required if name not in {*read_mapping(file), *options}]
    if missing:
        msg = f"{file}: settings are missing: {', '.join(missing)}"
        raise SettingsError(msg)
