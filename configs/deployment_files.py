"""The files that say what is deployed: YAML files, and the shipped one."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from segflow.configs.deployments import DeploymentSettings, DeploySettings
from segflow.configs.loader import load_settings, read_mapping
from segflow.errors import SettingsError

_FILE = "deployments.yaml"


def load_deployments(file: str | Path | None = None, *, options: Mapping[str, Any] | None = None) -> DeploySettings:
    """Give the settings in a YAML file, or those that are shipped: a nightly run, a watch and a run by hand.

    Parameters
    ----------
    file
        The file; None: the shipped one.
    options
        What was given on the command line; entries that are None were not given.

    Raises
    ------
    SettingsError
        If a setting is unknown, missing or out of range, or two deployments have one name.
    """
    path = Path(str(files("segflow.configs"))) / _FILE if file is None else Path(file)
    content = read_mapping(path)
    listed = content.pop("deployments", [])
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        msg = f"{path}: deployments must be a list of mappings, each with name and flow"
        raise SettingsError(msg)
    deployments = tuple(
        load_settings(DeploymentSettings, overrides=entry, source=f"{path}: deployment {number}")
        for number, entry in enumerate(listed, 1)
    )
    names = [(entry.flow, entry.name) for entry in deployments]
    for flow, name in names:
        if names.count((flow, name)) > 1:
            msg = f"{path}: {flow} is deployed twice as {name!r}: rename one"
            raise SettingsError(msg)
    return load_settings(
        DeploySettings, overrides={**content, **_given(options or {}), "deployments": deployments}, source=str(path)
    )


def as_mapping(settings: DeploySettings) -> dict[str, Any]:
    """Give settings as plain values, as a file of them holds them."""
    values = asdict(settings)
    entries = [{**entry, "tags": list(entry["tags"])} for entry in values.pop("deployments")]
    return {**values, "deployments": entries}


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}
