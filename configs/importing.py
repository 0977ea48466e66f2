"""Settings of `segflow model import`: what a checkpoint does not say about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from segflow.configs.classes import ClassSettings
from segflow.configs.fields import settings_class
from segflow.configs.kinds import Count, Limits, ModelName, Positive, Rate, Word
from segflow.configs.setting import PIXELS, PRODUCTS, Panel, Setting
from segflow.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class BandSettings:
    """One input band: its name, and what it was scaled by in training: ``(pixel - mean) / std``."""

    name: Annotated[Word, Limits(min_length=1)]
    mean: float
    std: Rate


@settings_class
@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSettings:
    """What the YAML file given by ``--spec`` says."""

    name: Annotated[ModelName, Setting(PIXELS, Panel.MODEL, "Name of the model.")]
    architecture: Annotated[
        str,
        Setting(PIXELS, Panel.NETWORK, "A network by name (`segflow model architectures` lists them), or `onnx`."),
    ]
    bands: Annotated[
        tuple[BandSettings, ...],
        Setting(PIXELS, Panel.MODEL, "Bands in the order of the network's channels: {name: red, mean: 60, std: 20}, …"),
    ]
    classes: Annotated[
        tuple[ClassSettings, ...],
        Setting(
            PIXELS, Panel.MODEL, "Classes in the order of the logits: {value: 0, name: other, colour: '#d9c88f'}, …"
        ),
    ]
    gsd: Annotated[Rate, Setting(PIXELS, Panel.MODEL, "Ground sampling distance of the training scenes [m].")]
    gsd_range: Annotated[
        tuple[Rate, Rate] | None,
        Setting(
            PIXELS, Panel.MODEL, "Ground sampling distances that the model accepts [m].", unset="3/4 to 3/2 of `gsd`"
        ),
    ] = None
    arguments: Annotated[Mapping[str, Any], Setting(PIXELS, Panel.NETWORK, "What the network's builder takes.")] = (
        field(default_factory=dict)
    )
    dtype: Annotated[str, Setting(PIXELS, Panel.MODEL, "Data type of the pixels.")] = "uint8"
    margin: Annotated[
        Count | None,
        Setting(
            PIXELS, Panel.NETWORK, "How far tiles read past their core [px].", unset="as much as exact tiling needs"
        ),
    ] = None
    core: Annotated[Positive, Setting(PRODUCTS, Panel.NETWORK, "Side of the core of the model's tiles [px].")] = 1024
    version: Annotated[str, Setting(PRODUCTS, Panel.MODEL, "Version of the model.")] = "1"
    licence: Annotated[str, Setting(PRODUCTS, Panel.MODEL, "Licence of the model.")] = ""
    description: Annotated[str, Setting(PRODUCTS, Panel.MODEL, "What the model was trained on.")] = ""

    def __post_init__(self) -> None:
        if not self.bands or not self.classes:
            msg = "a model needs at least one band and one class"
            raise SettingsError(msg)

    @property
    def accepted(self) -> tuple[float, float]:
        """Range of ground sampling distances that the model accepts [m]."""
        return self.gsd_range or (0.75 * self.gsd, 1.5 * self.gsd)
