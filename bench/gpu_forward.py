"""The network alone, as fast as the GPU runs it, and through the engine on the same shape."""

import statistics
import time
from collections import deque
from typing import Any

import numpy as np
import torch

from segflow.flows.models.lookup import find_model
from segflow.io.models.packages import read_model_file
from segflow.segmentation.predict.cuda_engine import CudaEngine, Flight
from segflow.segmentation.predict.engines import TorchEngine, fuse
from segflow.segmentation.predict.weights import restore_network
from segflow.segmentation.spec import ModelSpec
from segflow.tiling import Window

MEGA = 1e6
ROUNDS = 5  # measurements; the median counts
LEAST_SECONDS = 0.4  # of a measurement


def measure_forward(model: str, shape: tuple[int, int], batch: int, device: str) -> dict[str, Any]:
    """Give the rate of a bare loop and of the engine [Mpx/s], in float32 on a CPU and in bfloat16 on a GPU."""
    text, arrays = read_model_file(find_model(model).path)
    spec = ModelSpec.from_json(text)
    network = restore_network(spec, arrays)
    if device == "cpu":
        engine = TorchEngine(network, spec, device="cpu", precision="float32")
        pixels, valid = _draw(spec, batch, shape)
        seconds = _repeat(lambda: engine.predict(pixels, valid))
        bare = _repeat(lambda: _bare_cpu(network, len(spec.bands), batch, shape))
    else:
        seconds, bare = _engine_seconds(network, spec, batch, shape), _bare_seconds(network, spec, batch, shape)
        torch.cuda.empty_cache()
    read = batch * shape[0] * shape[1] / MEGA
    return {
        "shape": [batch, len(spec.bands), *shape],
        "bare_mpx_s": round(read / bare, 1),
        "engine_mpx_s": round(read / seconds, 1),
        "engine_over_bare": round(bare / seconds, 3),
    }


def _draw(spec: ModelSpec, count: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    low = np.array([band.mean - band.std for band in spec.bands])[:, None, None]
    high = np.array([band.mean + band.std for band in spec.bands])[:, None, None]
    pixels = (low + (high - low) * rng.random((len(spec.bands), *shape))).astype(spec.dtype)
    return np.repeat(pixels[None], count, axis=0), np.ones((count, *shape), bool)


def _bare_cpu(network: torch.nn.Module, bands: int, batch: int, shape: tuple[int, int]) -> None:
    with torch.inference_mode():
        network(torch.zeros(batch, bands, *shape).to(memory_format=torch.channels_last))


def _repeat(call: Any) -> float:  # noqa: ANN401  # a function without arguments
    call()
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _bare_seconds(network: torch.nn.Module, spec: ModelSpec, batch: int, shape: tuple[int, int]) -> float:
    """Replay one CUDA graph of the network in channels_last bfloat16 on normalised input; nothing else [s]."""
    fast = fuse(network).cuda().to(memory_format=torch.channels_last)
    pixels = torch.randn(batch, len(spec.bands), *shape, device="cuda").to(memory_format=torch.channels_last)
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
        with torch.cuda.stream(stream):
            for _ in range(3):
                fast(pixels)
        stream.synchronize()
        with torch.cuda.graph(graph, stream=stream):
            fast(pixels)
    graph.replay()
    torch.cuda.synchronize()
    count = max(3, int(LEAST_SECONDS / _timed(graph.replay)))
    return statistics.median(_timed(lambda: [graph.replay() for _ in range(count)]) / count for _ in range(ROUNDS))


def _timed(call: Any) -> float:  # noqa: ANN401  # a function without arguments
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1000


def _engine_seconds(network: torch.nn.Module, spec: ModelSpec, batch: int, shape: tuple[int, int]) -> float:
    """Send batches through the engine, uploads and downloads with them, two under way; time per batch [s]."""
    engine = CudaEngine(network, spec, device="cuda", precision="bfloat16")
    pixels, valid = _draw(spec, 1, shape)
    staged = []
    for _ in range(batch):
        tile = engine.stage(spec.dtype, len(spec.bands), shape)
        np.copyto(tile.pixels, pixels[0])
        np.copyto(tile.valid, valid[0])
        staged.append(tile)
    cores = [Window.of_shape(*shape)] * batch

    def send(count: int) -> float:
        under_way: deque[list[Flight]] = deque()
        started = time.perf_counter()
        for _ in range(count):
            under_way.append(engine.start(staged, cores))
            if len(under_way) > 1:
                _land(under_way.popleft())
        while under_way:
            _land(under_way.popleft())
        return (time.perf_counter() - started) / count

    send(4)
    count = max(6, int(LEAST_SECONDS / send(4)))
    return statistics.median(send(count) for _ in range(ROUNDS))


def _land(flights: list[Flight]) -> None:
    for flight in flights:
        flight.land()
