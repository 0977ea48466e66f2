"""Training as a flow: labelled scenes → chips → weights → scores on unseen scenes → one model file."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from segflow.configs.training import TrainSettings
from segflow.errors import TrainingError
from segflow.flows.models.guarantees import describe_guarantee
from segflow.flows.progress import Progress, Silence, stage
from segflow.flows.train.epochs import TrainingWatch
from segflow.flows.train.labelled import plan_split, read_samples
from segflow.flows.train.new_model import begin_network, describe_model, find_unseen, identify
from segflow.flows.train.recipe import make_recipe, make_task
from segflow.flows.train.refit import refit_model
from segflow.flows.train.scoring import score_samples, summarise
from segflow.flows.train.training_report import write_training_report
from segflow.io.models.packages import write_model_file
from segflow.io.storage.files import replace_file
from segflow.io.work.training_log import TrainingLog, read_training_log
from segflow.segmentation.networks.registry import Network
from segflow.segmentation.predict.memory import tune_malloc
from segflow.segmentation.predict.weights import pack_weights, round_kernels
from segflow.segmentation.scores.calibration import fit_temperature
from segflow.segmentation.spec import ModelSpec
from segflow.segmentation.training.checkpoints import LAST, check_identity, read_checkpoint
from segflow.segmentation.training.chips import Sample
from segflow.segmentation.training.loop import Logs, train_network
from segflow.segmentation.training.prediction import label_scene, labelled_crops, scene_pieces
from segflow.segmentation.training.rounding import measure_bfloat16_changes
from segflow.segmentation.training.tile_differences import measure_bounded
from segflow.tiling import NODATA

Resume = bool | Literal["if-same"]


def train_model(settings: TrainSettings, progress: Progress | None = None, *, resume: Resume = False) -> Path:
    """Train a model, score it on the test scenes and write it as one file.

    During training the best model so far lies at `settings.out`. The test scenes are read when
    training has ended, so they cannot influence any choice.

    Parameters
    ----------
    settings
        Scenes, labels, classes, network, schedule and the file to write.
    progress
        Where progress is reported.
    resume
        Whether to resume from the last checkpoint in the log folder; without one, training starts from the beginning.
        ``if-same``: resume only where settings and scenes are those that it was begun with; otherwise start.

    Returns
    -------
    Path
        The model file.

    Raises
    ------
    SegflowError
        If scenes or labels do not fit, training diverges, a resumed training has other settings
        or scenes, or a file cannot be written.
    """
    progress = progress or Silence()
    tune_malloc()
    plan = plan_split(settings)
    for note in (*plan.notes, plan.describe()):
        progress.note(note)
    beginning = begin_network(settings, progress)
    reach = beginning.probe.dependency
    training = read_samples(plan, "training", settings, dependency=reach)
    validation = read_samples(plan, "validation", settings, dependency=reach)
    untrained = copy.deepcopy(beginning.network) if settings.refit else None  # what a refit starts from
    spec = describe_model(settings, beginning, training, validation if settings.refit else (), encoding=plan.encoding)
    for name in find_unseen(settings, training):
        progress.note(f"warning: no training scene has a pixel of {name}: the model will not find it")
    progress.note(f"{spec.name}: stride {spec.stride} px, margin {spec.margin} px, {spec.guarantee}")
    identity = identify(settings, beginning, [*training, *validation])
    best, resumed = _train(
        settings,
        beginning.network,
        spec,
        (training, validation),
        progress,
        resume=resume,
        identity=identity,
        notes=plan.notes,
    )
    if settings.half_weights:
        round_kernels(best)
    if settings.fit_temperature:
        spec = replace(spec, temperature=_fit_temperature(best, spec, validation))
    metrics = {"validation": score_samples(best, validation, spec)}
    final = best
    if untrained is not None:
        final = refit_model(
            settings, untrained, spec, [*training, *validation], progress, resume=resumed, identity=identity
        )
    changes = measure_bfloat16_changes(final, spec, labelled_crops(validation, spec.stride))
    spec = measure_bounded(
        replace(spec, bfloat16_changes=round(changes, 6)), final, labelled_crops(validation, spec.stride), "validation"
    )
    if spec.guarantee == "bounded":
        progress.note(describe_guarantee(spec))
    test = read_samples(plan, "test", settings, dependency=reach)
    metrics["test"] = score_samples(final, test, spec)
    progress.note(f"test: {metrics['test']['summary']}")
    path = _write(settings, spec, final, metrics)
    _end_log(settings.log_folder, path, metrics["test"])
    page = write_training_report(
        settings.log_folder,
        spec=replace(spec, metrics=metrics),
        samples=validation,
        predict=lambda sample: label_scene(best, sample, bands=spec.bands, stride=spec.stride, margin=spec.margin),
    )
    progress.note(f"report: {page}")
    return path


def _fit_temperature(network: Network, spec: ModelSpec, validation: Sequence[Sample]) -> float:
    pieces = list(scene_pieces(network, validation, bands=spec.bands, stride=spec.stride, margin=spec.margin))
    labels = [np.where(piece.valid, piece.labels, np.uint8(NODATA)) for _, piece in pieces]
    return fit_temperature([logits for logits, _ in pieces], labels)


def _train(
    settings: TrainSettings,
    network: Network,
    spec: ModelSpec,
    parts: tuple[Sequence[Sample], Sequence[Sample]],
    progress: Progress,
    *,
    identity: Mapping[str, object],
    notes: Sequence[str],
    resume: Resume,
) -> tuple[Network, bool]:
    """Train, with a log and checkpoints in the log folder; give the best network, and whether training was resumed."""
    folder, recipe = settings.log_folder, make_recipe(settings)
    resumed = bool(resume) and (folder / LAST).is_file()
    if resumed and resume == "if-same":
        resumed = _is_same(folder / LAST, identity, progress)
    log = TrainingLog(folder) if resumed else TrainingLog.begin(folder)
    if resume is True and not resumed:
        progress.note(f"nothing to resume in {folder}: starts anew")
    watch = TrainingWatch(
        spec,
        log,
        progress,
        lambda best, scores: _write(settings, spec, best, {"validation": summarise(scores, spec)}),
    )
    if not resumed:
        watch.begin(settings.epochs, recipe.steps, notes)
    with stage(progress, "training", settings.epochs, "epochs"):
        best = train_network(
            network,
            *parts,
            task=make_task(spec),
            recipe=recipe,
            logs=Logs(folder=folder, identity=identity, replace=replace_file, spec=spec.to_json(), resume=resumed),
            observer=watch,
        )
    return best, resumed


def _is_same(checkpoint: Path, identity: Mapping[str, object], progress: Progress) -> bool:
    """Tell whether training can resume from a checkpoint."""
    try:
        check_identity(read_checkpoint(checkpoint)["identity"], identity, checkpoint)
    except TrainingError as error:
        progress.note(f"training starts anew: {error}")
        return False
    return True


def _write(
    settings: TrainSettings, spec: ModelSpec, network: Network, metrics: Mapping[str, Mapping[str, object]]
) -> Path:
    path = Path(settings.out)
    write_model_file(path, replace(spec, metrics=metrics).to_json(), pack_weights(network, half=settings.half_weights))
    return path


def _end_log(folder: Path, model: Path, test: Mapping[str, object]) -> None:
    """Write the last line of the log, unless it is there already."""
    events = read_training_log(folder)
    best = [event["epoch"] for event in events if event["event"] == "epoch" and event["best"]]
    if not any(event["event"] == "end" for event in events):
        TrainingLog(folder).write("end", model=str(model), best_epoch=best[-1] if best else None, test=test)
