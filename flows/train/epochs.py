"""Observers of a training: they write its log, move its progress bar and keep the best model so far as a file."""

from collections.abc import Callable, Sequence
from typing import Any

from segflow.flows.progress import Progress
from segflow.flows.train.scoring import rounded
from segflow.io.work.training_log import TrainingLog
from segflow.segmentation.networks.registry import Network
from segflow.segmentation.scores.metrics import Scores
from segflow.segmentation.spec import ModelSpec
from segflow.segmentation.training.recipe import Epoch

_STEPS = 10  # between two lines of the log


class TrainingWatch:
    """Logs every step and epoch, and writes the best model so far.

    Parameters
    ----------
    spec
        The model's spec.
    log, progress
        Where it is told.
    keep
        Called with the network and scores of an epoch that is the best so far.
    """

    def __init__(
        self, spec: ModelSpec, log: TrainingLog, progress: Progress, keep: Callable[[Network, Scores], object]
    ) -> None:
        self._spec, self._log, self._progress, self._keep = spec, log, progress, keep

    def begin(self, epochs: int, steps: int, notes: Sequence[str]) -> None:
        """Write the first line of a new log: the model, and notes on its labels."""
        self._log.write(
            "start",
            name=self._spec.name,
            architecture=self._spec.architecture,
            epochs=epochs,
            steps_per_epoch=steps,
            classes=[entry.name for entry in self._spec.classes],
            colours=[entry.colour for entry in self._spec.classes],
            notes=list(notes),
        )

    def resume(self, epoch: int) -> None:
        """Cut the log and the progress back to the checkpoint that training resumes from."""
        self._log.rewind(epoch)
        self._progress.advance(epoch)
        self._progress.note(f"resumes after epoch {epoch}")

    def step(self, number: int, loss: float) -> None:
        """Log every tenth step."""
        if number % _STEPS == 0:
            self._log.write("step", step=number, loss=loss)

    def epoch(self, epoch: Epoch, network: Network) -> None:
        """Log an epoch; keep its network if it is the best so far."""
        self._log.write(
            "epoch",
            epoch=epoch.number,
            loss=epoch.loss,
            learning_rate=epoch.learning_rate,
            seconds=round(epoch.seconds, 3),
            scores=_as_log(epoch.scores),
            best=epoch.best,
        )
        if epoch.best:
            self._keep(network, epoch.scores)
        self._progress.note(
            f"epoch {epoch.number}: loss {epoch.loss:.4f}, validation mean IoU {epoch.scores.mean_iou:.4f}"
            f"{' (best)' if epoch.best else ''}"
        )
        self._progress.advance(1)


class RefitWatch:
    """Shows the steps of a refit, which has no validation scenes.

    Parameters
    ----------
    progress
        Where it is told.
    steps
        Steps of an epoch.
    """

    def __init__(self, progress: Progress, steps: int) -> None:
        self._progress, self._steps = progress, steps

    def resume(self, epoch: int) -> None:
        """Set the progress bar to the checkpoint that the refit resumes from."""
        self._progress.advance(epoch * self._steps)
        self._progress.note(f"refit: resumes after epoch {epoch}")

    def step(self, number: int, loss: float) -> None:  # noqa: ARG002  # an observer's
        """Advance the progress bar by a step."""
        self._progress.advance(1)

    def epoch(self, epoch: Epoch, network: Network) -> None:
        """Do nothing: a refit has no scores."""


def _as_log(scores: Scores) -> dict[str, Any]:
    return {
        "mean_iou": rounded(scores.mean_iou),
        "pixel_accuracy": rounded(scores.pixel_accuracy),
        "iou": [rounded(value) for value in scores.iou],
        "f1": [rounded(value) for value in scores.f1],
    }
