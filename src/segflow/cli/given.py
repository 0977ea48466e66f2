"""A command's parameter `given: Given[RunSettings]` stands for an option per setting, and --config.

The options are made from the fields of the settings class. What was given wins over the environment, which wins over
the YAML file.
"""

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin

from segflow.cli import options
from segflow.configs.fields import SettingField, settings_of

Settings = TypeVar("Settings")
_ONE = inspect.Parameter.KEYWORD_ONLY
_CONFIG = "config"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """Which options a command has, where these are not all.

    Attributes
    ----------
    only
        Names of the settings that are options; none: all.
    without
        Names of the settings that are not.
    config
        Whether it takes a YAML file of settings.
    """

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    config: bool = True

    def fields_of(self, kind: type) -> tuple[SettingField, ...]:
        """Give the settings that are options."""
        return tuple(
            each
            for each in settings_of(kind)
            if each.name not in self.without and (not self.only or each.name in self.only)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Given(Generic[Settings]):
    """What a command was given of its settings.

    Attributes
    ----------
    kind
        The settings class.
    options
        Value of each option by name of its setting; None: not given.
    config
        YAML file of settings.
    """

    kind: type[Settings]
    options: Mapping[str, Any] = field(default_factory=dict)
    config: Path | None = None

    def load(self, more: Mapping[str, Any] | None = None) -> Settings:
        """Give the settings; `more` is what arguments of the command say.

        Raises
        ------
        SettingsError
            If a setting is unknown or out of range.
        """
        from segflow.configs.loader import load_settings  # `segflow --help` imports nothing heavy

        chosen = {**self.options, **(more or {})}
        return load_settings(self.kind, file=self.config, environment=os.environ, options=chosen)


def takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of its parameters of type `Given`."""
    own = inspect.signature(command).parameters.values()
    found = {each.name: _settings_of(each.annotation) for each in own}
    wanted = {name: entry for name, entry in found.items() if entry is not None}
    made = [each for kind, subset in wanted.values() for each in _parameters(kind, subset)]

    @functools.wraps(command)
    def run(**values: Any) -> None:  # noqa: ANN401  # whatever the options hold
        config = values.pop(_CONFIG, None) if any(subset.config for _, subset in wanted.values()) else None
        for name, (kind, subset) in wanted.items():
            chosen = {each.name: values.pop(each.name) for each in subset.fields_of(kind)}
            values[name] = Given(kind=kind, options=chosen, config=config if subset.config else None)
        command(**values)

    kept = [each for each in own if each.name not in wanted]
    run.__signature__ = inspect.Signature([*kept, *made])  # type: ignore[attr-defined]  # what typer reads
    run.__annotations__ = {each.name: each.annotation for each in (*kept, *made)}
    return run


def _settings_of(annotation: Any) -> tuple[type, Subset] | None:  # noqa: ANN401  # an annotation is any form
    """Give the settings class of an annotation, and which options are wanted; None where it names none."""
    plain, subset = annotation, Subset()
    if get_origin(annotation) is Annotated:
        plain, *parts = get_args(annotation)
        subset = next((part for part in parts if isinstance(part, Subset)), subset)
    return (get_args(plain)[0], subset) if get_origin(plain) is Given else None


def _parameters(kind: type, subset: Subset) -> Iterator[inspect.Parameter]:
    for each in subset.fields_of(kind):
        yield inspect.Parameter(
            each.name, _ONE, default=None, annotation=Annotated[each.kind | None, options.make_option(each)]
        )
    if subset.config:
        yield inspect.Parameter(_CONFIG, _ONE, default=None, annotation=options.Config)
