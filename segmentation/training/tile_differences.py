"""How much tiles change class probabilities where their margin is shorter than the network's dependency.

Tiles with such a margin are compared with a whole pass, on labelled scenes where there are some.
The cores are 256 px wide, the step of all cores that a run may choose, so every edge of a
run's cores is one of those that are measured; smaller scenes are cut in halves.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from segflow.segmentation.probe import measure_worst_difference
from segflow.segmentation.spec import ModelSpec
from segflow.segmentation.training.chips import Sample, normalise

CORE = 256  # px
_DIGITS = 3  # of the number that is stored


def measure_bounded(spec: ModelSpec, network: nn.Module, samples: Sequence[Sample] = (), part: str = "") -> ModelSpec:
    """Give the spec with the worst difference of a bounded model; any other spec as it is.

    Parameters
    ----------
    spec
        The model's spec.
    network
        The network of `spec` in eval mode.
    samples, part
        Scenes, or crops of them, that fit into one pass, and what to call them: ``validation``. Those that the
        first tile reads whole are passed over; where no other is left, random pixels are taken instead.
    """
    if spec.guarantee != "bounded":
        return spec
    scenes = [sample for sample in samples if _is_cut(sample.labels.shape, spec)]
    inputs = [_normalised(sample, spec) for sample in scenes] or [_random_inputs(spec)]
    worst = max(_measure(network, tensor, spec) for tensor in inputs)
    pieces = f"{len(scenes)} piece{'' if len(scenes) == 1 else 's'} of {part} scenes"
    data = pieces if scenes else "random pixels, for want of scenes"
    return replace(spec, worst_difference=_rounded_up(worst), worst_difference_data=data)


def _is_cut(shape: tuple[int, ...], spec: ModelSpec) -> bool:
    """Tell whether tiles of a scene read less than the whole of it."""
    return max(shape) // spec.stride * spec.stride > _core(shape, spec.stride) + _reach(spec)


def _core(shape: tuple[int, ...], stride: int) -> int:
    """Give the side of the cores that a scene is cut into [px]."""
    return max(1, min(CORE, max(shape) // 2) // stride) * stride


def _reach(spec: ModelSpec) -> int:
    """Give the margin as tiles have it: a multiple of the stride [px]."""
    return -(-spec.margin // spec.stride) * spec.stride


def _normalised(sample: Sample, spec: ModelSpec) -> torch.Tensor:
    """Give (1, bands, height, width) normalised pixels, cut at the end to multiples of the stride."""
    height, width = (side // spec.stride * spec.stride for side in sample.labels.shape)
    inputs = normalise(sample.pixels[:, :height, :width], sample.valid[:height, :width], spec.bands)
    return torch.from_numpy(inputs)[None]


def _random_inputs(spec: ModelSpec) -> torch.Tensor:
    """Give (1, bands, side, side) normally distributed pixels, of a side that the dependency does not span."""
    needed = 2 * CORE + (spec.dependency or 0) + _reach(spec)
    side = -(-needed // spec.stride) * spec.stride
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1, len(spec.bands), side, side, generator=generator)


def _measure(network: nn.Module, inputs: torch.Tensor, spec: ModelSpec) -> float:
    core = _core(tuple(inputs.shape[-2:]), spec.stride)
    return measure_worst_difference(
        network, inputs, stride=spec.stride, margin=spec.margin, core=core, temperature=spec.temperature
    )


def _rounded_up(value: float) -> float:
    """Give a number with three digits that is not smaller: what is stored stays an upper bound."""
    if value == 0:
        return 0.0
    places = _DIGITS - 1 - math.floor(math.log10(value))
    return round(math.ceil(value * 10.0**places) / 10.0**places, places)
