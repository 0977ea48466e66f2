"""Transposed convolutions that start as bilinear interpolation, and the crop that puts them in place.

References
----------
Shelhamer, Long, Darrell 2016, "Fully Convolutional Networks for Semantic Segmentation",
section 3.3 (upsampling is fractionally strided convolution) and 4.2 (fixed or learned).
"""

import torch
from torch import nn


def bilinear_kernel(size: int) -> torch.Tensor:
    """Give the weights of bilinear interpolation by ``(size + 1) // 2``.

    Parameters
    ----------
    size
        Side of the kernel; the stride s that it belongs to has kernel 2 s or 2 s − 1.

    Returns
    -------
    torch.Tensor
        (size, size) float32; along either axis a triangle whose peak is at most 1.
    """
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    along = 1 - (torch.arange(size) - centre).abs() / factor
    return torch.outer(along, along)


def bilinear_upsampling(classes: int, kernel: int, stride: int, *, learnable: bool = False) -> nn.ConvTranspose2d:
    """Give a transposed convolution: (n, classes, h, w) → (n, classes, stride (h − 1) + kernel, …).

    Every class is interpolated by itself, with a bilinear kernel to start from. The weights are
    parameters, so that they are counted and stored; they are frozen unless `learnable`.
    """
    layer = nn.ConvTranspose2d(classes, classes, kernel, stride, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[range(classes), range(classes)] = bilinear_kernel(kernel)
    layer.weight.requires_grad_(learnable)
    return layer


def crop(x: torch.Tensor, offset: int, like: torch.Tensor) -> torch.Tensor:
    """Give the part of `x` of the height and width of `like` that starts `offset` pixels in on both axes."""
    height, width = like.shape[-2:]
    return x[..., offset : offset + height, offset : offset + width]
