"""How far an ONNX graph looks, tried out: a graph gives no gradient, so its input is changed and its output watched.

The plan:

0. Give the graph random pixels of the kind that its spec describes.
1. The *stride* is the smallest step by which input and output move together, in the middle of the image.
2. The *dependency* is the smallest distance beyond which all pixels may change, to several others, and a block of
   `stride` × `stride` outputs in the middle keeps every bit. Distances are halved until one is found.
3. Where the whole image is not enough, an image of twice the side is tried, if the graph takes it.

What was tried out is no proof: an influence that needs other pixels, or that rounds to nothing, is not seen.
So the guarantee is `bounded` at best, with the difference that tiles make of a whole pass, measured as well.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segflow.errors import ModelError
from segflow.segmentation.predict.onnx_graphs import OnnxGraph
from segflow.segmentation.spec import ModelSpec

STRIDES = (1, 2, 4, 8, 16, 32, 64)  # px; what networks use
_FIRST, _LARGEST = 256, 1024  # px; sides of the images that a graph of free size is tried with
_TRIALS = 3  # other pixels that must change nothing
_SAME = 1e-3  # of the output's range: what moves by the stride stays the same but for rounding and distant edges
_SMALLEST = 1e-30  # below it a probability has no logarithm

Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What was found; attributes as of `segflow.segmentation.probe.Probe`."""

    stride: int
    dependency: int | None


def probe_graph(graph: OnnxGraph, spec: ModelSpec) -> Tried:
    """Try out stride and dependency of a graph.

    Parameters
    ----------
    graph
        The graph.
    spec
        Scaling of its bands.
    """
    size = graph.interface.size
    side = size or _FIRST
    while True:
        stride = _stride(graph, spec, side)
        dependency = _dependency(graph, spec, side, stride)
        if dependency is not None or size is not None or 2 * side > _LARGEST:
            return Tried(stride=stride, dependency=dependency)
        side *= 2


def random_inputs(spec: ModelSpec, side: int, seed: int, *, whole: bool = False) -> Pixels:
    """Give (1, bands, side, side) scaled pixels: of uint8 models any value, of others around the mean.

    With `whole` they are whole numbers, for graphs that take no others.
    """
    rng = np.random.default_rng(seed)
    shape = (1, len(spec.bands), side, side)
    if whole:
        return rng.integers(0, 256, shape).astype(np.float32)
    mean, std = (np.array([getattr(band, name) for band in spec.bands])[:, None, None] for name in ("mean", "std"))
    if spec.dtype == "uint8":
        scaled: Pixels = ((rng.integers(0, 256, shape) - mean) / std).astype(np.float32)
        return scaled
    return rng.normal(size=shape).astype(np.float32)


def measure_difference(run: Callable[[Pixels], Pixels], graph: OnnxGraph, spec: ModelSpec, core: int = 256) -> float:
    """Give the largest difference of a class probability between tiles and the whole, on random pixels.

    Parameters
    ----------
    run
        Gives (1, classes, height, width) probabilities of scaled pixels.
    graph, spec
        The graph, and how its tiles lie.
    core
        Side of the cores [px].
    """
    reach = -(-spec.margin // spec.stride) * spec.stride
    size = spec.input_size or 0
    side = 2 * core + max(2 * reach, size) + (64 if size else 0)  # windows of whole and of tiles lie differently
    side = -(-side // spec.stride) * spec.stride
    image = random_inputs(spec, side, 0, whole=graph.interface.dtype is np.uint8)
    whole = run(image)
    worst = 0.0
    for start in range(0, side, core):  # along the diagonal: corners, edges inside, and the end
        read = _read(start, core, reach, side, size)
        kept = slice(start - read.start, start - read.start + core)
        there = run(image[..., read, read])[..., kept, kept]
        here = whole[..., start : start + core, start : start + core]
        worst = max(worst, float(np.abs(there - here).max()))
    return worst


def _read(start: int, core: int, reach: int, side: int, size: int) -> slice:
    """Give what a tile reads along an axis: at least `size`, sliding back at the image's end."""
    length = min(side, max(core + 2 * reach, size))
    first = max(0, min(start - reach, side - length))
    return slice(first, first + length)


def _stride(graph: OnnxGraph, spec: ModelSpec, side: int) -> int:
    """Give the smallest step by which the output moves with the input; the largest if none is found."""
    whole = graph.interface.dtype is np.uint8
    image = random_inputs(spec, side + max(STRIDES), 1, whole=whole)
    here = _plain(graph.run(image[..., :side, :side]))
    spread = float(here.max() - here.min()) or 1.0
    middle = side // 2
    fits = [step for step in STRIDES if side % step == 0]
    for step in fits:
        if not _takes(graph, image, side, step):
            continue
        there = _plain(graph.run(image[..., step : side + step, step : side + step]))
        block = slice(middle - max(step, 8), middle + max(step, 8))
        moved = slice(block.start - step, block.stop - step)
        if np.abs(here[..., block, block] - there[..., moved, moved]).max() <= _SAME * spread:
            return step
    return max(fits, key=lambda step: min(step, 32))  # what most encoders have, where it cannot be seen


def _takes(graph: OnnxGraph, image: Pixels, side: int, step: int) -> bool:
    """Tell whether a graph takes inputs whose sides are multiples of a step and of no longer one."""
    if graph.interface.size is not None:
        return True
    try:
        graph.run(image[..., : side - max(STRIDES) + step, : side - max(STRIDES) + step])
    except ModelError:
        return False
    return True


def _dependency(graph: OnnxGraph, spec: ModelSpec, side: int, stride: int) -> int | None:
    whole = graph.interface.dtype is np.uint8
    start = side // 2 // stride * stride
    block = slice(start, start + stride)
    images = [random_inputs(spec, side, seed, whole=whole) for seed in range(_TRIALS + 1)]
    image, others = images[0], [*images[1:], np.zeros_like(images[0])]
    before = graph.run(image)[..., block, block]

    def keeps(distance: int, other: Pixels) -> bool:
        inside = slice(max(0, start - distance), start + stride + distance)
        changed = other.copy()
        changed[..., inside, inside] = image[..., inside, inside]
        return np.array_equal(graph.run(changed)[..., block, block], before)

    low, farthest = 0, min(start, side - start - stride) - 1
    for other in others:  # each starts from what the one before it has found
        if farthest < low or not keeps(farthest, other):
            return None
        high = low if keeps(low, other) else farthest
        while low < high:
            distance = (low + high) // 2
            low, high = (low, distance) if keeps(distance, other) else (distance + 1, high)
    return low


def _plain(output: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Give probabilities by their logarithm, so that small ones count too; other outputs as they are."""
    inside = output.min() >= 0 and output.max() <= 1
    return np.log(np.maximum(output, _SMALLEST)) if inside else output
