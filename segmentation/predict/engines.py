"""Engines: pixels in, labels and confidence out, on whatever device there is."""

import copy
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from segflow.errors import SettingsError
from segflow.segmentation.predict.devices import choose_device
from segflow.segmentation.predict.pointwise import replace_pointwise
from segflow.segmentation.spec import ModelSpec
from segflow.tiling import NODATA, Window

Precision = Literal["float32", "bfloat16", "float16"]

_CONFIDENCE_SCALE = 100  # confidence rasters hold percent
_PROBABILITY_SCALE = 200  # probability rasters hold half percents, below the 254 that means "not written"
_TOLERATED_CHANGES = 0.001  # share of pixels whose class bfloat16 may change before `auto` avoids it
_CUDA_BATCH = 8  # tiles; keeps a large GPU busy, and is halved where it does not fit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """What an engine answers.

    Attributes
    ----------
    labels
        (n, height, width) uint8 array: the most probable class, 255 where not valid.
    confidence
        (n, height, width) uint8 array: its probability [%], 255 where not valid.
    probabilities
        (n, classes, height, width) uint8 array: probability of each class × 200, 255 where
        not valid; or None.
    """

    labels: npt.NDArray[np.uint8]
    confidence: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.uint8] | None = None

    def crop(self, index: int, window: Window) -> Self:
        """Give the prediction of tile `index` in `window`, without the first axis."""
        return type(self)(
            labels=self.labels[index, *window.slices],
            confidence=self.confidence[index, *window.slices],
            probabilities=None if self.probabilities is None else self.probabilities[index, :, *window.slices],
        )


class Engine(Protocol):
    """Predicts batches of tiles.

    Attributes
    ----------
    preferred_batch
        Tiles per call; lowered when more do not fit into memory.
    """

    preferred_batch: int

    def predict(self, pixels: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> Prediction:
        """Map a batch of tiles.

        Parameters
        ----------
        pixels
            (n, bands, height, width) array in the scene's dtype.
        valid
            (n, height, width) bool array, True where there is data.
        """


class TorchEngine:
    """A network on a device, ready to predict.

    Convolutions and their normalisations are one, activations lie channels last, and all that
    leaves the device is uint8. In float32 on a CPU a pixel's answer depends neither on the
    shape of the read around it nor on the batch it is in, nor on the number of threads.

    Parameters
    ----------
    network
        The network of `spec` in eval mode; it is copied.
    spec
        What it needs.
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
    precision
        ``float32``, ``bfloat16``, ``float16``, or ``auto``: float32, but bfloat16 on a GPU for
        a model that was measured to change fewer than 0.1 % of all classes in it.
    threads
        Threads of the CPU, for the whole process; None: torch's own choice.
    probabilities
        Whether predictions hold the probability of every class.

    Attributes
    ----------
    device, precision
        What was chosen.
    classes
        Number of classes.
    preferred_batch
        Tiles per call that keep the device busy.

    Raises
    ------
    SettingsError
        If the device is not there, or the precision is unknown or not for this device.
    """

    def __init__(
        self,
        network: nn.Module,
        spec: ModelSpec,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        probabilities: bool = False,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device, spec)
        self.classes = len(spec.classes)
        self.probabilities = probabilities
        self._temperature = spec.temperature
        self.preferred_batch = _CUDA_BATCH if self.device.type == "cuda" else 1
        self._seconds = 0.0
        fused = fuse(network)
        if self.device.type == "cpu":
            fused = replace_pointwise(fused)
        self._network = fused.to(self.device).to(memory_format=torch.channels_last)
        self._mean = _column([band.mean for band in spec.bands], self.device)
        self._std = _column([band.std for band in spec.bands], self.device)

    @property
    def seconds(self) -> float:
        """Time spent inside the network so far [s]."""
        return self._seconds

    def predict(self, pixels: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> Prediction:
        """Map a batch of tiles; see `Engine.predict`."""
        with torch.inference_mode():
            inside = self._upload(valid)
            blank = [layer.cpu().numpy() for layer in self._map(self._upload(pixels), inside)]
        return Prediction(
            labels=blank[0],
            confidence=blank[1],
            probabilities=np.stack(blank[2:], axis=1) if self.probabilities else None,
        )

    def _map(self, pixels: torch.Tensor, inside: torch.Tensor) -> list[torch.Tensor]:
        """Give labels, confidence and, if asked for, each class's probability: (n, h, w) uint8, 255 where not valid."""
        logits = self._forward(self._normalise(pixels, inside))
        labels = logits.argmax(1).to(torch.uint8)
        shares = self._soften(logits).softmax(1)
        layers = [labels, _scaled(shares.amax(1), _CONFIDENCE_SCALE)]
        if self.probabilities:
            layers.extend(_scaled(shares, _PROBABILITY_SCALE).unbind(1))
        return [layer.masked_fill_(~inside, NODATA) for layer in layers]

    def _upload(self, array: npt.NDArray[Any]) -> torch.Tensor:
        """Bring an array to the device in its own dtype: a quarter of the bytes for uint8 scenes."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self.device.type != "cuda":
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def _normalise(self, pixels: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        """Give ``(pixel - mean) / std`` as (n, bands, h, w) float32, channels last, 0 where not valid."""
        scaled = pixels.to(torch.float32, memory_format=torch.channels_last)
        return scaled.sub_(self._mean).div_(self._std).masked_fill_(~inside[:, None], 0)

    def _forward(self, inputs: torch.Tensor) -> torch.Tensor:  # (n, bands, h, w) → (n, classes, h, w) float32
        self._wait()
        started = time.perf_counter()
        with self._autocast():
            logits = self._network(inputs)
        self._wait()
        self._seconds += time.perf_counter() - started
        return logits.float()  # type: ignore[no-any-return]  # a module's call is untyped

    def _soften(self, logits: torch.Tensor) -> torch.Tensor:
        """Divide the logits by the temperature, which changes no class; 1 leaves every bit as it is."""
        return logits if self._temperature == 1 else logits / self._temperature

    def _wait(self) -> None:
        """Wait for the device, so that the clock tells its time."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, getattr(torch, self.precision))


def choose_precision(wanted: str, device: torch.device, spec: ModelSpec) -> Precision:
    """Give the precision for ``auto`` or one by name.

    Raises
    ------
    SettingsError
        If it is unknown, or float16 is wanted on a CPU.
    """
    if wanted == "auto":
        changes = spec.bfloat16_changes
        tolerated = changes is not None and changes < _TOLERATED_CHANGES
        return "bfloat16" if tolerated and device.type == "cuda" else "float32"
    for known in get_args(Precision):
        if wanted == known and not (known == "float16" and device.type == "cpu"):
            return known  # type: ignore[no-any-return]  # get_args is untyped
    msg = f"precision {wanted!r} is not for device {device}: choose auto, float32, bfloat16, or float16 on a GPU"
    raise SettingsError(msg)


def fuse(network: nn.Module) -> nn.Module:
    """Give a copy in eval mode whose convolutions hold the normalisation that follows them in a sequence."""
    fused = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
    for part in fused.modules():
        if isinstance(part, nn.Sequential):
            for index in range(len(part) - 1):
                first, second = part[index], part[index + 1]
                if type(first) is nn.Conv2d and type(second) is nn.BatchNorm2d and second.track_running_stats:
                    part[index], part[index + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
    return fused


def _column(values: list[float], device: torch.device) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]


def _scaled(shares: torch.Tensor, scale: int) -> torch.Tensor:
    return shares.mul(scale).round_().to(torch.uint8)
