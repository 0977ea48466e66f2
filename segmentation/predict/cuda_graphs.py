"""CUDA graphs: what a GPU does for one shape of input, recorded once and replayed by one call.

A forward pass is a hundred small kernels, and Python takes longer to launch the short ones than the GPU to run
them. A graph replays them with no Python between. It holds for one shape and type of its inputs, and reads
and writes the memory that it was recorded with; so inputs are copied into that memory first.

The first time a shape comes it runs as it is, which also loads the kernels; the second time it is recorded. Shapes
that come once, as the remainder of a scene may, cost no recording.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any

import torch

MOST = 4  # graphs that are kept; their memory is shared, since no two run at once

Layers = list[torch.Tensor]
Call = Callable[[torch.Tensor, torch.Tensor], Layers]


class Graphs:
    """Runs a function of two tensors on a stream, as graphs where a shape comes again.

    Parameters
    ----------
    call
        The function: no synchronisation in it, no choice that depends on values.
    stream
        Where it runs; the stream that is current when an instance is called.
    enabled
        Whether anything is recorded.

    Attributes
    ----------
    replays
        How often a graph ran.
    failures
        Why shapes could not be recorded; they run without a graph.
    """

    def __init__(self, call: Call, stream: torch.cuda.Stream, *, enabled: bool = True) -> None:
        self._call, self._stream, self._enabled = call, stream, enabled
        self._graphs: OrderedDict[Hashable, _Graph] = OrderedDict()
        self._seen: set[Hashable] = set()
        self._barred: set[Hashable] = set()
        self._broken: list[torch.cuda.CUDAGraph] = []  # the allocator may still ask them whether they record
        self.replays = 0
        self.failures: list[str] = []

    def __call__(self, pixels: torch.Tensor, inside: torch.Tensor) -> Layers:
        """Give what the function gives; valid until the next call."""
        key = (pixels.shape, pixels.dtype, inside.shape)
        graph = self._graphs.get(key) or self._record(key, pixels, inside)
        if graph is None:
            return self._call(pixels, inside)
        self._graphs.move_to_end(key)
        self.replays += 1
        return graph.replay(pixels, inside)

    def clear(self) -> None:
        """Drop all graphs and the memory that they hold; shapes that are known are recorded when they come again."""
        self._graphs.clear()

    def _record(self, key: Hashable, pixels: torch.Tensor, inside: torch.Tensor) -> "_Graph | None":
        if not self._enabled or key in self._barred:
            return None
        if key not in self._seen:
            self._seen.add(key)
            return None
        while len(self._graphs) >= MOST:
            self._graphs.popitem(last=False)
        pool = next((graph.pool for graph in self._graphs.values()), None) or torch.cuda.graph_pool_handle()
        recording = torch.cuda.CUDAGraph()
        try:
            graph = _Graph(recording, self._call, self._stream, pool, pixels, inside)
        except (RuntimeError, UserWarning) as error:  # it asks the GPU for a value, or memory ran out beside the caches
            self._barred.add(key)
            self._broken.append(recording)
            self.failures.append(str(error).splitlines()[0])
            torch.cuda.synchronize(self._stream.device)
            recording.reset()
            _leave_pool(self._stream.device, pool)
            return None
        self._graphs[key] = graph
        return graph


class _Graph:
    """One recording, with the memory that its inputs and outputs lie in; others may share its `pool`."""

    def __init__(
        self,
        recording: torch.cuda.CUDAGraph,
        call: Call,
        stream: torch.cuda.Stream,
        pool: Any,  # noqa: ANN401  # torch's handle of a memory pool
        pixels: torch.Tensor,
        inside: torch.Tensor,
    ) -> None:
        self._pixels, self._inside = pixels.clone(), inside.clone()
        self._graph, self.pool = recording, pool
        # Other threads may ask for pinned memory meanwhile: the recording concerns this thread alone.
        with torch.cuda.graph(self._graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            self._layers = call(self._pixels, self._inside)

    def replay(self, pixels: torch.Tensor, inside: torch.Tensor) -> Layers:
        """Run on other inputs of the same shape; the answer lies where the recording left it."""
        self._pixels.copy_(pixels, non_blocking=True)
        self._inside.copy_(inside, non_blocking=True)
        self._graph.replay()
        return self._layers


def _leave_pool(device: torch.device, pool: Any) -> None:  # noqa: ANN401  # torch's handle of a memory pool
    """Tell the allocator that a recording is over which failed.

    torch does so only for one that ended well, and until then it gives no memory back to the GPU.
    """
    with suppress(RuntimeError, AttributeError):  # it was told, or this torch has another way
        torch._C._cuda_endAllocateToPool(device.index, pool)  # noqa: SLF001  # there is no public one
        torch._C._cuda_releasePool(device.index, pool)  # noqa: SLF001
