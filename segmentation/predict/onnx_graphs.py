"""An ONNX graph that can be run: what it takes and gives, and reads of any size through an input of a fixed one.

A graph whose input has a fixed size sees a larger read through windows of that size. They overlap by twice the
model's margin, and each keeps the pixels that lie at least the margin inside it; so every pixel of a tile's core
has as much around it as the margin says, wherever the windows lie.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch

from segflow.errors import ModelError, SettingsError
from segflow.segmentation.predict.devices import choose_device
from segflow.segmentation.predict.onnx_safety import inspect_graph, missing_extra

Layout = Literal["nchw", "nhwc"]
Array = npt.NDArray[Any]

_MOST_CHANNELS = 32  # of an input whose layout is told by its shape alone
_TRIED = 256  # px; side of the input that a graph of free size is tried with: a multiple of all usual strides
_TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}
_QUIET = 4  # fatal errors alone: others are raised
_CUDA = "CUDAExecutionProvider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """What a graph takes and gives.

    Attributes
    ----------
    dtype
        Type of its input: float32 or uint8.
    layout
        Order of its input's axes.
    bands
        Channels of its input.
    size
        Height and width of its input [px]; None: free.
    output_layout
        Order of its output's axes.
    channels
        Channels of its output.
    """

    dtype: type[np.float32 | np.uint8]
    layout: Layout
    bands: int
    size: int | None
    output_layout: Layout
    channels: int


class OnnxGraph:
    """A graph in onnxruntime.

    Parameters
    ----------
    content
        The bytes of an ONNX file.
    source
        What to call it in messages.
    bands
        Channels of its input; None: as its shape says.
    layout
        Order of its input's axes; None: as its shape says.
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
    threads
        Threads of the CPU; None: as many as torch has.

    Attributes
    ----------
    facts
        What the graph says of itself.
    interface
        What it takes and gives.

    Raises
    ------
    ModelError
        If the graph is refused by `inspect_graph` or by onnxruntime, or is no segmentation of images:
        one input and one output of four axes, with the output at the input's resolution.
    SettingsError
        If the device is not there.
    """

    def __init__(
        self,
        content: bytes,
        *,
        source: str,
        bands: int | None = None,
        layout: str | None = None,
        device: str = "cpu",
        threads: int | None = None,
    ) -> None:
        self._source = source
        self.facts = inspect_graph(content, source)
        self._session = _open_session(content, source, device, threads)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            names = ", ".join(repr(value.name) for value in (*inputs, *outputs))
            msg = f"{source} has {len(inputs)} inputs and {len(outputs)} outputs ({names}): needs one of each"
            raise ModelError(msg)
        self._input = inputs[0].name
        if inputs[0].type not in _TYPES:
            msg = f"{source} takes {inputs[0].type}, but float32 or uint8 pixels are needed: export it so"
            raise ModelError(msg)
        if outputs[0].type != "tensor(float)":
            msg = (
                f"{source} gives {outputs[0].type}, but float32 logits or probabilities are needed: "
                "export it without its argmax"
            )
            raise ModelError(msg)
        self.interface = self._tried(list(inputs[0].shape), _TYPES[inputs[0].type], bands, layout)

    def run(self, inputs: Array, *, margin: int = 0, fill: Array | None = None) -> npt.NDArray[np.float32]:
        """Give the output for reads of any size that the graph's stride divides.

        Parameters
        ----------
        inputs
            (n, bands, height, width) array, scaled.
        margin
            How far inside a window the pixels lie that are kept [px]; for graphs of fixed size.
        fill
            (bands,) values for what lies outside a read that is smaller than the input; None: 0.

        Returns
        -------
        npt.NDArray[np.float32]
            (n, channels, height, width).
        """
        size = self.interface.size
        if size is None:
            return np.concatenate([self._one(image[None]) for image in inputs])
        height, width = inputs.shape[2:]
        whole = _padded(inputs, size, fill)
        out = np.empty((len(inputs), self.interface.channels, *whole.shape[2:]), np.float32)
        step = max(1, size - 2 * margin)
        rows, cols = (list(_windows(side, size, step)) for side in whole.shape[2:])
        for index, (row, keep_rows), (col, keep_cols) in itertools.product(range(len(inputs)), rows, cols):
            part = self._one(whole[index : index + 1, :, row : row + size, col : col + size])
            inner = (_shifted(keep_rows, row), _shifted(keep_cols, col))
            out[index, :, keep_rows, keep_cols] = part[0, :, *inner]
        return out[:, :, :height, :width]

    def _one(self, image: Array) -> npt.NDArray[np.float32]:
        """Give (1, channels, height, width) of one (1, bands, height, width) image that fits."""
        raw = self._raw(image, self.interface.layout, self.interface.dtype)
        out = np.moveaxis(raw, 3, 1) if self.interface.output_layout == "nhwc" else raw
        if out.shape != (1, self.interface.channels, *image.shape[2:]):
            msg = (
                f"{self._source} gives an output of {out.shape[2]}×{out.shape[3]} px for {image.shape[2]}×"
                f"{image.shape[3]} px: needs the input's resolution"
            )
            raise ModelError(msg)
        return out

    def _raw(self, image: Array, layout: Layout, dtype: type[Any]) -> npt.NDArray[np.float32]:
        given = np.ascontiguousarray(np.moveaxis(image, 1, 3) if layout == "nhwc" else image, dtype)
        try:
            found: npt.NDArray[np.float32] = self._session.run(None, {self._input: given})[0]
        except Exception as error:
            if "alloc" in str(error).lower():
                raise MemoryError(_short(error)) from error
            msg = f"{self._source} cannot be run on {image.shape[2]}×{image.shape[3]} px ({_short(error)})"
            raise ModelError(msg) from error
        if np.isnan(found).any():
            msg = f"{self._source} gives NaN: export it again, or check the scaling of its bands"
            raise ModelError(msg)
        return found

    def _tried(self, shape: list[Any], dtype: Any, bands: int | None, layout: str | None) -> Interface:  # noqa: ANN401
        """Give the interface, by the input's shape and a first run."""
        order = _input_layout(shape, bands, layout, self._source)
        channel, rows, cols = (1, 2, 3) if order == "nchw" else (3, 1, 2)
        found = shape[channel] if isinstance(shape[channel], int) else bands
        if found is None or (bands is not None and bands != found):
            msg = f"{self._source} takes {shape[channel]} channels, but {bands} bands were named: name each of them"
            raise ModelError(msg)
        sides = {side for side in (shape[rows], shape[cols]) if isinstance(side, int) and side > 0}
        if len(sides) > 1 or (isinstance(shape[0], int) and shape[0] > 1):
            msg = f"{self._source} takes an input of {shape}: needs a batch of 1 or any number, and height = width"
            raise ModelError(msg)
        size = sides.pop() if sides else None
        side = size or _TRIED
        raw = self._raw(np.zeros((1, found, side, side), dtype), order, dtype)
        if raw.ndim == len(shape) and raw.shape[2:] == (side, side) and raw.shape[1:3] != (side, side):
            output: Layout = "nchw"
        elif raw.ndim == len(shape) and raw.shape[1:3] == (side, side) and raw.shape[2:] != (side, side):
            output = "nhwc"
        else:
            msg = (
                f"{self._source} gives an output of shape {raw.shape} for {side}×{side} px: needs "
                f"(1, classes, {side}, {side}) or (1, {side}, {side}, classes), the input's own resolution"
            )
            raise ModelError(msg)
        channels = raw.shape[1 if output == "nchw" else 3]
        return Interface(
            dtype=dtype, layout=order, bands=found, size=size, output_layout=output, channels=int(channels)
        )


def onnx_device(wanted: str) -> torch.device:
    """Give the device that onnxruntime uses for ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    Raises
    ------
    SettingsError
        If a CUDA device was asked for that is not there, or that this onnxruntime does not know.
    ModelError
        If the extra ``onnx`` is missing.
    """
    device = choose_device(wanted)
    if device.type != "cuda" or _CUDA in _runtime().get_available_providers():
        return device
    if wanted == "auto":
        return torch.device("cpu")
    msg = f"device {wanted}: this onnxruntime has no CUDA: use --device cpu, or install onnxruntime-gpu in its place"
    raise SettingsError(msg)


def _runtime() -> Any:  # noqa: ANN401  # an extra
    try:
        import onnxruntime  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise missing_extra(error) from error
    return onnxruntime


def _open_session(content: bytes, source: str, device: str, threads: int | None) -> Any:  # noqa: ANN401  # of an extra
    runtime = _runtime()
    place = onnx_device(device)
    options = runtime.SessionOptions()
    options.log_severity_level = _QUIET
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.inter_op_num_threads = 1
    cuda = [(_CUDA, {"device_id": place.index or 0})] if place.type == "cuda" else []
    try:
        return runtime.InferenceSession(content, options, providers=[*cuda, "CPUExecutionProvider"])
    except Exception as error:
        msg = f"{source} is refused by onnxruntime {runtime.__version__} ({_short(error)}): export it again"
        raise ModelError(msg) from error


def _input_layout(shape: list[Any], bands: int | None, layout: str | None, source: str) -> Layout:
    """Tell the order of an input's axes, where it is certain."""
    if len(shape) != 4:  # noqa: PLR2004  # batch, channels, height, width
        msg = f"{source} takes an input of {shape}: needs (n, bands, height, width) or (n, height, width, bands)"
        raise ModelError(msg)
    if layout is not None:
        for known in get_args(Layout):
            if layout == known:
                return known  # type: ignore[no-any-return]  # get_args is untyped
        msg = f"{source}: layout {layout!r} is unknown: choose {' or '.join(get_args(Layout))}"
        raise ModelError(msg)
    first, last = (isinstance(side, int) and 0 < side <= _MOST_CHANNELS for side in (shape[1], shape[3]))
    if bands is not None:
        first, last = (side == bands for side in (shape[1], shape[3]))
    if first != last:
        return "nchw" if first else "nhwc"
    msg = (
        f"{source} takes an input of {shape}, and which axis is the bands' is not certain: "
        "say it in --spec, arguments: {layout: nchw} or {layout: nhwc}"
    )
    raise ModelError(msg)


def _windows(length: int, size: int, step: int) -> Iterator[tuple[int, slice]]:
    """Give the start of each window along an axis, and what is kept of it, both from the read's first pixel."""
    starts = [*range(0, length - size, step), length - size]
    margin = (size - step) // 2
    edges = [0, *(start + margin for start in starts[1:]), length]
    return ((start, slice(*kept)) for start, kept in zip(starts, itertools.pairwise(edges), strict=True))


def _shifted(kept: slice, start: int) -> slice:
    return slice(kept.start - start, kept.stop - start)


def _padded(inputs: Array, size: int, fill: Array | None) -> Array:
    """Extend (n, bands, height, width) reads at their bottom and right to at least `size`."""
    count, bands, height, width = inputs.shape
    if height >= size and width >= size:
        return inputs
    whole = np.zeros((count, bands, max(height, size), max(width, size)), inputs.dtype)
    if fill is not None:
        whole[:] = fill[:, None, None]
    whole[:, :, :height, :width] = inputs
    return whole


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
