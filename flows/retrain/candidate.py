"""The first half of a retraining: a new model on the shelf, trained on all labels that there are."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from segflow.configs.retrain import RetrainSettings
from segflow.configs.training import TrainSettings
from segflow.configs.training_files import load_training
from segflow.errors import SettingsError
from segflow.flows.access import training_access
from segflow.flows.models.lookup import find_model
from segflow.flows.progress import Progress, Silence
from segflow.flows.retrain.comparison import check_comparable
from segflow.flows.retrain.kept_out import LabelledContent, digest_training, known_parts, plan_kept_out
from segflow.flows.train.new_model import FREE
from segflow.flows.train.splitting import SplitPlan
from segflow.flows.train.train import train_model
from segflow.io.models.shelf import Entry, ModelShelf
from segflow.io.scene.scenes import describe_scene
from segflow.io.storage.files import remove_file
from segflow.io.work.training_log import REFIT
from segflow.segmentation.training.checkpoints import BEST, LAST

_CANDIDATE, _TRAINING = "candidate.safetensors", "training"  # file and folder of one training
_DIGITS = 16  # of a key


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model that was trained, on the shelf, and what is needed to compare it.

    Attributes
    ----------
    key
        Of the scenes, labels and settings.
    name
        Of its file on the shelf.
    settings, plan
        Of its training; the scenes for tests are kept out of every model on the shelf.
    report
        Page with the curves of its training and its worst mistakes.
    trained
        Whether it was trained now, not before.
    """

    key: str
    name: str
    settings: TrainSettings
    plan: SplitPlan
    report: Path
    trained: bool


def train_candidate(settings: RetrainSettings, progress: Progress | None = None) -> Candidate:
    """Train a model for the shelf, or find that it was trained before.

    Raises
    ------
    SegflowError
        If the model could not be compared with the one in use, or training fails.
    """
    progress = progress or Silence()
    asked = load_training(settings.training, settings.assign)
    named = asked.start or asked.weights
    if named is not None and settings.from_current:
        msg = f"{settings.training} starts from {named}, so it cannot start from the model in use: drop one of both"
        raise SettingsError(msg)
    with ModelShelf.open(Path(settings.shelf)) as shelf:
        _adopt_base(shelf, settings.base, progress)
        entries = shelf.entries()
        chosen, plan, content = plan_kept_out(asked, known_parts(entries), least=settings.rule.least_scenes)
        if shelf.in_use is not None:
            used = find_model(str(shelf.current)).spec
            for path in plan.scenes.values():
                check_comparable(used, chosen, _dtype_of(path, plan, chosen))
        key = _key(chosen, settings, content)
        before = last_entry(entries, "trained", key)
        start = shelf.in_use if settings.from_current else None
        work = before["work"] if before is not None else key if start is None else f"{key}-{start[:8]}"
        chosen = _in_place(chosen, shelf.work(work), key)
        name = before["model"] if before is not None else None
        if name is None:
            begun = chosen if start is None else replace(chosen, start=str(shelf.path(start)))
            name = _train(shelf, begun, progress)
            shelf.record("trained", {"key": key, "model": name, "work": work, "scenes": _parts(plan, content)})
        report = chosen.log_folder / "training.html"
        return Candidate(key=key, name=name, settings=chosen, plan=plan, report=report, trained=before is None)


def clear_training(candidate: Candidate) -> None:
    """Remove the checkpoints of a training; its log and its page stay.

    Raises
    ------
    OutputError
        If that cannot be done.
    """
    for file in (
        _CANDIDATE,
        f"{_TRAINING}/{BEST}",
        f"{_TRAINING}/{LAST}",
        *(f"{_TRAINING}/{REFIT}/{name}" for name in (BEST, LAST)),
    ):
        remove_file(candidate.settings.log_folder.parent / file)


def last_entry(entries: Sequence[Entry], event: str, key: str) -> Entry | None:
    """Give the last line of a ledger of one event for one training; None where there is none."""
    return next((entry for entry in reversed(entries) if entry["event"] == event and entry["key"] == key), None)


def _adopt_base(shelf: ModelShelf, base: str | None, progress: Progress) -> None:
    """Put the model that is in use at first onto an empty shelf."""
    if base is None or shelf.in_use is not None:
        return
    model = find_model(base)
    name = shelf.place(Path(model.path))
    shelf.record("adopted", {"in_use": name, "before": None, "name": model.spec.name, "version": model.spec.version})
    progress.note(f"{model.spec.name} {model.spec.version} is in use at first")


def _key(chosen: TrainSettings, settings: RetrainSettings, content: Mapping[str, LabelledContent]) -> str:
    """Give the key of a training; of the model in use it says only whether training starts from it."""
    start = find_model(chosen.start).digest if chosen.start is not None else None
    told = replace(chosen, start=start or ("current" if settings.from_current else None))
    return digest_training(told, content, FREE)[:_DIGITS]


def _in_place(settings: TrainSettings, work: Path, key: str) -> TrainSettings:
    """Give the settings of a training on the shelf, under a version that no other model on the shelf has."""
    version = f"{settings.version}+{key[:8]}"
    return replace(settings, out=str(work / _CANDIDATE), logs=str(work / _TRAINING), version=version)


def _train(shelf: ModelShelf, settings: TrainSettings, progress: Progress) -> str:
    """Train, or resume a training that was stopped, put the model onto the shelf and give its name there."""
    return shelf.place(train_model(settings, progress, resume="if-same"))


def _parts(plan: SplitPlan, content: Mapping[str, LabelledContent]) -> dict[str, dict[str, str]]:
    """Give what each scene holds and the one part that it serves."""
    return {name: {**asdict(content[name]), "part": next(iter(plan.parts[name]))} for name in plan.scenes}


def _dtype_of(path: Path, plan: SplitPlan, settings: TrainSettings) -> str:
    """Give the type of the pixels that a scene has in training."""
    if plan.encoding is not None:
        return plan.encoding.dtype
    return describe_scene(path, training_access(settings)).dtype
