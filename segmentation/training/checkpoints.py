"""Checkpoints: the state from which an interrupted training resumes with the same result.

`last.ckpt` is a whole Lightning checkpoint of the end of the last epoch; `best.ckpt` holds the
weights of the best one. Both hold plain values only and load without pickled code. Each takes the
place of the one before in one step, so a kill leaves one of the two.
"""

import pickle
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint

from segflow.errors import TrainingError
from segflow.segmentation.training.module import AVERAGED, SegmentationModule

LAST, BEST = "last.ckpt", "best.ckpt"
_KEY = "segflow"  # of our part of a checkpoint

Identity = Mapping[str, object]  # what must be equal to resume: settings and data, JSON values
Replace = Callable[[Path], AbstractContextManager[Path]]  # gives a path to write to, whose file then takes the place


class EpochCheckpoint(Checkpoint):
    """Writes both checkpoints when an epoch has ended and the observer has been called.

    Parameters
    ----------
    folder
        Where they lie.
    identity
        Settings and data of the training.
    spec
        The model's spec without scores, as JSON, for those who look at a checkpoint later.
    replace
        Puts a file in place once it is whole.
    """

    def __init__(self, folder: Path, identity: Identity, spec: str, replace: Replace) -> None:
        self._folder, self._identity, self._spec, self._replace = folder, dict(identity), spec, replace

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the best checkpoint first: `last` names an epoch whose best one is there."""
        if not isinstance(pl_module, SegmentationModule):
            return
        if pl_module.best_epoch == trainer.current_epoch + 1:
            state = {name: t for name, t in pl_module.state_dict().items() if name.startswith(AVERAGED)}
            with self._replace(self._folder / BEST) as path:
                torch.save({"state_dict": state, _KEY: self._own_part(pl_module)}, path)
        with self._replace(self._folder / LAST) as path:
            trainer.save_checkpoint(path)

    def on_save_checkpoint(
        self,
        trainer: pl.Trainer,  # noqa: ARG002  # Lightning's signature
        pl_module: pl.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Add our own part, which Lightning does not know, to a checkpoint."""
        if isinstance(pl_module, SegmentationModule):
            checkpoint[_KEY] = self._own_part(pl_module)

    def on_load_checkpoint(
        self,
        trainer: pl.Trainer,  # noqa: ARG002  # Lightning's signature
        pl_module: pl.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Restore our own part from a checkpoint."""
        if isinstance(pl_module, SegmentationModule):
            pl_module.best_score = checkpoint[_KEY]["best_score"]
            pl_module.best_epoch = checkpoint[_KEY]["best_epoch"]

    def _own_part(self, module: SegmentationModule) -> dict[str, Any]:
        return {
            "epoch": module.current_epoch + 1,
            "best_score": module.best_score,
            "best_epoch": module.best_epoch,
            "biases": module.biases.tolist() if module.recipe.fit_bias else None,
            "identity": self._identity,
            "spec": self._spec,
        }


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Give the state of the module under ``state_dict``, and our own part's entries.

    Raises
    ------
    TrainingError
        If the file is no checkpoint of ours.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch's about strange pickles, which it then refuses
            found = torch.load(path, map_location="cpu", weights_only=True)
        return {"state_dict": found["state_dict"], **found[_KEY]}
    except (OSError, RuntimeError, EOFError, LookupError, TypeError, ValueError, pickle.UnpicklingError) as error:
        problem = " ".join(str(error).split())[:200]
        msg = f"{path} is not a checkpoint of segflow ({problem}): start anew without --resume"
        raise TrainingError(msg) from error


def check_identity(found: Identity, wanted: Identity, path: Path) -> None:
    """Check that a training resumes with the settings and data that it began with.

    Raises
    ------
    TrainingError
        If a setting or the data differ; the message names the first one.
    """
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            msg = (
                f"--resume: {name} was {_short(found.get(name))} when {path.parent} was begun, but is "
                f"{_short(wanted.get(name))}: set it back, or start anew without --resume"
            )
            raise TrainingError(msg)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"  # noqa: PLR2004  # fits a line
