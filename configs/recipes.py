"""Recipes: a network and how it is trained, by name, for any project."""

import difflib
from importlib.resources import files
from pathlib import Path
from typing import Any

from segflow.configs.loader import read_mapping
from segflow.errors import SettingsError

_FILE = "recipes.yaml"


def find_recipe(name: str) -> dict[str, Any]:
    """Give the settings of a recipe by name.

    Raises
    ------
    SettingsError
        If there is none of that name.
    """
    known = _recipes()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(known)}"
        msg = f"--recipe {name!r} is unknown; {hint}"
        raise SettingsError(msg)
    return known[name]


def find_presets(network: str) -> tuple[str, ...]:
    """Give the names of the recipes that are called after a network and the side of their chips: NETWORK-CHIP."""
    return tuple(name for name, settings in _recipes().items() if name == f"{network}-{settings.get('chip')}")


def _recipes() -> dict[str, dict[str, Any]]:
    found = read_mapping(Path(str(files("segflow.configs"))) / _FILE)
    return {name.replace("_", "-"): dict(settings) for name, settings in found.items()}
