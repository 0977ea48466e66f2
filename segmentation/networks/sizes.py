"""Padding to a multiple of a network's stride, with zeros at the bottom and right, and the crop that undoes it.

The pipeline's reads have such sides already, so it changes nothing there.
"""

import torch
from torch.nn import functional

STRIDE = 32  # px; total downsampling of the classifiers that these networks grew from


def pad_to_multiple(x: torch.Tensor, multiple: int) -> torch.Tensor:
    """Give (n, c, h, w) with h and w rounded up to a multiple [px]."""
    height, width = x.shape[-2:]
    below, right = -height % multiple, -width % multiple
    return functional.pad(x, (0, right, 0, below)) if below or right else x


def crop_to(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Give the first rows and columns of `x`, as many as `like` has."""
    height, width = like.shape[-2:]
    return x[..., :height, :width]
