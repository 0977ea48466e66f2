"""The engine of a GPU: uploads, forward passes and downloads on streams of their own, and nobody waits between.

Plan of a batch. Tiles lie in pinned memory (`stage`), where whoever reads a scene has put them. `start` queues
all that is to be done and returns at once: the upload on one stream; on a second one, which waits for it, scaling,
network, argmax, confidence and the crop to the cores, as one CUDA graph per shape; on a third the download of the
cores, uint8, into pinned memory. While one batch is computed the next one goes up and the last one comes down.
`Flight.land` waits for what was asked for, and for nothing else.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from segflow.segmentation.predict.cuda_clock import DeviceClock
from segflow.segmentation.predict.cuda_graphs import Graphs
from segflow.segmentation.predict.cuda_layers import speed_up
from segflow.segmentation.predict.cuda_memory import fitting_batch
from segflow.segmentation.predict.engines import Prediction, TorchEngine
from segflow.segmentation.spec import ModelSpec
from segflow.tiling import Window


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StagedTile:
    """Pinned memory for one tile, to be filled before it is given to `CudaEngine.start`."""

    pinned_pixels: torch.Tensor
    pinned_valid: torch.Tensor

    @property
    def pixels(self) -> npt.NDArray[Any]:
        """(bands, height, width) array in the scene's dtype."""
        return self.pinned_pixels.numpy()

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """(height, width) bool array."""
        return self.pinned_valid.numpy()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flight:
    """One core on its way back."""

    layers: npt.NDArray[np.uint8]  # (layers, height, width) in pinned memory; whole when `landed`
    landed: torch.cuda.Event

    def land(self) -> Prediction:
        """Wait for the core and give its prediction, arrays of (height, width)."""
        self.landed.synchronize()
        shares = self.layers[2:]
        return Prediction(
            labels=self.layers[0], confidence=self.layers[1], probabilities=shares if len(shares) else None
        )


class CudaEngine(TorchEngine):
    """A network on a GPU, ready to predict; `TorchEngine` says the rest.

    In float32 its convolutions are those of float32, not TF32. What a pixel gets may differ in the last bits of its
    logits from one shape of read to another, since libraries choose other kernels; so classes may at near-ties.

    Parameters
    ----------
    network, spec, device, precision, threads, probabilities
        As for `TorchEngine`.
    graphs
        Whether shapes that come again are recorded.

    Attributes
    ----------
    clock
        Time on the GPU.
    passes
        What runs there, with and without graphs.
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
        graphs: bool = True,
    ) -> None:
        super().__init__(
            network, spec, device=device, precision=precision, threads=threads, probabilities=probabilities
        )
        if self.precision != "float32":
            self._network = speed_up(self._network, getattr(torch, self.precision))
        with torch.cuda.device(self.device):
            self.device = torch.device("cuda", torch.cuda.current_device())
            self._up, self._compute, self._down = (torch.cuda.Stream(self.device) for _ in range(3))
            torch.cuda.synchronize()  # the weights are there before other streams use them
        self.clock = DeviceClock()
        self.passes = Graphs(self._map, self._compute, enabled=graphs)
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """Time inside the passes so far, those that still run included [s]."""
        return self.clock.seconds

    def fitting_batch(self, shape: tuple[int, int]) -> int:
        """Give how many reads of a shape keep the GPU busy and fit into the memory that is free now."""
        return fitting_batch(shape, self.device)

    def stage(self, dtype: npt.DTypeLike, bands: int, shape: tuple[int, int]) -> StagedTile:
        """Give pinned memory for one tile; any thread may ask."""
        kind = torch.from_numpy(np.empty(0, dtype)).dtype
        with torch.cuda.device(self.device):
            return StagedTile(
                pinned_pixels=torch.empty((bands, *shape), dtype=kind, pin_memory=True),
                pinned_valid=torch.empty(shape, dtype=torch.bool, pin_memory=True),
            )

    def start(self, batch: Sequence[StagedTile], cores: Sequence[Window]) -> list[Flight]:
        """Queue a batch of tiles of one shape and return at once.

        Parameters
        ----------
        batch
            Tiles, filled.
        cores
            The part of each that is wanted, counted from its first pixel.
        """
        with self._lock, torch.inference_mode(), torch.cuda.device(self.device):
            try:
                return self._start(batch, cores)
            except torch.OutOfMemoryError:
                self.passes.clear()
                raise

    def predict(self, pixels: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> Prediction:
        """Map a batch of tiles and wait for it; see `Engine.predict`."""
        staged = [self.stage(pixels.dtype, *_split(tile.shape)) for tile in pixels]
        for place, tile, inside in zip(staged, pixels, valid, strict=True):
            np.copyto(place.pixels, tile)
            np.copyto(place.valid, inside)
        whole = [Window.of_shape(*pixels.shape[-2:])] * len(staged)
        landed = [flight.land() for flight in self.start(staged, whole)]
        shares = [one.probabilities for one in landed if one.probabilities is not None]
        return Prediction(
            labels=np.stack([one.labels for one in landed]),
            confidence=np.stack([one.confidence for one in landed]),
            probabilities=np.stack(shares) if shares else None,
        )

    def _start(self, batch: Sequence[StagedTile], cores: Sequence[Window]) -> list[Flight]:
        with torch.cuda.stream(self._up):
            pixels = _upload([tile.pinned_pixels for tile in batch], self.device)
            inside = _upload([tile.pinned_valid for tile in batch], self.device)
            uploaded = self._up.record_event()
        with torch.cuda.stream(self._compute):
            self._compute.wait_event(uploaded)
            for tensor in (pixels, inside):
                tensor.record_stream(self._compute)
            with self.clock.measure(self._compute):
                layers = torch.stack(self.passes(pixels, inside), dim=1)  # (n, layers, h, w)
            computed = self._compute.record_event()
        with torch.cuda.stream(self._down):
            self._down.wait_event(computed)
            layers.record_stream(self._down)
            parts = [layers[index][:, *core.slices].contiguous() for index, core in enumerate(cores)]
            hosts = [torch.empty(part.shape, dtype=torch.uint8, pin_memory=True) for part in parts]
            for host, part in zip(hosts, parts, strict=True):
                host.copy_(part, non_blocking=True)
            landed = torch.cuda.Event(blocking=True)
            landed.record(self._down)
        return [Flight(layers=host.numpy(), landed=landed) for host in hosts]

    def _forward(self, inputs: torch.Tensor) -> torch.Tensor:  # (n, bands, h, w) → (n, classes, h, w) float32
        with self._autocast(), _true_float32():
            return self._network(inputs).float()  # type: ignore[no-any-return]  # a module's call is untyped

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision == "float32":
            return nullcontext()
        # Kernels are rounded already; a cache of rounded weights would outlive the graph that it was made in.
        return torch.autocast("cuda", getattr(torch, self.precision), cache_enabled=False)


def _upload(sources: Sequence[torch.Tensor], device: torch.device) -> torch.Tensor:
    """Queue the upload of tensors of one shape in pinned memory; give (n, …)."""
    target = torch.empty((len(sources), *sources[0].shape), dtype=sources[0].dtype, device=device)
    for place, source in zip(target, sources, strict=True):
        place.copy_(source, non_blocking=True)
    return target


@contextmanager
def _true_float32() -> Iterator[None]:
    """Keep cuDNN from rounding float32 to TF32 inside the block, which it does by default."""
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # made when torch is imported
    before = convolutions.fp32_precision
    convolutions.fp32_precision = "ieee"
    try:
        yield
    finally:
        convolutions.fp32_precision = before


def _split(shape: tuple[int, ...]) -> tuple[int, tuple[int, int]]:
    bands, height, width = shape
    return bands, (height, width)
