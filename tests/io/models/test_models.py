"""Model files: what goes in comes out, equal inputs give equal bytes, and nothing else passes for a model."""

import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from segflow.errors import ModelError, OutputError
from segflow.io.models.packages import model_digest, read_model_file, read_model_spec, write_model_file

ARRAYS = {"b.weight": np.arange(12, dtype=np.float32).reshape(3, 4), "a.bias": np.ones(3, np.float32)}
SPEC = json.dumps({"name": "wälder", "format": 1})


def test_spec_and_weights_come_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "m.safetensors"
    write_model_file(path, SPEC, ARRAYS)
    spec, arrays = read_model_file(path)

    assert spec == read_model_spec(path) == SPEC
    assert arrays.keys() == ARRAYS.keys()
    assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
    assert list(path.parent.iterdir()) == [path]


def test_equal_models_are_equal_bytes(tmp_path: Path) -> None:
    write_model_file(tmp_path / "1", SPEC, ARRAYS)
    write_model_file(tmp_path / "2", SPEC, dict(reversed(ARRAYS.items())))
    write_model_file(tmp_path / "3", SPEC, {**ARRAYS, "a.bias": np.zeros(3, np.float32)})

    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert model_digest(tmp_path / "1") == model_digest(tmp_path / "2") != model_digest(tmp_path / "3")


def test_a_changed_file_is_told_by_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write_model_file(path, SPEC, ARRAYS)
    digest = model_digest(path)

    assert model_digest(path, expected=digest) == digest
    with path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelError, match="start the run again"):
        model_digest(path, expected=digest)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no safetensors file"),
        (b"not a model at all", "no safetensors file"),
        (pickle.dumps({"weight": 1}), "pickled checkpoint"),
        (b"PK\x03\x04" + bytes(64), "pickled checkpoint"),
        (struct.pack("<Q", 2**40), "no safetensors file"),
        (struct.pack("<Q", 8) + b"{broken!", "damaged header"),
        (struct.pack("<Q", 2) + b"[]", "without a segflow spec"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)

    for read in (read_model_spec, read_model_file):
        with pytest.raises(ModelError, match=says) as caught:
            read(path)

        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_safetensors_without_a_spec_are_refused(tmp_path: Path) -> None:
    save_file(ARRAYS, tmp_path / "m.safetensors")

    with pytest.raises(ModelError, match="package it with `segflow model import`"):
        read_model_spec(tmp_path / "m.safetensors")


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.99])
def test_a_file_cut_short_is_refused(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "m.safetensors"
    write_model_file(path, SPEC, ARRAYS)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])

    with pytest.raises(ModelError):
        read_model_file(path)


def test_a_missing_model(tmp_path: Path) -> None:
    for read in (read_model_spec, read_model_file, model_digest):
        with pytest.raises(ModelError, match="check the path"):
            read(tmp_path / "none.safetensors")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_model_file(tmp_path / "file" / "m.safetensors", SPEC, ARRAYS)


def test_float16_stays_and_all_else_becomes_float32(tmp_path):
    arrays = {"kernel": np.ones((2, 3), np.float16), "scale": np.ones(3), "bias": np.ones(3, np.float32)}
    write_model_file(tmp_path / "m.safetensors", SPEC, arrays)
    _, found = read_model_file(tmp_path / "m.safetensors")

    assert {name: array.dtype for name, array in found.items()} == {
        "kernel": np.float16,
        "scale": np.float32,
        "bias": np.float32,
    }
