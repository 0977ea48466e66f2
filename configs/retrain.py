"""Settings of `segflow retrain`."""

from dataclasses import dataclass, fields
from typing import Annotated

from segflow.configs.fields import settings_class
from segflow.configs.kinds import Chance, Decay, Limits
from segflow.configs.setting import NOTHING, PIXELS, Panel, Setting


@settings_class
@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionRule:
    """When a new model takes the place of the one in use."""

    least_scenes: Annotated[
        Annotated[int, Limits(ge=1)], Setting(NOTHING, Panel.PROMOTION, "Kept-out scenes that are needed to compare.")
    ] = 3
    least_gain: Annotated[
        Decay, Setting(NOTHING, Panel.PROMOTION, "Mean IoU must rise by more than this; 0: any rise.")
    ] = 0.0
    most_loss: Annotated[Chance, Setting(NOTHING, Panel.PROMOTION, "IoU that a single class may lose.")] = 0.02


@settings_class
@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainSettings(PromotionRule):
    """What a retraining is told; the rule decides which model goes into use, and changes none."""

    training: Annotated[str, Setting(PIXELS, Panel.SHELF, "Folder of a project, or YAML file of a training.")]
    assign: Annotated[tuple[str, ...], Setting(PIXELS, Panel.SHELF, "KEY=VALUE texts that override lines of it.")] = ()
    shelf: Annotated[
        str,
        Setting(
            NOTHING,
            Panel.SHELF,
            "Folder of the models: the one in use, those before it, the ledger.",
            metavar="DIR",
        ),
    ] = "shelf"
    base: Annotated[
        str | None,
        Setting(
            NOTHING,
            Panel.SHELF,
            "Model in use as long as the shelf holds none: name or file.",
            unset="the first one trained, unopposed",
        ),
    ] = None
    from_current: Annotated[
        bool, Setting(PIXELS, Panel.SHELF, "Start training from the weights of the model in use.")
    ] = False

    @property
    def rule(self) -> PromotionRule:
        """When the new model goes into use."""
        return PromotionRule(**{field.name: getattr(self, field.name) for field in fields(PromotionRule)})
