"""The networks that `bench/models.py` trains, and what one is worth."""

from dataclasses import dataclass

TOLERANCE = 3.0  # px; of boundary F1
WIDTH = 0.125  # of VGG16's channels: 16 layers learn from random weights within minutes
COMPACT = {"widths": [16, 32, 64, 128, 256]}
LIGHT = {"gain": 0.1, "band_gain": 0.05, "haze": 0.1, "band_haze": 0.05}
DARK = dict.fromkeys(LIGHT, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A network to train: how it is shown, its name, its arguments, and settings of its own.

    `after` is the title of the entry whose weights it starts from; `times` multiplies the steps.
    """

    title: str
    network: str
    arguments: dict[str, object]
    settings: dict[str, object]
    after: str | None = None
    times: int = 1


NARROW = {"width": WIDTH, "batch_norm": True}
COMPARED = (
    Entry(title="FCN-32s", network="fcn32s-vgg16", arguments=NARROW, settings={}),
    Entry(title="FCN-16s", network="fcn16s-vgg16", arguments=NARROW, settings={}),
    Entry(title="FCN-8s", network="fcn8s-vgg16", arguments=NARROW, settings={}),
    Entry(title="U-Net, compact", network="unet", arguments=COMPACT, settings={}),
    Entry(title="U-Net-ResNet18", network="smp", arguments={"decoder": "unet", "encoder": "resnet18"}, settings={}),
)
FINER = {"learning_rate": 1e-3}  # of what has learnt already; the paper divides by 100 in turn
IN_TURN = (
    Entry(title="FCN-16s after 32s", network="fcn16s-vgg16", arguments=NARROW, settings=FINER, after="FCN-32s"),
    Entry(title="FCN-8s after 16s", network="fcn8s-vgg16", arguments=NARROW, settings=FINER, after="FCN-16s after 32s"),
    Entry(title="FCN-32s as long", network="fcn32s-vgg16", arguments=NARROW, settings={}, times=3),
)
# KITTI's optimiser, loss and dropout; its learning rate is for weights that come from ImageNet.
KITTI = {"optimiser": "adam", "weight_decay": 0.0, "learning_rate": 1e-3, "schedule": "constant", "clip": None}
AUGMENTED = (
    Entry(
        title="without",
        network="fcn8s-vgg16-kitti",
        arguments=NARROW,
        settings=KITTI | DARK | {"turn": False},
    ),
    Entry(title="with", network="fcn8s-vgg16-kitti", arguments=NARROW, settings=KITTI | LIGHT | {"turn": True}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a trained network is worth on the scenes that were kept out."""

    parameters: int
    seconds: float
    mpx_per_s: float
    mean_iou: float
    iou: float
    f1: float
    boundary_f1: float
