"""What training settings say to the loop: a recipe, and a task."""

from typing import Literal

from segflow.configs.training import TrainSettings
from segflow.segmentation.spec import ModelSpec
from segflow.segmentation.training.recipe import Augmentation, Recipe, Task

Half = Literal["bfloat16", "float16"]


def make_recipe(settings: TrainSettings) -> Recipe:
    """Give the recipe that settings describe."""
    return Recipe(
        epochs=settings.epochs,
        chips_per_epoch=settings.chips_per_epoch,
        batch=settings.batch,
        chip=settings.chip,
        accumulate=settings.accumulate,
        patience=settings.patience,
        sampling=settings.sampling,
        optimiser=settings.optimiser,
        learning_rate=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        bias_rate=settings.bias_rate,
        bias_decay=settings.bias_decay,
        schedule=settings.schedule,
        clip=settings.clip,
        loss=dict[str, float](settings.loss.items()),
        class_weights=settings.class_weights,
        label_smoothing=settings.label_smoothing,
        focal_gamma=settings.focal_gamma,
        loss_reduction=settings.loss_reduction,
        averaging=settings.averaging,
        mixed_precision=_half_precision(settings.mixed_precision),
        fit_bias=settings.fit_bias,
        augmentation=Augmentation(
            turn=settings.turn,
            rotate=settings.rotate,
            scale=settings.scale,
            gain=settings.gain,
            band_gain=settings.band_gain,
            haze=settings.haze,
            band_haze=settings.band_haze,
            cutout=settings.cutout,
            cutmix=settings.cutmix,
        ),
        seed=settings.seed,
        device=settings.device,
    )


def make_task(spec: ModelSpec) -> Task:
    """Give what a model of this spec is to learn."""
    return Task(bands=spec.bands, classes=len(spec.classes), stride=spec.stride, margin=spec.margin)


def _half_precision(chosen: bool | Half) -> Half | None:  # noqa: FBT001  # the setting as it is
    if isinstance(chosen, bool):
        return "bfloat16" if chosen else None
    return chosen
