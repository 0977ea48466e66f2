"""Out of memory halves the batch and leaves the answer as it was."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segflow.errors import TileError
from segflow.segmentation.predict.batches import predict_fitting
from segflow.segmentation.predict.engines import Prediction


class SmallEngine:
    """Answers its pixels, as long as no more than `room` tiles come at once."""

    def __init__(self, room: int, error: Exception | None = None) -> None:
        self.preferred_batch = 64
        self.room = room
        self.error = error or torch.OutOfMemoryError("CUDA out of memory")
        self.sizes: list[int] = []

    def predict(self, pixels: np.ndarray, valid: np.ndarray) -> Prediction:
        self.sizes.append(len(pixels))
        if len(pixels) > self.room:
            raise self.error
        return Prediction(
            labels=np.where(valid, pixels[:, 0], 255),
            confidence=np.where(valid, pixels[:, 1], 255),
            probabilities=pixels,
        )


def tiles(count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(count)
    return random.integers(0, 254, (count, 2, 3, 4), dtype=np.uint8), random.random((count, 3, 4)) < 0.8


@given(st.integers(1, 33), st.integers(1, 40))
def test_the_answer_does_not_depend_on_the_room_there_is(count: int, room: int) -> None:
    pixels, valid = tiles(count)
    found = predict_fitting(SmallEngine(room), pixels, valid)

    assert np.array_equal(found.labels, np.where(valid, pixels[:, 0], 255))
    assert np.array_equal(found.confidence, np.where(valid, pixels[:, 1], 255))
    assert np.array_equal(found.probabilities, pixels)


def test_it_halves_and_remembers_what_fitted() -> None:
    engine = SmallEngine(room=3)
    predict_fitting(engine, *tiles(8))

    assert engine.sizes == [8, 4, 2, 2, 2, 2]
    assert engine.preferred_batch == 2


def test_what_fits_is_predicted_once() -> None:
    engine = SmallEngine(room=8)
    predict_fitting(engine, *tiles(8))

    assert engine.sizes == [8]
    assert engine.preferred_batch == 64


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")],
)
def test_every_kind_of_out_of_memory_is_known(error: Exception) -> None:
    pixels, valid = tiles(4)

    assert np.array_equal(predict_fitting(SmallEngine(1, error), pixels, valid).probabilities, pixels)


def test_one_tile_that_does_not_fit() -> None:
    with pytest.raises(TileError, match="3 × 4 px does not fit into memory: choose a smaller --tile"):
        predict_fitting(SmallEngine(room=0), *tiles(2))


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="wrong shape"):
        predict_fitting(SmallEngine(0, RuntimeError("wrong shape")), *tiles(2))
