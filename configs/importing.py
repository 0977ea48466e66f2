"""Settings of `segflow model import`: what a checkpoint does not say about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from segflow.configs.training import ClassSettings
from segflow.errors import SettingsError

Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BandSettings:
    """One input band: its name, and what it was scaled by in training: ``(pixel - mean) / std``."""

    name: Annotated[str, Field(min_length=1)]
    mean: float
    std: Positive


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSettings:
    """What the YAML file given by ``--spec`` says.

    Attributes
    ----------
    name, version, licence, description
        Of the model; the description says what it was trained on.
    architecture, arguments
        Name of a network (``segflow model architectures``) and what its builder takes.
    bands
        In the order of the network's input channels.
    dtype
        Data type of the pixels.
    classes
        In the order of the logits.
    gsd, gsd_range
        Ground sampling distance of the training scenes, and the range that the model accepts [m];
        None: from 3/4 to 3/2 of it.
    margin, core
        How far tiles read past their core, and its side [px]; a margin of None covers the network's dependency.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    architecture: str
    bands: tuple[BandSettings, ...]
    classes: tuple[ClassSettings, ...]
    gsd: Positive
    gsd_range: tuple[Positive, Positive] | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "uint8"
    margin: Annotated[int, Field(ge=0)] | None = None
    core: Annotated[int, Field(gt=0)] = 1024
    version: str = "1"
    licence: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        if not self.bands or not self.classes:
            msg = "a model needs at least one band and one class"
            raise SettingsError(msg)

    @property
    def accepted(self) -> tuple[float, float]:
        """Range of ground sampling distances that the model accepts [m]."""
        return self.gsd_range or (0.75 * self.gsd, 1.5 * self.gsd)
