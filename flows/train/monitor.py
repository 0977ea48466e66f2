"""The state of a training, read from its log while it is written: what `segflow monitor` shows."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from segflow.errors import SettingsError
from segflow.io.work.training_log import FILE, read_training_log

_PATTERNS = (FILE, f"*/{FILE}", f"*/*/{FILE}")  # where logs lie below a project's folder
_PREVIOUS = "previous"  # folder of what a training that started anew left behind
_SILENCE = 120.0  # s without a line before a training may have stopped
_LONG = 3.0  # times the length of an epoch, for trainings with long ones


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochLine:
    """One epoch as the log has it; scores are None where they are not known.

    Attributes
    ----------
    number
        From 1.
    loss, learning_rate, seconds
        Mean of the loss, learning rate at its end, and what it took [s].
    mean_iou, pixel_accuracy
        On the validation scenes.
    iou, f1
        The same by class.
    best
        Whether its mean IoU was the best so far.
    """

    number: int
    loss: float
    learning_rate: float
    seconds: float
    mean_iou: float | None
    pixel_accuracy: float | None
    iou: tuple[float | None, ...]
    f1: tuple[float | None, ...]
    best: bool

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Self:
        """Read an ``epoch`` event."""
        scores = event.get("scores") or {}
        return cls(
            number=int(event["epoch"]),
            loss=float(event["loss"]),
            learning_rate=float(event["learning_rate"]),
            seconds=float(event["seconds"]),
            mean_iou=scores.get("mean_iou"),
            pixel_accuracy=scores.get("pixel_accuracy"),
            iou=tuple(scores.get("iou") or ()),
            f1=tuple(scores.get("f1") or ()),
            best=bool(event.get("best")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState:
    """The state of a training according to its log.

    Attributes
    ----------
    folder
        Where the log lies.
    name, architecture, classes, colours
        Of the model; empty until training has begun.
    planned, steps_per_epoch
        Epochs that are planned at most, and steps of the optimiser in each.
    steps
        (step, loss) of every logged step.
    epochs
        The epochs that are done.
    model
        The file that was written at the end; None during training.
    test
        Scores on the test scenes, once training has ended.
    silence
        How long ago the log was written to [s].
    """

    folder: str
    name: str = ""
    architecture: str = ""
    classes: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    planned: int = 0
    steps_per_epoch: int = 0
    steps: tuple[tuple[int, float], ...] = ()
    epochs: tuple[EpochLine, ...] = ()
    model: str | None = None
    test: Mapping[str, Any] | None = None
    silence: float = 0.0

    @classmethod
    def of(cls, folder: Path, events: Sequence[Mapping[str, Any]], silence: float = 0.0) -> Self:
        """Read the events of a log; unknown ones are ignored."""
        kinds: dict[str, list[Mapping[str, Any]]] = {"start": [], "step": [], "epoch": [], "end": []}
        for event in events:
            kinds.get(str(event.get("event")), []).append(event)
        start, end = (kinds[name][-1] if kinds[name] else {} for name in ("start", "end"))
        return cls(
            folder=str(folder),
            name=start.get("name", ""),
            architecture=start.get("architecture", ""),
            classes=tuple(start.get("classes", ())),
            colours=tuple(start.get("colours", ())),
            planned=int(start.get("epochs", 0)),
            steps_per_epoch=int(start.get("steps_per_epoch", 0)),
            steps=tuple((int(event["step"]), float(event["loss"])) for event in kinds["step"]),
            epochs=tuple(map(EpochLine.of, kinds["epoch"])),
            model=end.get("model"),
            test=end.get("test"),
            silence=silence,
        )

    @property
    def ended(self) -> bool:
        """Whether the model is written."""
        return self.model is not None

    @property
    def step(self) -> int:
        """Steps that are known to be done."""
        logged = self.steps[-1][0] if self.steps else 0
        return max(logged, self.epochs[-1].number * self.steps_per_epoch if self.epochs else 0)

    @property
    def best(self) -> EpochLine | None:
        """The best epoch so far."""
        return next((epoch for epoch in reversed(self.epochs) if epoch.best), None)

    @property
    def seconds_per_epoch(self) -> float | None:
        """Median length of an epoch [s]; the first one, slower than others, counts for little."""
        known = sorted(epoch.seconds for epoch in self.epochs)
        return known[len(known) // 2] if known else None

    @property
    def rate(self) -> float | None:
        """Steps per second, validation included."""
        seconds = self.seconds_per_epoch
        return self.steps_per_epoch / seconds if seconds else None

    @property
    def seconds_left(self) -> float | None:
        """Time to the last planned epoch [s], which early stopping may spare; None where it is not known."""
        if self.ended or not self.rate:
            return None
        return max(0.0, (self.planned * self.steps_per_epoch - self.step) / self.rate)

    @property
    def stalled(self) -> bool:
        """Whether the log has been silent for so long that training has probably stopped."""
        return not self.ended and self.silence > max(_SILENCE, _LONG * (self.seconds_per_epoch or 0.0))

    def as_dict(self) -> dict[str, Any]:
        """Give all of it for JSON."""
        told = asdict(self)
        best = self.best
        derived = {
            "step": self.step,
            "best_epoch": None if best is None else best.number,
            "seconds_left": self.seconds_left,
            "stalled": self.stalled,
            "ended": self.ended,
        }
        return {**told, **derived}


def find_log(place: Path) -> Path:
    """Give the folder of the newest log at a place.

    Parameters
    ----------
    place
        A folder of logs, a log, a model file, or the folder of a project.

    Raises
    ------
    SettingsError
        If there is none.
    """
    if place.is_file():
        place = place.parent if place.name == FILE else place.with_suffix(".training")
    found = [path for pattern in _PATTERNS for path in place.glob(pattern) if path.parent.name != _PREVIOUS]
    if not found:
        msg = f"{place}: no training log found: start one with segflow train, or name the folder that holds {FILE}"
        raise SettingsError(msg)
    return max(found, key=lambda path: (path.stat().st_mtime, str(path))).parent


def read_state(folder: Path) -> TrainingState:
    """Give the state of the training whose log lies in `folder`; a log that is just being moved counts as empty."""
    try:
        silence = max(0.0, time.time() - (folder / FILE).stat().st_mtime)
    except OSError:
        silence = 0.0
    return TrainingState.of(folder, read_training_log(folder), silence)
