"""Settings of `segflow train`."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from segflow.configs.loader import load_settings, read_mapping
from segflow.errors import SettingsError

DATA_VARIABLE = "SEGFLOW_DATA"  # the one setting that differs between machines
PROJECT_FILE = "project.yaml"  # the settings of a folder made by `segflow project init`

Positive = Annotated[int, Field(gt=0)]
Rate = Annotated[float, Field(gt=0)]
Spread = Annotated[float, Field(ge=0, le=2)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSettings:
    """One class: its value in labels and maps, and how a GIS shows it."""

    value: Annotated[int, Field(ge=0, lt=254)]
    name: str
    colour: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
    geometry: Literal["polygon", "line", "none"] = "polygon"


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSettings:
    """How labelled scenes are divided where `validation` and `test` name none.

    Attributes
    ----------
    by
        ``scene``: each scene serves one part; ``block``: each square of a scene does.
    validation, test
        Shares of the scenes or blocks; each part gets at least one.
    seed
        Of the hash that deals them out.
    block
        Side of a block [px].
    buffer
        Labelled pixels of different parts lie farther apart than this [px]; None: the network's dependency.
    """

    by: Literal["scene", "block"] = "scene"
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.15
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    seed: Annotated[int, Field(ge=0)] = 0
    block: Positive = 512
    buffer: Annotated[int, Field(ge=0)] | None = None

    def __post_init__(self) -> None:
        if self.validation + self.test >= 1:
            msg = f"shares of validation and test must leave some for training, got {self.validation} + {self.test}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """What training is told; every field is a line of the YAML file or a ``--set KEY=VALUE``.

    Attributes
    ----------
    name, version, licence, description
        Of the model.
    data
        Folder that `scenes` and `labels` lie in; relative to the YAML file.
    scenes
        Glob of the labelled scenes.
    labels
        A folder of label rasters that are named like the scenes and lie on their grids, or a vector file.
    class_field, class_values, background
        For a vector file: its field with the class, the class value of each entry of that field,
        and the value where no polygon lies (255: ignored).
    validation, test
        Names of the scenes that choose the best epoch, and of those that are scored at the end
        and seen by nothing before; all others are learnt from. Both or none.
    split
        How the scenes are divided where `validation` and `test` name none.
    bands, bands_chosen
        Names of the model's bands, and the bands of the scenes they are, by number or name, where names do not tell.
    scaling
        Mean and standard deviation of bands that are not to be scaled by those of the training scenes.
    classes
        Classes in the order of their values.
    gsd, gsd_range
        Ground sampling distance of the scenes, and the range that the model accepts [m].
    network, arguments
        Name of a network and what its builder takes.
    margin, core
        Margin [px], None: as much as exact tiling needs; side of a tile's core [px].
    epochs, chips_per_epoch, batch, chip
        Length of training; side of a chip [px].
    learning_rate, weight_decay, label_smoothing, averaging
        Optimiser, loss and moving average of the weights.
    mixed_precision
        Whether the forward pass of training runs in bfloat16.
    fit_bias
        Whether biases between the classes are fitted on the validation scenes.
    turn
        Whether chips are turned and mirrored.
    gain, band_gain, haze, band_haze
        Random light per chip: standard deviations of log gains and of summands [std of the band].
    seed, threads
        Of all randomness; threads of the CPU, None: all.
    notes
        What else should stand in the model: baselines, sources.
    out
        The model file to write.
    """

    name: Name
    version: str = "1"
    licence: str = ""
    description: str = ""
    data: str = "."
    scenes: str = "images/*.tif"
    labels: str = "labels"
    class_field: str | None = None
    class_values: dict[str | int, int] = field(default_factory=dict)
    background: Annotated[int, Field(ge=0, le=255)] = 0
    bands: Annotated[tuple[str, ...], Field(min_length=1)]
    bands_chosen: tuple[int | str, ...] | None = None
    scaling: dict[str, tuple[float, Rate]] = field(default_factory=dict)
    classes: Annotated[tuple[ClassSettings, ...], Field(min_length=2)]
    gsd: Rate
    gsd_range: tuple[Rate, Rate]
    validation: Annotated[tuple[str, ...], Field(min_length=1)] = ()
    test: Annotated[tuple[str, ...], Field(min_length=1)] = ()
    split: SplitSettings = field(default_factory=SplitSettings)
    network: str = "unet"
    arguments: dict[str, Any] = field(default_factory=dict)
    margin: Annotated[int, Field(ge=0)] | None = None
    core: Positive = 1024
    epochs: Positive = 40
    chips_per_epoch: Positive = 320
    batch: Positive = 16
    chip: Positive = 256
    learning_rate: Rate = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.99
    mixed_precision: bool = False
    fit_bias: bool = False
    turn: bool = True
    gain: Spread = 0.1
    band_gain: Spread = 0.05
    haze: Spread = 0.1
    band_haze: Spread = 0.05
    seed: Annotated[int, Field(ge=0)] = 0
    threads: Positive | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    out: str

    def __post_init__(self) -> None:
        if bool(self.validation) != bool(self.test):
            msg = "`validation` and `test` must both name scenes, or none of them: then `split` divides the scenes"
            raise ValueError(msg)
        both = sorted(set(self.validation) & set(self.test))
        if both:
            msg = f"scenes must not serve both validation and test: {', '.join(both)}"
            raise ValueError(msg)
        if [entry.value for entry in self.classes] != list(range(len(self.classes))):
            msg = f"class values must count from 0, got {[entry.value for entry in self.classes]}"
            raise ValueError(msg)
        if self.gsd_range[0] > self.gsd or self.gsd > self.gsd_range[1]:
            msg = f"gsd_range {self.gsd_range} must hold gsd {self.gsd}"
            raise ValueError(msg)


def load_training(
    config: str | os.PathLike[str],
    assign: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
) -> TrainSettings:
    """Give the settings in a YAML file, in a project's folder, or in the shipped file of that name.

    Parameters
    ----------
    config
        Path of a YAML file or of a folder with a `project.yaml`, or the name of a shipped model.
    assign
        ``KEY=VALUE`` texts that override lines of the file; the value is YAML.
    environment
        Where ``SEGFLOW_DATA`` may override `data`; None: the process's own.

    Raises
    ------
    SettingsError
        If a setting is unknown, missing or out of range.
    """
    file = _find_config(config)
    options = dict(_parse_assignment(text) for text in assign)
    data = (os.environ if environment is None else environment).get(DATA_VARIABLE)
    if data and "data" not in options:
        options["data"] = data
    if "data" not in options:
        options["data"] = str(file.parent / str(read_mapping(file).get("data", ".")))
    options["data"] = os.path.abspath(options["data"])  # noqa: PTH100  # keeps links, unlike resolve
    _check_present(file, options)
    return load_settings(TrainSettings, file=file, options=options)


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
