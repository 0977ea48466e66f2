"""Settings of `segflow retrain`."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionRule:
    """When a new model takes the place of the one in use.

    Attributes
    ----------
    least_scenes
        Kept-out scenes that are needed to compare at all.
    least_gain
        Mean IoU must rise by more than this; 0: any rise.
    most_loss
        IoU that a single class may lose.
    """

    least_scenes: Annotated[int, Field(ge=1)] = 3
    least_gain: Annotated[float, Field(ge=0, lt=1)] = 0.0
    most_loss: Annotated[float, Field(ge=0, le=1)] = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainSettings:
    """What a retraining is told.

    Attributes
    ----------
    training
        Folder of a project, or YAML file of a training.
    assign
        ``KEY=VALUE`` texts that override lines of it.
    shelf
        Folder that keeps the models: the one in use, those before it, and the ledger of promotions.
    base
        Model that is in use as long as the shelf holds none: a shipped one by name, or a file;
        None: the first one that is trained goes into use unopposed.
    from_current
        Whether training starts from the weights of the model in use instead of those that the training names.
    rule
        When the new model goes into use.
    """

    training: str
    assign: tuple[str, ...] = ()
    shelf: str
    base: str | None = None
    from_current: bool = False
    rule: PromotionRule = PromotionRule()
