"""Settings of `segflow train`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from segflow.configs.classes import ClassSettings
from segflow.configs.fields import settings_class
from segflow.configs.kinds import Count, Limits, ModelName, Positive, Rate, Word
from segflow.configs.limits import AllowDatumShift, MaxBands, MaxBlock, MaxPixels
from segflow.configs.recipe import RecipeSettings
from segflow.configs.setting import NOTHING, PIXELS, PRODUCTS, Panel, Setting
from segflow.configs.split import SplitSettings

SceneNames = Annotated[tuple[Word, ...], Limits(min_length=1)]


@settings_class
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings(RecipeSettings):
    """What training is told; every field is a line of the YAML file or a ``--set KEY=VALUE``.

    What changes pixels changes the weights, so that a training with another value does not go on from checkpoints.
    """

    name: Annotated[ModelName, Setting(PIXELS, Panel.MODEL, "Name of the model.")]
    version: Annotated[str, Setting(PRODUCTS, Panel.MODEL, "Version of the model.")] = "1"
    licence: Annotated[str, Setting(PRODUCTS, Panel.MODEL, "Licence of the model.")] = ""
    description: Annotated[str, Setting(PRODUCTS, Panel.MODEL, "What the model is for.")] = ""
    data: Annotated[
        str,
        Setting(NOTHING, Panel.DATA, "Folder that `scenes` and `labels` lie in; relative to the YAML file."),
    ] = "."
    scenes: Annotated[str, Setting(PIXELS, Panel.DATA, "Glob of the labelled scenes.")] = "images/*.tif"
    labels: Annotated[
        str,
        Setting(
            PIXELS,
            Panel.DATA,
            "Folder of label rasters that are named like the scenes and lie on their grids, or a vector file.",
        ),
    ] = "labels"
    class_field: Annotated[
        Word | None, Setting(PIXELS, Panel.DATA, "Field of the vector file that says the class.")
    ] = None
    class_values: Annotated[
        dict[Word | int, int],
        Setting(
            PIXELS,
            Panel.DATA,
            "Class value of each entry of that field, or of each value of label rasters; 255: ignored.",
        ),
    ] = field(default_factory=dict)
    background: Annotated[
        Annotated[int, Limits(ge=0, le=255)],
        Setting(PIXELS, Panel.DATA, "Class value of land outside all polygons; 255 ignores it."),
    ] = 255
    bands: Annotated[
        Annotated[tuple[Word, ...], Limits(min_length=1)],
        Setting(PIXELS, Panel.MODEL, "Names of the model's bands, in its order."),
    ]
    bands_chosen: Annotated[
        tuple[int | Word, ...] | None,
        Setting(
            PIXELS, Panel.DATA, "The bands of the scenes that these are, by number or name.", unset="as the names tell"
        ),
    ] = None
    meaning: Annotated[
        dict[str, tuple[Rate, float]],
        Setting(
            PIXELS,
            Panel.DATA,
            "Scale and offset of bands whose scenes declare none: a pixel means scale × pixel + offset, such as "
            "reflectance.",
        ),
    ] = field(default_factory=dict)
    display: Annotated[
        bool,
        Setting(
            PIXELS,
            Panel.DATA,
            "Whether uint8 pixels with a scale are display values from 0 to 255, which saturate; without one they are.",
        ),
    ] = False
    as_stored: Annotated[
        bool, Setting(PIXELS, Panel.DATA, "Take the numbers as they are stored, whatever scale they declare.")
    ] = False
    nodata: Annotated[
        float | None,
        Setting(PIXELS, Panel.DATA, "Pixels with this value in any band are nodata, besides what the files declare."),
    ] = None
    alpha: Annotated[
        bool, Setting(PIXELS, Panel.DATA, "Whether a band tagged as alpha masks, or is a band like others.")
    ] = True
    scaling: Annotated[
        dict[Word, tuple[float, Rate]],
        Setting(
            PIXELS,
            Panel.DATA,
            "Mean and standard deviation of bands that are not to be scaled by those of the training scenes.",
        ),
    ] = field(default_factory=dict)
    classes: Annotated[
        Annotated[tuple[ClassSettings, ...], Limits(min_length=2)],
        Setting(
            PIXELS, Panel.MODEL, "Classes in the order of their values: {value: 0, name: other, colour: '#d9c88f'}, …"
        ),
    ]
    gsd: Annotated[Rate, Setting(PIXELS, Panel.MODEL, "Ground sampling distance of the scenes [m].")]
    gsd_range: Annotated[
        tuple[Rate, Rate], Setting(PIXELS, Panel.MODEL, "Ground sampling distances that the model accepts [m].")
    ]
    validation: Annotated[
        SceneNames,
        Setting(PIXELS, Panel.DATA, "Names of the scenes that choose the best epoch; `test` must name some too."),
    ] = ()
    test: Annotated[
        SceneNames,
        Setting(PIXELS, Panel.DATA, "Names of the scenes that are scored at the end, and seen by nothing before."),
    ] = ()
    split: Annotated[
        SplitSettings,
        Setting(
            PIXELS,
            Panel.DATA,
            "How scenes are divided where `validation` and `test` name none: by (scene or block), validation and test "
            "(their shares), seed, block (its side [px]), buffer (between blocks [px]).",
        ),
    ] = field(default_factory=SplitSettings)
    network: Annotated[
        str, Setting(PIXELS, Panel.NETWORK, "A network by name; `segflow model architectures` lists them.")
    ] = "unet"
    arguments: Annotated[dict[str, Any], Setting(PIXELS, Panel.NETWORK, "What the network's builder takes.")] = field(
        default_factory=dict
    )
    margin: Annotated[
        Count | None,
        Setting(PIXELS, Panel.NETWORK, "Margin of the model's tiles [px].", unset="as much as exact tiling needs"),
    ] = None
    core: Annotated[Positive, Setting(PRODUCTS, Panel.NETWORK, "Side of the core of the model's tiles [px].")] = 1024
    weights: Annotated[
        str | None,
        Setting(
            PIXELS,
            Panel.NETWORK,
            "Weights for as much of the network as they fit: a .pt, .ckpt or .safetensors (an encoder, or the "
            "FCN-32s for a 16s), or torchvision's name of some.",
            unset="random",
        ),
    ] = None
    start: Annotated[
        str | None,
        Setting(
            PIXELS,
            Panel.NETWORK,
            "Model to start from, of the same network and bands: name or file; `--from` sets it too.",
            unset="random weights",
        ),
    ] = None
    refit: Annotated[
        bool,
        Setting(
            PIXELS,
            Panel.AFTERWARDS,
            "Train anew on training and validation scenes together, for as many epochs as the best one took.",
        ),
    ] = False
    allow_unseen: Annotated[
        bool, Setting(PIXELS, Panel.DATA, "Let a class have no labelled pixel to learn from; else that is an error.")
    ] = False
    fit_temperature: Annotated[
        bool, Setting(PIXELS, Panel.AFTERWARDS, "Fit the temperature of the confidence on the validation scenes.")
    ] = True
    threads: Annotated[Positive | None, Setting(PIXELS, Panel.HOW, "Threads of the processor.", unset="all")] = None
    logs: Annotated[
        str | None,
        Setting(NOTHING, Panel.HOW, "Folder for log, TensorBoard events and checkpoints.", unset="OUT.training"),
    ] = None
    allow_datum_shift: AllowDatumShift = False
    max_pixels: MaxPixels = None
    max_bands: MaxBands = None
    max_block: MaxBlock = None
    half_weights: Annotated[
        bool,
        Setting(
            PIXELS,
            Panel.AFTERWARDS,
            "Round kernels to 16 bits: half the file; scores are those of the rounded weights.",
        ),
    ] = False
    notes: Annotated[
        dict[str, Any], Setting(PRODUCTS, Panel.MODEL, "What else should stand in the model: baselines, sources.")
    ] = field(default_factory=dict)
    out: Annotated[str, Setting(NOTHING, Panel.MODEL, "The model file to write.")]

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
