"""The list of engines, and the one that serves a model on a device."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch

from segflow.segmentation.predict.cuda_engine import CudaEngine
from segflow.segmentation.predict.devices import choose_device
from segflow.segmentation.predict.engines import Engine
from segflow.segmentation.predict.onnx_engine import OnnxEngine
from segflow.segmentation.predict.onnx_graphs import onnx_device
from segflow.segmentation.predict.torch_engine import TorchEngine
from segflow.segmentation.predict.weights import restore_network
from segflow.segmentation.spec import ModelSpec

Weights = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKind:
    """An engine that there is.

    Attributes
    ----------
    name
        What it is called.
    serves
        Whether it runs a model on a device, given the model's spec and the type of the device: ``cpu`` or ``cuda``.
    build
        Makes it, given the spec and the weights of a model file, and `device`, `precision`, `threads` and
        `probabilities` as for `open_engine`.
    """

    name: str
    serves: Callable[[ModelSpec, str], bool]
    build: Callable[..., Engine]


def _open_cuda(spec: ModelSpec, weights: Weights, **options: Any) -> Engine:  # noqa: ANN401  # of `open_engine`
    return CudaEngine(restore_network(spec, weights), spec, **options)


def _open_onnx(spec: ModelSpec, weights: Weights, **options: Any) -> Engine:  # noqa: ANN401  # of `open_engine`
    return OnnxEngine(spec, weights, **options)


def _open_torch(spec: ModelSpec, weights: Weights, **options: Any) -> Engine:  # noqa: ANN401  # of `open_engine`
    return TorchEngine(restore_network(spec, weights), spec, **options)


ENGINES = (  # the first that serves a model on a device is used
    EngineKind(name="onnx", serves=lambda spec, _device: spec.is_graph, build=_open_onnx),
    EngineKind(name="cuda", serves=lambda _spec, device: device == "cuda", build=_open_cuda),
    EngineKind(name="torch", serves=lambda _spec, _device: True, build=_open_torch),
)


def device_of(spec: ModelSpec, wanted: str) -> torch.device:
    """Give the device that a model's engine runs on for ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    Raises
    ------
    SettingsError
        If the device is not there, or the model's runtime does not know it.
    ModelError
        If the extra that the model's engine needs is missing.
    """
    return onnx_device(wanted) if spec.is_graph else choose_device(wanted)


def open_engine(
    spec: ModelSpec,
    weights: Weights,
    *,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    probabilities: bool = False,
) -> Engine:
    """Give the engine of a model on a device.

    Parameters
    ----------
    spec, weights
        What the model file holds.
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
    precision
        ``auto``, ``float32``, ``bfloat16`` or ``float16``.
    threads
        Threads of the CPU, for the whole process; None: as many as the engine takes by itself.
    probabilities
        Whether predictions hold the probability of every class.

    Raises
    ------
    SettingsError
        If the device is not there, or the precision is unknown or not for this device.
    ModelError
        If the weights do not fit the network that the spec names.
    """
    kind = choose_device(device).type
    engine = next(engine for engine in ENGINES if engine.serves(spec, kind))
    return engine.build(spec, weights, device=device, precision=precision, threads=threads, probabilities=probabilities)
