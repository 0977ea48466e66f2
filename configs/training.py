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
from segflow.configs.recipes import find_recipe
from segflow.configs.split import SplitSettings
from segflow.errors import SettingsError

__all__ = ["ClassSettings", "SplitSettings", "TrainSettings", "load_training"]

DATA_VARIABLE = "SEGFLOW_DATA"  # the one setting that differs between machines
PROJECT_FILE = "project.yaml"  # the settings of a folder made by `segflow project init`

Positive = Annotated[int, Field(gt=0)]
Rate = Annotated[float, Field(gt=0)]
Spread = Annotated[float, Field(ge=0, le=2)]
Chance = Annotated[float, Field(ge=0, le=1)]
Term = Literal["cross-entropy", "focal", "dice", "lovasz"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSettings:
    """One class: its value in labels and maps, and how a GIS shows it."""

    value: Annotated[int, Field(ge=0, lt=254)]
    name: str
    colour: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
    geometry: Literal["polygon", "line", "none"] = "polygon"


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
        and the value where no polygon lies; 255, the default: unlabelled land is ignored.
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
    weights
        Weights for as much of the network as they fit: a .pt, .ckpt or .safetensors, or torchvision's name of some.
    start
        Name or path of the model to start from, of the same network and bands; None: random weights.
    epochs, chips_per_epoch, batch, chip, accumulate
        Length of training; side of a chip [px]; batches per step of the optimiser.
    patience
        Epochs without a better validation score after which training stops; None: never.
    refit
        Whether a network is then trained anew on training and validation scenes together, for as many epochs as
        the best one took; biases, temperature and validation scores are those of the one that was chosen.
    sampling
        ``uniform``: every place is as likely; ``balanced``: every class is, however rare.
    allow_unseen
        Whether a class may have no labelled pixel to learn from.
    optimiser, learning_rate, momentum, weight_decay, bias_rate, bias_decay
        Optimiser; factor on the learning rate of biases, and whether they decay. Momentum is SGD's.
    schedule
        How the learning rate goes from `learning_rate` (one-cycle: from a 25th, up to it) towards 0.
    clip
        Largest norm of a gradient; None: any.
    loss, class_weights, label_smoothing, focal_gamma, loss_reduction
        Terms of the loss with their weights; weights of the classes in cross-entropy and focal loss;
        whether these two are means over the pixels, or sums as in the FCN paper.
    averaging
        Decay of the moving average of the weights per step: what is validated and kept.
    mixed_precision
        Whether the forward pass of training runs in half precision: true takes bfloat16.
    fit_bias, fit_temperature
        Whether biases between the classes, and the temperature of the confidence, are fitted on validation.
    turn
        Whether chips are turned and mirrored: the eight symmetries of a square.
    rotate, scale
        Largest angle of a random rotation [°], and largest change of scale: 0.1 zooms by 0.9 to 1.1.
    gain, band_gain, haze, band_haze
        Random light per chip: standard deviations of log gains and of summands [std of the band].
    cutout, cutmix
        Chances that a chip gets a hole, and that a part of it comes from another chip.
    seed, threads, device
        Of all randomness; threads of the CPU, None: all; ``auto``, ``cpu``, ``cuda``, ``cuda:1``.
    logs
        Folder for log, TensorBoard events and checkpoints; None: `out` with ``.training`` for its suffix.
    max_pixels, max_bands, max_block
        How large a scene may be, as in `RunSettings`.
    half_weights
        Whether kernels are rounded to 16 bits: half the file; scores are those of the rounded weights.
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
    weights: str | None = None
    start: str | None = None
    epochs: Positive = 40
    chips_per_epoch: Positive = 320
    batch: Positive = 16
    chip: Positive = 256
    accumulate: Positive = 1
    patience: Positive | None = None
    refit: bool = False
    sampling: Literal["uniform", "balanced"] = "uniform"
    allow_unseen: bool = False
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: Rate = 2e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    bias_rate: Rate = 1.0
    bias_decay: bool = True
    schedule: Literal["one-cycle", "cosine", "poly", "constant"] = "one-cycle"
    clip: Rate | None = 5.0
    loss: dict[Term, Rate] = field(default_factory=lambda: {"cross-entropy": 1.0})
    class_weights: Literal["none", "balanced"] | tuple[Rate, ...] = "none"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    focal_gamma: Annotated[float, Field(ge=0, le=10)] = 2.0
    loss_reduction: Literal["mean", "sum"] = "mean"
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.99
    mixed_precision: bool | Literal["bfloat16", "float16"] = False
    fit_bias: bool = False
    fit_temperature: bool = True
    turn: bool = True
    rotate: Annotated[float, Field(ge=0, le=45)] = 0.0
    scale: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    gain: Spread = 0.1
    band_gain: Spread = 0.05
    haze: Spread = 0.1
    band_haze: Spread = 0.05
    cutout: Chance = 0.0
    cutmix: Chance = 0.0
    seed: Annotated[int, Field(ge=0)] = 0
    threads: Positive | None = None
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    logs: str | None = None
    max_pixels: Positive | None = None
    max_bands: Positive | None = None
    max_block: Positive | None = None
    half_weights: bool = False
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
        if self.start is not None and self.weights is not None:
            msg = f"start {self.start} and weights {self.weights} cannot both be begun with: set one of them"
            raise ValueError(msg)
        self._check_loss()

    @property
    def log_folder(self) -> Path:
        """The folder of log, TensorBoard events and checkpoints."""
        return Path(self.logs) if self.logs is not None else Path(self.out).with_suffix(".training")

    def _check_loss(self) -> None:
        if not self.loss:
            msg = "loss names no term: needs at least one, such as {cross-entropy: 1}"
            raise ValueError(msg)
        if isinstance(self.class_weights, tuple) and len(self.class_weights) != len(self.classes):
            msg = f"class_weights has {len(self.class_weights)} entries, but there are {len(self.classes)} classes"
            raise ValueError(msg)
        areas = sorted({"dice", "lovasz"} & self.loss.keys())
        if self.loss_reduction == "sum" and areas:
            msg = f"loss_reduction sum is for sums over pixels, which {' and '.join(areas)} are not"
            raise ValueError(msg)
        if self.label_smoothing and "cross-entropy" not in self.loss:
            msg = "label_smoothing is part of cross-entropy, which `loss` does not name: set it to 0"
            raise ValueError(msg)


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
