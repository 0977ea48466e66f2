"""Batches that fit: out of memory halves the batch and never changes the answer."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from segflow.errors import TileError
from segflow.segmentation.predict.engines import Engine, Prediction

Part = TypeVar("Part")

_CPU_WORDS = ("can't allocate memory", "not enough memory", "out of memory")  # of torch's plain RuntimeErrors


def predict_fitting(engine: Engine, pixels: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> Prediction:
    """Map a batch of tiles in as many parts as fit into memory.

    Where a part does not fit, `engine.preferred_batch` is halved, so that later batches begin with what fitted.

    Parameters
    ----------
    engine
        What predicts.
    pixels, valid
        (n, bands, height, width) pixels and (n, height, width) validity, as for `Engine.predict`.

    Raises
    ------
    TileError
        If even one tile does not fit.
    """
    parts = fitting_parts(
        engine, len(pixels), lambda part: engine.predict(pixels[part], valid[part]), pixels.shape[-2:]
    )
    return parts[0] if len(parts) == 1 else _joined(parts)


def fitting_parts(engine: Engine, count: int, call: Callable[[slice], Part], shape: tuple[int, ...]) -> list[Part]:
    """Call for `count` tiles in as many parts as fit into memory, and give what the calls gave.

    Parameters
    ----------
    engine
        Its `preferred_batch` is halved where a part does not fit.
    count
        Number of tiles.
    call
        Called with the part of the batch that is next.
    shape
        (height, width) of a read, for the message [px].

    Raises
    ------
    TileError
        If even one tile does not fit.
    """
    parts: list[Part] = []
    done, size = 0, count
    while done < count:
        part = slice(done, min(done + size, count))
        try:
            parts.append(call(part))
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            reason = error
        else:
            done += size
            continue
        tiles = part.stop - part.start
        if tiles == 1:
            msg = f"one read of {' × '.join(map(str, shape))} px does not fit into memory: choose a smaller --tile"
            raise TileError(msg) from reason
        size = tiles // 2
        engine.preferred_batch = size
        _release(reason)
    return parts


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return any(word in str(error).lower() for word in _CPU_WORDS)


def _release(error: BaseException) -> None:
    """Let go of what the failed call still holds: its frames, and the GPU's cache."""
    error.__traceback__ = None
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _joined(parts: list[Prediction]) -> Prediction:
    probabilities = [part.probabilities for part in parts if part.probabilities is not None]
    return Prediction(
        labels=np.concatenate([part.labels for part in parts]),
        confidence=np.concatenate([part.confidence for part in parts]),
        probabilities=np.concatenate(probabilities) if probabilities else None,
    )
