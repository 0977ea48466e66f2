"""The engine for ONNX graphs: onnxruntime computes, and what is asked of every engine is made of its output.

A model file of such a graph holds its bytes as one array, and in its spec, under `arguments`, what its output means.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from segflow.errors import ModelError, SettingsError
from segflow.segmentation.predict.engines import Precision, Prediction
from segflow.segmentation.predict.onnx_graphs import OnnxGraph
from segflow.segmentation.spec import ModelSpec
from segflow.tiling import NODATA

Output = Literal["logits", "probabilities"]

GRAPH = "graph"  # name of the array with the bytes
_BINARY = 0.5  # probability from which a pixel is of the class, where nothing else is said
_CONFIDENCE_SCALE = 100  # as of the other engines
_PROBABILITY_SCALE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxArguments:
    """What a graph does not say of itself: the `arguments` of a spec whose architecture is ``onnx``.

    Attributes
    ----------
    output
        What it gives: ``logits``, which become probabilities by a softmax, or by a sigmoid where it has one channel;
        or ``probabilities``. None: told by the graph when it is imported.
    threshold
        Least probability of a class: of a graph with one channel, of the second class (None: 0.5); of others, a pixel
        whose classes are all below it is of the first class (None: the most probable class, however unsure).
    layout
        Order of the input's axes: ``nchw`` or ``nhwc``. None: told by its shape.
    fill
        What the graph gets for pixels that are not valid, scaled, a number per band; empty: 0.
    """

    output: Output | None = None
    threshold: float | None = None
    layout: str | None = None
    fill: tuple[float, ...] = ()

    @classmethod
    def of(cls, spec: ModelSpec) -> Self:
        """Read them from a spec.

        Raises
        ------
        ModelError
            If one is unknown or out of range.
        """
        try:
            threshold = spec.arguments.get("threshold")
            threshold = None if threshold is None else float(threshold)
            given = cls(
                **{
                    **spec.arguments,
                    "threshold": threshold,
                    "fill": tuple(float(value) for value in spec.arguments.get("fill") or ()),
                }
            )
        except (TypeError, ValueError) as error:
            msg = f"model {spec.name}: arguments {dict(spec.arguments)} are not those of an ONNX graph ({error})"
            raise ModelError(msg) from error
        wrong = (
            (given.output not in {None, *get_args(Output)}, f"output {given.output!r}", "logits or probabilities"),
            (
                threshold is not None and not 0 <= threshold <= 1,
                f"threshold {threshold!r}",
                "a number from 0 to 1",
            ),
            (len(given.fill) not in {0, len(spec.bands)}, f"fill {given.fill}", "a number per band"),
        )
        for problem, found, needed in wrong:
            if problem:
                msg = f"model {spec.name}: {found} is not for an ONNX graph: needs {needed}"
                raise ModelError(msg)
        return given


class OnnxEngine:
    """An ONNX graph on a device, ready to predict; see `segflow.segmentation.predict.engines.Engine`.

    Parameters
    ----------
    spec, weights
        What the model file holds.
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``; ``auto`` is the CPU where onnxruntime knows no CUDA.
    precision
        ``auto`` or ``float32``.
    threads
        Threads of the CPU; None: as many as torch has.
    probabilities
        Whether predictions hold the probability of every class.

    Raises
    ------
    SettingsError
        If the device is not there, or another precision is asked for.
    ModelError
        If the graph is refused, or is not the one that the spec describes.
    """

    def __init__(
        self,
        spec: ModelSpec,
        weights: Mapping[str, npt.NDArray[Any]],
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        probabilities: bool = False,
    ) -> None:
        if precision not in {"auto", "float32"}:
            msg = f"precision {precision!r} is not for model {spec.name}, an ONNX graph: choose auto or float32"
            raise SettingsError(msg)
        source = f"model {spec.name}"
        if set(weights) != {GRAPH} or weights[GRAPH].dtype != np.uint8 or weights[GRAPH].ndim != 1:
            msg = f"{source} holds no ONNX graph, though it says so: import it again with `segflow model import`"
            raise ModelError(msg)
        self.precision: Precision = "float32"
        self.classes = len(spec.classes)
        self.probabilities = probabilities
        self.preferred_batch = 1
        self._spec = spec
        self._arguments = OnnxArguments.of(spec)
        self._seconds = 0.0
        self._graph = OnnxGraph(
            weights[GRAPH].tobytes(),
            source=source,
            bands=len(spec.bands),
            layout=self._arguments.layout,
            device=device,
            threads=threads,
        )
        check_graph(self._graph, spec)
        self._mean = np.array([band.mean for band in spec.bands], np.float32)[:, None, None]
        self._std = np.array([band.std for band in spec.bands], np.float32)[:, None, None]
        self._fill = np.array(self._arguments.fill or [0.0] * len(spec.bands), np.float32)

    @property
    def seconds(self) -> float:
        """Time spent inside the network so far [s]."""
        return self._seconds

    def predict(self, pixels: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> Prediction:
        """Map a batch of tiles; see `Engine.predict`."""
        scaled = (pixels.astype(np.float32) - self._mean) / self._std
        inputs = np.where(valid[:, None], scaled, self._fill[:, None, None])
        shares = self.shares(inputs)
        labels = self._label(shares)
        winning = np.take_along_axis(shares, labels[:, None].astype(np.intp), 1)[:, 0]
        layers = [labels, _scaled(winning, _CONFIDENCE_SCALE)]
        hidden = [np.where(valid, layer, np.uint8(NODATA)) for layer in layers]
        every = (
            np.where(valid[:, None], _scaled(shares, _PROBABILITY_SCALE), np.uint8(NODATA))
            if self.probabilities
            else None
        )
        return Prediction(labels=hidden[0], confidence=hidden[1], probabilities=every)

    def shares(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Give the (n, classes, height, width) probabilities of (n, bands, height, width) scaled pixels."""
        started = time.perf_counter()
        margin = -(-self._spec.margin // self._spec.stride) * self._spec.stride
        raw = self._graph.run(inputs, margin=margin, fill=self._fill)
        self._seconds += time.perf_counter() - started
        if self._arguments.output == "logits":
            return probabilities_of(raw / np.float32(self._spec.temperature))
        raw = raw.clip(0, 1)
        return np.concatenate([1 - raw, raw], axis=1) if raw.shape[1] == 1 else raw

    def _label(self, shares: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        threshold = self._arguments.threshold
        if self._graph.interface.channels == 1:
            return (shares[:, 1] >= (_BINARY if threshold is None else threshold)).astype(np.uint8)
        labels = shares.argmax(1).astype(np.uint8)
        return labels if threshold is None else np.where(shares.max(1) < threshold, np.uint8(0), labels)


def check_graph(graph: OnnxGraph, spec: ModelSpec) -> None:
    """Check that a graph is the one that a spec describes.

    Raises
    ------
    ModelError
        If its channels are not the spec's classes, its size is another, or its input takes whole numbers
        and the spec scales them.
    """
    takes = graph.interface
    classes = max(2, takes.channels)
    if len(spec.classes) != classes:
        msg = (
            f"model {spec.name}: its graph gives {takes.channels} channel(s), so {classes} classes, "
            f"but {len(spec.classes)} are named: name each of them"
        )
        raise ModelError(msg)
    if takes.size != spec.input_size:
        msg = f"model {spec.name}: its graph takes {takes.size} px, not {spec.input_size} px: import it again"
        raise ModelError(msg)
    if takes.dtype is np.uint8 and (spec.dtype != "uint8" or any((b.mean, b.std) != (0, 1) for b in spec.bands)):
        msg = f"model {spec.name}: its graph takes uint8 pixels as they are: needs dtype uint8, mean 0 and std 1"
        raise ModelError(msg)


def probabilities_of(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Give the probabilities of (n, channels, height, width) logits: by softmax, or of one channel by sigmoid."""
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    raised = np.exp(logits - logits.max(1, keepdims=True))
    shares: npt.NDArray[np.float32] = raised / raised.sum(1, keepdims=True)
    return shares


def _scaled(shares: npt.NDArray[np.float32], scale: int) -> npt.NDArray[np.uint8]:
    return np.rint(shares * scale).astype(np.uint8)
