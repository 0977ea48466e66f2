"""Training as a flow: labelled scenes → chips → weights → scores on unseen scenes → one model file."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from segflow import __version__
from segflow.configs.training import TrainSettings
from segflow.errors import SceneError, TrainingError
from segflow.flows.progress import Progress, Silence, stage
from segflow.io.labels import burn_labels, read_label_raster
from segflow.io.models import write_model_file
from segflow.io.scenes import describe_scene, gsd, open_scene, select_bands
from segflow.segmentation.memory import tune_malloc
from segflow.segmentation.metrics import Counts, Scores
from segflow.segmentation.networks import Network, build_network
from segflow.segmentation.probe import guarantee_for, probe_network
from segflow.segmentation.rounding import measure_bfloat16_changes
from segflow.segmentation.spec import BandSpec, ClassSpec, ModelSpec
from segflow.segmentation.training.chips import Sample, Tint, measure_bands
from segflow.segmentation.training.loop import Epoch, Schedule, count_samples, set_up, train_network
from segflow.segmentation.weights import pack_weights

_DIGITS = 4  # of scores in a spec


def train_model(settings: TrainSettings, progress: Progress | None = None) -> Path:
    """Train a model, score it on the test scenes and write it as one file.

    The best model so far lies at `settings.out` while training goes on; the test scenes are
    read when training has ended, so nothing can be chosen by them.

    Parameters
    ----------
    settings
        What to learn from, how, and where to.
    progress
        Who watches.

    Returns
    -------
    Path
        The model file.

    Raises
    ------
    SegflowError
        If scenes or labels do not fit, training diverges, or the file cannot be written.
    """
    progress = progress or Silence()
    tune_malloc()
    groups = split_scenes(settings)
    training, validation = (read_samples(groups[name], settings) for name in ("training", "validation"))
    network, spec = _new_model(settings, training)
    progress.note(f"{spec.name}: stride {spec.stride} px, margin {spec.margin} px, {spec.guarantee}")

    def report(epoch: Epoch, candidate: Network) -> None:
        progress.note(
            f"epoch {epoch.number}: loss {epoch.loss:.4f}, validation mean IoU {epoch.scores.mean_iou:.4f}"
            f"{' (best)' if epoch.best else ''}"
        )
        if epoch.best:
            _write(settings, spec, candidate, {"validation": _summary(epoch.scores, spec)})
        progress.advance(1)

    with stage(progress, "training", settings.epochs, "epochs"):
        best = train_network(
            network,
            training,
            validation,
            bands=spec.bands,
            classes=len(spec.classes),
            stride=spec.stride,
            schedule=_schedule(settings),
            report=report,
        )
    metrics = {
        "validation": score_samples(best, validation, spec),
        "test": score_samples(best, read_samples(groups["test"], settings), spec),
    }
    progress.note(f"test: {metrics['test']['summary']}")
    spec = replace(spec, bfloat16_changes=round(measure_bfloat16_changes(best, spec, validation), 6))
    return _write(settings, spec, best, metrics)


def split_scenes(settings: TrainSettings) -> dict[str, list[Path]]:
    """Give the paths of the scenes for training, validation and test, each sorted by name.

    Raises
    ------
    SceneError
        If no scene is found, or one that is named for validation or test is missing.
    """
    folder = Path(settings.data)
    found = {path.stem: path for path in sorted(folder.glob(settings.scenes))}
    if not found:
        msg = f"{folder / settings.scenes} matches no scene: set `data` to the folder of the training data"
        raise SceneError(msg)
    missing = sorted({*settings.validation, *settings.test} - found.keys())
    if missing:
        msg = f"{folder / settings.scenes} lacks scenes named for validation or test: {', '.join(missing)}"
        raise SceneError(msg)
    held_out = {*settings.validation, *settings.test}
    return {
        "training": [path for name, path in found.items() if name not in held_out],
        "validation": [found[name] for name in settings.validation],
        "test": [found[name] for name in settings.test],
    }


def read_samples(scenes: Sequence[Path], settings: TrainSettings) -> list[Sample]:
    """Read scenes with their labels into memory.

    Raises
    ------
    SceneError
        If a scene or its labels cannot be read or do not fit the settings.
    """
    return [_read_sample(path, settings) for path in scenes]


def score_samples(network: Network, samples: Sequence[Sample], spec: ModelSpec) -> dict[str, object]:
    """Give scores over all pixels of some scenes, and the IoU of each scene."""
    tables: dict[str, Counts] = {
        sample.name: count_samples(network, [sample], bands=spec.bands, classes=len(spec.classes), stride=spec.stride)
        for sample in samples
    }
    scores = Scores.of(np.sum(list(tables.values()), axis=0))
    by_scene = {name: _by_class(Scores.of(table).iou, spec) for name, table in tables.items()}
    return {**_summary(scores, spec), "scenes": by_scene}


def _read_sample(path: Path, settings: TrainSettings) -> Sample:
    info = describe_scene(path)
    bands = select_bands(info, settings.bands, settings.bands_chosen)
    ground = gsd(info.grid)
    low, high = settings.gsd_range
    if ground is not None and not low <= ground <= high:
        msg = (
            f"{path} has a ground sampling distance of {ground:.4g} m, but gsd_range is {low:g}–{high:g} m: resample it"
        )
        raise SceneError(msg)
    with open_scene(path, bands) as scene:
        pixels, valid = scene.read_window(info.grid.window)
    return Sample(name=path.stem, pixels=pixels, valid=valid, labels=_read_labels(path, settings))


def _read_labels(scene: Path, settings: TrainSettings) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Read the labels of a scene: a raster of its name, or polygons."""
    grid = describe_scene(scene).grid
    source = Path(settings.data) / settings.labels
    if source.is_dir():
        return read_label_raster(source / scene.name, grid, [entry.value for entry in settings.classes])
    if settings.class_field is None:
        msg = f"labels {source} are no folder of rasters, so `class_field` and `class_values` must say what to burn"
        raise TrainingError(msg)
    return burn_labels(
        source, grid, field=settings.class_field, values=settings.class_values, background=settings.background
    )


def _new_model(settings: TrainSettings, training: Sequence[Sample]) -> tuple[Network, ModelSpec]:
    """Build the network and all of its spec but the scores: what fails here fails before the first step."""
    dtypes = sorted({sample.pixels.dtype.name for sample in training})
    if len(dtypes) != 1:
        msg = f"training scenes must have one data type, found {', '.join(dtypes) or 'no scenes'}: convert them"
        raise TrainingError(msg)
    set_up(settings.seed, settings.threads)
    classes = tuple(ClassSpec(**asdict(entry)) for entry in settings.classes)
    network = build_network(settings.network, settings.arguments, in_channels=len(settings.bands), classes=len(classes))
    probe = probe_network(network, len(settings.bands))
    margin, guarantee = guarantee_for(probe, settings.margin)
    return network, ModelSpec(
        name=settings.name,
        version=settings.version,
        architecture=settings.network,
        arguments=settings.arguments,
        bands=_scale_bands(settings, training),
        dtype=dtypes[0],
        gsd=settings.gsd,
        gsd_range=settings.gsd_range,
        classes=classes,
        stride=probe.stride,
        dependency=probe.dependency,
        margin=margin,
        guarantee=guarantee,
        core=settings.core,
        data=settings.description,
        licence=settings.licence,
        provenance=_provenance(settings),
    )


def _scale_bands(settings: TrainSettings, training: Sequence[Sample]) -> tuple[BandSpec, ...]:
    """Give the scaling of the bands: as set, else by the training scenes."""
    unknown = sorted(settings.scaling.keys() - set(settings.bands))
    if unknown:
        msg = (
            f"scaling names bands that the model has not: {', '.join(unknown)}; its bands: {', '.join(settings.bands)}"
        )
        raise TrainingError(msg)
    return tuple(
        BandSpec(name=band.name, mean=settings.scaling[band.name][0], std=settings.scaling[band.name][1])
        if band.name in settings.scaling
        else band
        for band in measure_bands(training, settings.bands)
    )


def _provenance(settings: TrainSettings) -> dict[str, object]:
    """Give all settings but those that are true on one machine only."""
    kept = {key: value for key, value in asdict(settings).items() if key not in {"data", "out", "threads", "notes"}}
    return {"segflow": __version__, "settings": kept, "notes": settings.notes}


def _schedule(settings: TrainSettings) -> Schedule:
    return Schedule(
        epochs=settings.epochs,
        chips_per_epoch=settings.chips_per_epoch,
        batch=settings.batch,
        chip=settings.chip,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        label_smoothing=settings.label_smoothing,
        averaging=settings.averaging,
        mixed_precision=settings.mixed_precision,
        fit_bias=settings.fit_bias,
        turn=settings.turn,
        tint=Tint(gain=settings.gain, band_gain=settings.band_gain, haze=settings.haze, band_haze=settings.band_haze),
        seed=settings.seed,
    )


def _write(settings: TrainSettings, spec: ModelSpec, network: Network, metrics: dict[str, dict[str, object]]) -> Path:
    path = Path(settings.out)
    whole = replace(spec, metrics=metrics)
    write_model_file(path, whole.to_json(), pack_weights(network))
    return path


def _summary(scores: Scores, spec: ModelSpec) -> dict[str, object]:
    """Give scores rounded and by class name, as a spec holds them."""
    by_class = {key: _by_class(getattr(scores, key), spec) for key in ("iou", "f1", "precision", "recall")}
    return {
        "pixel_accuracy": round(scores.pixel_accuracy, _DIGITS),
        "mean_iou": round(scores.mean_iou, _DIGITS),
        **by_class,
        "summary": ", ".join(f"{name} IoU {value}" for name, value in by_class["iou"].items()),
    }


def _by_class(values: Sequence[float], spec: ModelSpec) -> dict[str, float | None]:
    """Name values by class; None where a class does not occur, which JSON has no number for."""
    return {
        entry.name: None if np.isnan(value) else round(value, _DIGITS)
        for entry, value in zip(spec.classes, values, strict=True)
    }
