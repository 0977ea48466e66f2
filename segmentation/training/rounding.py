"""The share of pixels whose class bfloat16 changes."""

from collections.abc import Sequence

from torch import nn

from segflow.segmentation.predict.torch_engine import TorchEngine
from segflow.segmentation.spec import ModelSpec
from segflow.segmentation.training.chips import Sample


def measure_bfloat16_changes(network: nn.Module, spec: ModelSpec, samples: Sequence[Sample]) -> float:
    """Give the share of valid pixels whose class differs between bfloat16 and float32, on the CPU.

    Every sample is mapped in one piece, cut at its end to a multiple of the stride.
    """
    exact, rough = (
        TorchEngine(network, spec, device="cpu", precision=precision) for precision in ("float32", "bfloat16")
    )
    changed = counted = 0
    for sample in samples:
        height, width = (side // spec.stride * spec.stride for side in sample.labels.shape)
        pixels, valid = sample.pixels[None, :, :height, :width], sample.valid[None, :height, :width]
        differs = exact.predict(pixels, valid).labels != rough.predict(pixels, valid).labels
        changed += int(differs.sum())
        counted += int(valid.sum())
    return changed / counted if counted else 0.0
