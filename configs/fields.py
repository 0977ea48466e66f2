"""The fields of a settings class, with what each says of itself."""

import inspect
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from segflow.configs.setting import Changes, Panel, Setting

PREFIX = "SEGFLOW_"  # of environment variables

Kind = TypeVar("Kind", bound=type)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingField:
    """One field of a settings class.

    Attributes
    ----------
    name
        Its name, which is also its YAML key.
    setting
        What it says of itself.
    kind
        What the command line reads: bool, int or float; str for all that is checked later.
    default
        Its default; MISSING: it must be given.
    """

    name: str
    setting: Setting
    kind: type
    default: object

    @property
    def option(self) -> str:
        """Its option, with its opposite."""
        dashed = self.name.replace("_", "-")
        return f"--{dashed}/--no-{dashed}" if self.setting.negative else f"--{dashed}"

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"{PREFIX}{self.name.upper()}"

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is MISSING

    @property
    def default_text(self) -> str:
        """Its default in words; empty where it has none, or that is to do nothing."""
        value = self.default
        if isinstance(value, bool):
            return "yes" if value else self.setting.unset
        if isinstance(value, int | float):
            return f"{value:,}".removesuffix(".0")
        if isinstance(value, dict) and value:
            return f"{{{', '.join(f'{key}: {number:g}' for key, number in value.items())}}}"
        return value if isinstance(value, str) else self.setting.unset


def settings_of(kind: type) -> tuple[SettingField, ...]:
    """Give the settings of a settings class, panel by panel, in each its own before those it shares with others.

    Raises
    ------
    TypeError
        If a field does not say what it changes.
    """
    return _settings_of(kind)


def settings_class(kind: Kind) -> Kind:
    """Refuse a settings class with a field that does not say what it changes, as soon as it is imported.

    Raises
    ------
    TypeError
        If there is one.
    """
    settings_of(kind)
    return kind


def names_that_change(kind: type, changes: Changes) -> frozenset[str]:
    """Give the names of the settings that change this."""
    return frozenset(field.name for field in settings_of(kind) if field.setting.changes is changes)


def values_that_change(settings: object, changes: Changes, resolved: Mapping[str, object]) -> dict[str, object]:
    """Give what decides this: the value of each setting that changes it, or what it has been resolved to.

    Parameters
    ----------
    settings
        A value of a settings class.
    changes
        What is decided.
    resolved
        By name of a setting what decides instead of its value: ``auto`` may have become ``cuda``,
        and a model's name the digest of its weights.

    Raises
    ------
    TypeError
        If something is resolved that changes something else, or is no setting.
    """
    names = names_that_change(type(settings), changes)
    if strange := sorted(resolved.keys() - names):
        msg = f"{', '.join(strange)} of {type(settings).__name__} cannot decide {changes}: mark the field so"
        raise TypeError(msg)
    return {**{name: getattr(settings, name) for name in names}, **resolved}


@cache
def _settings_of(kind: type) -> tuple[SettingField, ...]:
    found = [
        SettingField(
            name=field.name,
            setting=_find_setting(kind, field.name, field.type),
            kind=_plain_kind(field.type),
            default=field.default_factory() if field.default_factory is not MISSING else field.default,
        )
        for field in fields(kind)
    ]
    panels, classes = list(Panel), [inspect.get_annotations(each) for each in kind.__mro__]
    return tuple(
        sorted(
            found,
            key=lambda field: (
                panels.index(field.setting.panel),
                next(place for place, names in enumerate(classes) if field.name in names),
            ),
        )
    )


def _find_setting(kind: type, name: str, annotation: Any) -> Setting:  # noqa: ANN401  # an annotation is any form
    for part in getattr(annotation, "__metadata__", ()):
        if isinstance(part, Setting):
            return part
    msg = f"{kind.__name__}.{name} does not say what it changes: write {name}: Annotated[…, Setting(PIXELS, …)]"
    raise TypeError(msg)


def _plain_kind(annotation: Any) -> type:  # noqa: ANN401  # the same
    """Give bool, int or float where an annotation means one of them, None or checks aside; else str."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in {Union, UnionType}:
        kinds = {_plain_kind(part) for part in get_args(annotation) if part is not NoneType}
        return kinds.pop() if len(kinds) == 1 else str
    return annotation if annotation in {bool, int, float} else str
