"""How a network is trained: the part of the training settings that the loop of training reads.

`segmentation` takes its recipe from here, so that each of these fields is written once. Nothing heavy is imported.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from segflow.configs.fields import settings_class
from segflow.configs.kinds import Amount, Chance, Count, Decay, Device, Limits, Positive, Rate, Spread
from segflow.configs.setting import PIXELS, Panel, Setting

Term = Literal["cross-entropy", "focal", "dice", "lovasz"]
Half = Literal["bfloat16", "float16"]


@settings_class
@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How chips vary; light is `pixel × gain + haze`, both drawn anew for every chip."""

    turn: Annotated[bool, Setting(PIXELS, Panel.CHIPS, "Turn and mirror chips: the eight symmetries of a square.")] = (
        True
    )
    rotate: Annotated[
        Annotated[float, Limits(ge=0, le=45)],
        Setting(PIXELS, Panel.CHIPS, "Largest angle of a random rotation [°]; 0: no pixel is resampled."),
    ] = 0.0
    scale: Annotated[
        Annotated[float, Limits(ge=0, le=0.5)],
        Setting(PIXELS, Panel.CHIPS, "Largest random change of scale: 0.1 zooms by 0.9 to 1.1."),
    ] = 0.0
    gain: Annotated[
        Spread, Setting(PIXELS, Panel.CHIPS, "Standard deviation of the log of a factor on all bands: sun and season.")
    ] = 0.1
    band_gain: Annotated[
        Spread, Setting(PIXELS, Panel.CHIPS, "Standard deviation of the log of a factor on each band.")
    ] = 0.05
    haze: Annotated[
        Spread, Setting(PIXELS, Panel.CHIPS, "Standard deviation of a summand on all bands [std of the band].")
    ] = 0.1
    band_haze: Annotated[
        Spread, Setting(PIXELS, Panel.CHIPS, "Standard deviation of a summand on each band [std of the band].")
    ] = 0.05
    cutout: Annotated[Chance, Setting(PIXELS, Panel.CHIPS, "Chance that a chip gets a hole of nodata.")] = 0.0
    cutmix: Annotated[
        Chance, Setting(PIXELS, Panel.CHIPS, "Chance that a part of a chip comes from another one of its batch.")
    ] = 0.0


@settings_class
@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeSettings(Augmentation):
    """How long and how a network is trained: `epochs × chips_per_epoch` chips in all."""

    epochs: Annotated[Positive, Setting(PIXELS, Panel.LENGTH, "Number of epochs.")] = 40
    chips_per_epoch: Annotated[Positive, Setting(PIXELS, Panel.LENGTH, "Chips that are learnt from in an epoch.")] = 320
    batch: Annotated[Positive, Setting(PIXELS, Panel.LENGTH, "Chips that go through the network at a time.")] = 16
    chip: Annotated[Positive, Setting(PIXELS, Panel.LENGTH, "Side of a chip [px].")] = 256
    accumulate: Annotated[
        Positive, Setting(PIXELS, Panel.LENGTH, "Batches per step of the optimiser; the gradient is their mean.")
    ] = 1
    patience: Annotated[
        Positive | None,
        Setting(
            PIXELS, Panel.LENGTH, "Epochs without a better validation score after which training stops.", unset="never"
        ),
    ] = None
    sampling: Annotated[
        Literal["uniform", "balanced"],
        Setting(
            PIXELS,
            Panel.CHIPS,
            "uniform: every place for a chip is as likely; balanced: chips are cut around pixels of every class "
            "equally often.",
        ),
    ] = "uniform"
    optimiser: Annotated[Literal["adamw", "adam", "sgd"], Setting(PIXELS, Panel.OPTIMISER, "adamw, adam or sgd.")] = (
        "adamw"
    )
    learning_rate: Annotated[Rate, Setting(PIXELS, Panel.OPTIMISER, "Peak of the learning rate.")] = 2e-3
    momentum: Annotated[Decay, Setting(PIXELS, Panel.OPTIMISER, "Momentum of SGD.")] = 0.9
    weight_decay: Annotated[Amount, Setting(PIXELS, Panel.OPTIMISER, "Decay of the weights.")] = 1e-2
    bias_rate: Annotated[
        Rate, Setting(PIXELS, Panel.OPTIMISER, "Factor on the learning rate of biases; 2 in the FCN paper.")
    ] = 1.0
    bias_decay: Annotated[
        bool, Setting(PIXELS, Panel.OPTIMISER, "Let biases decay like weights; false in the FCN paper.")
    ] = True
    schedule: Annotated[
        Literal["one-cycle", "cosine", "poly", "constant"],
        Setting(
            PIXELS,
            Panel.OPTIMISER,
            "How the learning rate goes towards 0: one-cycle (from a 25th of it, up to it, down), cosine, "
            "poly (power 0.9), or constant, which it stays.",
        ),
    ] = "one-cycle"
    clip: Annotated[Rate | None, Setting(PIXELS, Panel.OPTIMISER, "Largest norm of a gradient; null: any.")] = 5.0
    loss: Annotated[
        dict[Term, Rate],
        Setting(PIXELS, Panel.LOSS, "Terms with their weights: cross-entropy, focal, dice, lovasz."),
    ] = field(default_factory=lambda: {"cross-entropy": 1.0})
    class_weights: Annotated[
        Literal["none", "balanced"] | tuple[Rate, ...],
        Setting(
            PIXELS,
            Panel.LOSS,
            "Weights of the classes in cross-entropy and focal loss: none, balanced (inverse to the pixels of the "
            "class), or a number per class.",
        ),
    ] = "none"
    label_smoothing: Annotated[Decay, Setting(PIXELS, Panel.LOSS, "Label smoothing of cross-entropy.")] = 0.0
    focal_gamma: Annotated[
        Annotated[float, Limits(ge=0, le=10)], Setting(PIXELS, Panel.LOSS, "Exponent of focal loss.")
    ] = 2.0
    loss_reduction: Annotated[
        Literal["mean", "sum"],
        Setting(
            PIXELS,
            Panel.LOSS,
            "Whether cross-entropy and focal loss are means over the pixels, or sums as in the FCN paper, "
            "which need tiny learning rates.",
        ),
    ] = "mean"
    averaging: Annotated[
        Decay,
        Setting(
            PIXELS,
            Panel.OPTIMISER,
            "Decay of the moving average of the weights per step; the average is what is validated and kept.",
        ),
    ] = 0.99
    mixed_precision: Annotated[
        bool | Half,
        Setting(PIXELS, Panel.OPTIMISER, "Half precision of the forward pass: true or bfloat16, or float16 on a GPU."),
    ] = False
    fit_bias: Annotated[
        bool, Setting(PIXELS, Panel.AFTERWARDS, "Fit biases between the classes on the validation scenes.")
    ] = False
    seed: Annotated[Count, Setting(PIXELS, Panel.HOW, "Seed of weights, chips and augmentation.")] = 0
    device: Annotated[Device, Setting(PIXELS, Panel.HOW, "auto, cpu, cuda or cuda:1.")] = "auto"

    @property
    def half_precision(self) -> Half | None:
        """Type of the forward pass in half precision; None: float32."""
        if isinstance(self.mixed_precision, bool):
            return "bfloat16" if self.mixed_precision else None
        return self.mixed_precision
