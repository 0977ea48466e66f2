"""Model files: weights and a spec in one `.safetensors`; nothing in them is ever executed."""

import hashlib
import json
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from segflow.errors import ModelError, OutputError
from segflow.io.storage.files import replace_file

Arrays = dict[str, npt.NDArray[Any]]

_KEY = "segflow"  # of the spec in the header's metadata
_MAX_HEADER = 16 * 2**20  # bytes; a header with thousands of weights has some 100 kB
_KEPT = (np.dtype(np.float16), np.dtype(np.uint8))  # types that are written as they are
_PICKLES = (b"\x80", b"PK\x03\x04")  # a bare pickle, and the zip that torch.save writes


def read_model_spec(path: str | os.PathLike[str]) -> str:
    """Give the JSON of the spec in a model file, from its header alone.

    Raises
    ------
    ModelError
        If the file is missing, damaged, no safetensors file, or carries no spec.
    """
    try:
        with Path(path).open("rb") as file:
            return _spec_of(path, file.read(8), file.read)
    except OSError as error:
        msg = f"model {path} cannot be read ({error.strerror}): check the path"
        raise ModelError(msg) from error


def read_model_file(path: str | os.PathLike[str]) -> tuple[str, Arrays]:
    """Give the JSON of the spec and the weights by name.

    Raises
    ------
    ModelError
        If the file is missing, damaged, no safetensors file, or carries no spec.
    """
    spec = read_model_spec(path)
    try:
        arrays = load(Path(path).read_bytes())
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        msg = f"model {path} is damaged ({error}): copy or package it again"
        raise ModelError(msg) from error
    return spec, arrays


def write_model_file(path: str | os.PathLike[str], spec_json: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write a model file; equal inputs give equal bytes, and `path` is whole or untouched.

    Arrays are written as float32; those that are float16 stay so, and so do bytes (uint8).

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    ordered = {
        name: np.ascontiguousarray(array, array.dtype if array.dtype in _KEPT else np.float32)
        for name, array in sorted(arrays.items())
    }
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"model {path} cannot be written ({error.strerror}): choose another place"
        raise OutputError(msg) from error
    with replace_file(path) as temporary:
        temporary.write_bytes(save(ordered, {_KEY: spec_json}))


def model_digest(path: str | os.PathLike[str], *, expected: str | None = None) -> str:
    """Give ``sha256:…`` of a model file's bytes.

    Raises
    ------
    ModelError
        If the file cannot be read, or its digest is not the `expected` one.
    """
    try:
        with Path(path).open("rb") as file:
            found = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        msg = f"model {path} cannot be read ({error.strerror}): check the path"
        raise ModelError(msg) from error
    if expected not in {None, found}:
        msg = f"model {path} has digest {found}, but {expected} is needed: the file was changed, start the run again"
        raise ModelError(msg)
    return found


def _spec_of(path: str | os.PathLike[str], start: bytes, read: Callable[[int], bytes]) -> str:
    """Give the spec in the header that `start`, its length, announces."""
    length = struct.unpack("<Q", start)[0] if len(start) == struct.calcsize("<Q") else 0
    if not 0 < length <= _MAX_HEADER:
        if start.startswith(_PICKLES):
            msg = (
                f"model {path} is a pickled checkpoint, which can run code: convert it once with `segflow model import`"
            )
            raise ModelError(msg)
        msg = f"model {path} is no safetensors file: give a .safetensors file that segflow wrote"
        raise ModelError(msg)
    try:
        header = json.loads(read(length))
    except ValueError as error:
        msg = f"model {path} has a damaged header: copy or package it again"
        raise ModelError(msg) from error
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or _KEY not in metadata:
        msg = f"model {path} is a safetensors file without a segflow spec: package it with `segflow model import`"
        raise ModelError(msg)
    return str(metadata[_KEY])
