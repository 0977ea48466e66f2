"""The settings file of a project: written once with comments that teach, then changed line by line.

What a step finds out (bands, resolution, where the labels are) replaces one line each; all other
lines, and every comment, stay as the user left them. A change is checked by reading the new text:
it must say what was wanted and nothing else may have changed.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from segflow.configs.classes import ClassSettings
from segflow.configs.kinds import composed
from segflow.errors import SettingsError

_COLOURS = (
    "#d9c88f",
    "#1b7837",
    "#2166ac",
    "#b2182b",
    "#762a83",
    "#f0a30a",
    "#35978f",
    "#878787",
    "#e7298a",
    "#66a61e",
)
_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_BACKGROUND_CLASSES = "other,target"  # a map has at least two classes
_UNSET = object()

_TEXT = """\
# A project of segflow: which scenes and labels a model learns from, and how.
#
#     segflow project add images SCENE.tif …                  the scenes to learn from
#     segflow project add labels LABELS.shp --class-field NAME  labels that exist already, or
#     segflow project labels new                              an empty layer to digitise in QGIS
#     segflow project show                                    what there is, and how it will be split
#     segflow train .                                         the model, written to `out`
#
# Every line may be edited, and every setting of `segflow train` may be added.
# The steps above change one line each where they must, and leave your comments alone.

name: {quoted}
version: "1"
description: ""
licence: ""
out: {name}.safetensors

# What the model tells apart. Values count from 0 and are the pixels of the map; colours are #rrggbb.
# geometry says what becomes of a class: polygon, line (roads: centrelines), or none.
classes:
{classes}

# Scenes: all GeoTIFFs in this folder. `segflow project add images` links them here.
scenes: images/*.tif

# Bands in the order the model gets them, metres per pixel, and the range of these the model accepts later.
{bands}
{gsd}
{gsd_range}

# Labels: a vector file (.shp, .gpkg, .geojson), or a folder of rasters named like the scenes.
# class_field is the field with the class; class_values says which class each of its entries is (255: ignored).
{labels}
# class_field: class
# class_values: {{}}

# Land without a label: 255 ignores it, so that scenes may be labelled in part.
# Set it to a class value only if all land without a label is of that class.
background: 255

# Scenes for training, validation (choosing the best epoch) and test (the final score) are dealt out by name.
# With few scenes use blocks within them: {{by: block, block: 512}}. Or name the scenes: validation: [a], test: [b].
split: {{by: scene, validation: 0.15, test: 0.2, seed: 0}}

# The network and how long it learns. `segflow model architectures` lists what there is.
network: {network}
arguments: {arguments}
{start}
epochs: 40
patience: 10          # stop after as many epochs without a better validation score
chips_per_epoch: 320
batch: 8
chip: 256

# Rare classes: sample them more often, and let the loss count areas instead of pixels only.
sampling: balanced
loss: {{cross-entropy: 1.0, dice: 1.0}}
learning_rate: {rate}
"""


def parse_classes(text: str) -> tuple[ClassSettings, ...]:
    """Give the classes in a text such as ``0:other,1:forest:#1b7837``; values and colours may be left out.

    Raises
    ------
    SettingsError
        If an entry makes no sense, values do not count from 0, or there are fewer than two.
    """
    parts = [[str(composed(part.strip())) for part in entry.split(":")] for entry in text.split(",") if entry.strip()]
    classes = tuple(_parse_class(index, part) for index, part in enumerate(parts))
    names = [entry.name for entry in classes]
    values = [entry.value for entry in classes]
    if len(classes) < 2 or values != list(range(len(values))) or len(set(names)) < len(names) or "" in names:  # noqa: PLR2004
        msg = (
            f"--classes {text!r}: needs two classes or more of different names, values from 0: 0:other,1:forest:#1b7837"
        )
        raise SettingsError(msg)
    return classes


def project_text(
    name: str,
    *,
    classes: Sequence[ClassSettings] = (),
    settings: Mapping[str, Any] | None = None,
) -> str:
    """Give the text of a new project's file.

    Parameters
    ----------
    name
        Any text; what a model's name may not hold becomes ``-``.
    classes
        What to tell apart; none: two to be renamed.
    settings
        Settings of a model to start from: bands, gsd, gsd_range, network, arguments, scaling, start.
    """
    known = settings or {}
    plain = _NAME.sub("-", name).strip("-._") or "model"
    lines = {key: _line(key, known[key]) for key in ("bands", "gsd", "gsd_range") if key in known}
    return _TEXT.format(
        name=plain,
        quoted=_flow(plain),
        classes="\n".join(f"  - {_flow(_as_dict(entry))}" for entry in classes or parse_classes(_BACKGROUND_CLASSES)),
        bands=lines.get("bands", "# bands: [red, green, blue]"),
        gsd=lines.get("gsd", "# gsd: 10.0"),
        gsd_range=lines.get("gsd_range", "# gsd_range: [7.5, 15.0]"),
        labels="# labels: labels.gpkg",
        network=known.get("network", "unet"),
        arguments=_flow(known.get("arguments", {"widths": [16, 32, 64, 128, 256]})),
        start=_start(known),
        rate="0.0005  # gentle: it starts from a trained model" if "start" in known else "0.002",
    )


def set_lines(text: str, values: Mapping[str, Any], *, where: str) -> str:
    """Give the text of a settings file with some settings changed, its other lines and comments as they were.

    A setting's line is replaced; one that is commented out (``# gsd: 10.0``) is put to use; else a line is added.

    Parameters
    ----------
    text
        YAML of ``setting: value`` lines.
    values
        The settings to change.
    where
        The file's name, for the message.

    Raises
    ------
    SettingsError
        If a setting does not stand on one line of its own.
    """
    before = yaml.safe_load(text) or {}
    changed = text
    for key, value in values.items():
        if before.get(key, _UNSET) != value:
            changed = _set_line(changed, key, value, present=key in before)
    try:
        after = yaml.safe_load(changed)
    except yaml.YAMLError:
        after = None
    if after != {**before, **values}:
        lines = "; ".join(_line(key, value) for key, value in values.items())
        msg = f"{where} cannot be changed line by line: put these lines there by hand: {lines}"
        raise SettingsError(msg)
    return changed


def _set_line(text: str, key: str, value: object, *, present: bool) -> str:
    line = _line(key, value)
    start = re.escape(key) if present else rf"#\s*{re.escape(key)}"
    pattern = re.compile(rf"^{start}:.*?(?P<comment>\s+#\s.*)?$", re.MULTILINE)
    if not pattern.search(text):
        return f"{text.rstrip()}\n{line}\n"
    return pattern.sub(lambda found: line + (found["comment"] or ""), text, count=1)


def _parse_class(index: int, part: list[str]) -> ClassSettings:
    value, rest = (int(part[0]), part[1:]) if part[0].isdecimal() and len(part) > 1 else (index, part)
    colour = rest[1] if len(rest) > 1 else _COLOURS[index % len(_COLOURS)]
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", colour) or len(rest) > 2:  # noqa: PLR2004  # a name and a colour
        msg = f"--classes: {':'.join(part)!r} needs VALUE:NAME:COLOUR, such as 1:forest:#1b7837"
        raise SettingsError(msg)
    return ClassSettings(value=value, name=rest[0], colour=colour)


def _as_dict(entry: ClassSettings) -> dict[str, object]:
    return {"value": entry.value, "name": entry.name, "colour": entry.colour, "geometry": entry.geometry}


def _start(known: Mapping[str, Any]) -> str:
    """Give the lines of the model to start from and of its scaling, which its weights expect."""
    lines = [_line(key, known[key]) for key in ("start", "scaling") if key in known]
    return "\n".join(lines) or "# start: MODEL      a trained model to go on from, by name or path"


def _line(key: str, value: object) -> str:
    return f"{key}: {_flow(value)}"


def _flow(value: object) -> str:
    """Write a value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()
