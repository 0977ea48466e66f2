"""A model before it is trained: its network, and all of its spec but the scores."""

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from segflow import __version__
from segflow.configs.fields import names_that_change
from segflow.configs.setting import NOTHING, PRODUCTS
from segflow.configs.training import TrainSettings
from segflow.errors import ModelError, TrainingError
from segflow.flows.models.lookup import ModelRef, find_model
from segflow.flows.progress import Progress
from segflow.flows.train.pretrained import start_from
from segflow.io.models.packages import read_model_file
from segflow.io.scene.conversion import Encoding
from segflow.segmentation.networks.registry import Network, build_network
from segflow.segmentation.probe import Probe, guarantee_for, probe_network
from segflow.segmentation.spec import BandSpec, ClassSpec, ModelSpec
from segflow.segmentation.training.atlas import count_labels
from segflow.segmentation.training.chips import Sample, measure_bands, measure_medians, measure_quantiles
from segflow.segmentation.training.fine_tuning import adopt_weights, check_start
from segflow.segmentation.training.loop import set_up

# What may differ between two trainings that give the same weights, or is true on one machine only.
FREE = names_that_change(TrainSettings, PRODUCTS) | names_that_change(TrainSettings, NOTHING)
_LOCAL = frozenset(
    {"data", "out", "logs", "notes", "threads", "device", "start", "max_pixels", "max_bands", "max_block"}
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Beginning:
    """A network before its training.

    Attributes
    ----------
    network
        With random weights, or those of `start`.
    probe
        Its stride and dependency.
    start
        The model whose weights it has, or None.
    """

    network: Network
    probe: Probe
    start: ModelRef | None


def begin_network(settings: TrainSettings, progress: Progress) -> Beginning:
    """Build the network, with the weights of another model where the settings name one.

    Raises
    ------
    ModelError
        If it cannot be built, or the other model does not fit.
    """
    set_up(settings.seed, settings.threads)
    start = None if settings.start is None else find_model(settings.start)
    if start is not None:
        check_start(start.spec, architecture=settings.network, arguments=settings.arguments, bands=settings.bands)
    classes = len(settings.classes)
    network = build_network(settings.network, settings.arguments, in_channels=len(settings.bands), classes=classes)
    if start is not None:
        _adopt(network, start, classes, progress)
    elif settings.weights is not None:
        found = start_from(network, settings.weights)
        fresh = (*found.missing, *found.mismatched)
        progress.note(f"{settings.weights} gives {len(found.loaded)} weights, {len(fresh)} start at random")
    probe = probe_network(network, len(settings.bands))
    return Beginning(network=network, probe=probe, start=start)


def _adopt(network: Network, start: ModelRef, classes: int, progress: Progress) -> None:
    """Load the weights of a model into a network, and report those that did not fit."""
    fresh = adopt_weights(network, read_model_file(start.path)[1], start.spec, classes=classes)
    progress.note(f"starts from the weights of {start.spec.name} {start.spec.version}")
    if fresh:
        progress.note(
            f"{start.spec.name} has {len(start.spec.classes)} classes, this model {classes}: "
            f"{', '.join(fresh)} start from random weights"
        )


def describe_model(
    settings: TrainSettings,
    beginning: Beginning,
    training: Sequence[Sample],
    later: Sequence[Sample] = (),
    *,
    encoding: Encoding | None = None,
) -> ModelSpec:
    """Give the spec without scores; called before the first step, so that errors come early.

    Parameters
    ----------
    settings, beginning
        The settings, and the network to be trained.
    training
        Training scenes; they give the scaling of the bands.
    later
        Further scenes that a refit is trained on.
    encoding
        What the pixels of the scenes mean; None: nothing is known.

    Raises
    ------
    TrainingError
        If the training scenes have several data types, or a class has no labelled pixel.
    ModelError
        If they have another data type than the scenes of the model to start from.
    """
    dtypes = sorted({sample.pixels.dtype.name for sample in training})
    if len(dtypes) != 1:
        found = ", ".join(dtypes) or "no scenes"
        msg = f"training scenes must have one data type, found {found}: convert them (gdal_translate -ot)"
        raise TrainingError(msg)
    margin, guarantee = guarantee_for(beginning.probe, settings.margin)
    return ModelSpec(
        name=settings.name,
        version=settings.version,
        architecture=settings.network,
        arguments=settings.arguments,
        bands=_measured(_scale_bands(settings, training, beginning.start, dtypes[0]), [*training, *later], encoding),
        dtype=dtypes[0],
        gsd=settings.gsd,
        gsd_range=settings.gsd_range,
        classes=tuple(ClassSpec(**asdict(entry)) for entry in settings.classes),
        stride=beginning.probe.stride,
        dependency=beginning.probe.dependency,
        margin=margin,
        guarantee=guarantee,
        core=settings.core,
        data=settings.description,
        licence=settings.licence,
        display=dtypes[0] == "uint8" and (encoding is None or settings.display),
        provenance=_provenance(settings, beginning.start, [*training, *later]),
    )


def find_unseen(settings: TrainSettings, training: Sequence[Sample]) -> tuple[str, ...]:
    """Give the names of classes without a labelled pixel in the training scenes.

    Raises
    ------
    TrainingError
        If there are any and the settings do not allow it.
    """
    counts = count_labels(training, len(settings.classes))
    unseen = tuple(entry.name for entry, count in zip(settings.classes, counts, strict=True) if not count)
    if unseen and not settings.allow_unseen:
        msg = (
            f"no training scene has a pixel of {', '.join(unseen)}: label some, check `class_values` and the split, "
            "or set allow_unseen to true"
        )
        raise TrainingError(msg)
    return unseen


def identify(settings: TrainSettings, beginning: Beginning, samples: Sequence[Sample]) -> dict[str, object]:
    """Give all that determines the weights, as texts by name: settings, the model to start from, and the scenes."""
    told = {name: repr(value) for name, value in asdict(settings).items() if name not in FREE}
    seen = {f"scene {sample.name}": _checksum(sample) for sample in samples}
    start = {} if beginning.start is None else {"start": beginning.start.digest}
    return {**told, **start, **seen}


def _checksum(sample: Sample) -> str:
    total = 0
    for array in (sample.pixels, sample.valid, sample.labels):
        total = zlib.crc32(np.ascontiguousarray(array).tobytes(), total)
    return f"{'×'.join(map(str, sample.labels.shape))} px, checksum {total:08x}"


def _scale_bands(
    settings: TrainSettings, training: Sequence[Sample], start: ModelRef | None, dtype: str
) -> tuple[BandSpec, ...]:
    """Give the scaling of the bands: as set, else that of the model to start from, else by the training scenes."""
    unknown = sorted(settings.scaling.keys() - set(settings.bands))
    if unknown:
        msg = (
            f"scaling names bands that the model has not: {', '.join(unknown)}; its bands: {', '.join(settings.bands)}"
        )
        raise TrainingError(msg)
    chosen = {name: BandSpec(name=name, mean=mean, std=std) for name, (mean, std) in settings.scaling.items()}
    if start is not None:
        if start.spec.dtype != dtype and chosen.keys() != set(settings.bands):
            msg = (
                f"--from {start.spec.name} was trained on {start.spec.dtype} pixels, but the scenes have {dtype}: "
                "set `scaling` of all bands, or convert the scenes (gdal_translate -ot -scale)"
            )
            raise ModelError(msg)
        return tuple(chosen.get(band.name, band) for band in start.spec.bands)
    return tuple(chosen.get(band.name, band) for band in measure_bands(training, settings.bands))


def _measured(
    bands: tuple[BandSpec, ...], training: Sequence[Sample], encoding: Encoding | None
) -> tuple[BandSpec, ...]:
    """Give bands with the distribution of their training pixels, and what these mean."""
    told = [(None, 0.0)] * len(bands) if encoding is None else list(zip(encoding.scales, encoding.offsets, strict=True))
    return tuple(
        replace(band, scale=scale, offset=offset, quantiles=quantiles, medians=medians)
        for band, (scale, offset), quantiles, medians in zip(
            bands, told, measure_quantiles(training), measure_medians(training), strict=True
        )
    )


def _provenance(settings: TrainSettings, start: ModelRef | None, training: Sequence[Sample]) -> dict[str, object]:
    """Give the provenance of the weights: all settings but local ones, labelled pixels, and the model to start from."""
    counts = count_labels(training, len(settings.classes))
    kept = {key: value for key, value in asdict(settings).items() if key not in _LOCAL}
    for key in ("labels", "weights"):
        if kept[key] is not None and Path(kept[key]).is_absolute():
            kept[key] = Path(kept[key]).name  # a folder is one machine's
    found: dict[str, object] = {
        "segflow": __version__,
        "settings": kept,
        "training_pixels": {entry.name: int(n) for entry, n in zip(settings.classes, counts, strict=True)},
        "notes": settings.notes,
    }
    if start is not None:
        found["start"] = {"name": start.spec.name, "version": start.spec.version, "digest": start.digest}
    return found
