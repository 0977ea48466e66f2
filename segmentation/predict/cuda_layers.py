"""Layers as a GPU runs them fastest in half precision: fewer passes over memory for the same arithmetic.

Most of a network's time on a GPU goes into moving activations, not into multiplying them. cuDNN adds the bias and
rectifies while the sums of a convolution are still in registers, which saves four of six passes; and its fast kernels
take channels by eights, so others are filled up with zeros, which add nothing. Sums are rounded to half precision
once here and up to three times there: logits differ in the last of their eight bits, at most.
"""

import torch
from torch import nn
from torch.nn import functional

from segflow.segmentation.networks.surroundings import Surroundings

_LANES = 8  # channels that tensor cores take at once


class HalfConvolution(nn.Module):
    """A convolution in half precision, its input's channels filled up to eights, with a rectifier if there is one."""

    def __init__(self, convolution: nn.Conv2d, dtype: torch.dtype, *, rectified: bool) -> None:
        super().__init__()
        weight = convolution.weight.detach().to(dtype)
        self.missing = -weight.shape[1] % _LANES
        weight = functional.pad(weight, (0, 0, 0, 0, 0, self.missing)).contiguous(memory_format=torch.channels_last)
        bias = convolution.bias
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach().to(dtype), requires_grad=False)
        self.rectified = rectified
        self.stride, self.dilation = convolution.stride, convolution.dilation
        self.padding = tuple(int(side) for side in convolution.padding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (n, in_channels, h, w) → (n, out_channels, h', w')
        """Give the convolution's output in half precision, channels last."""
        x = x.to(self.weight.dtype)
        lacking = self.weight.shape[1] - x.shape[1]  # none where the layer before has filled them up
        if lacking:
            x = functional.pad(x, (0, 0, 0, 0, 0, lacking))
        if self.rectified:
            return torch.cudnn_convolution_relu(x, self.weight, self.bias, self.stride, self.padding, self.dilation, 1)
        return functional.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation)


class PlanarSurroundings(nn.Module):
    """`Surroundings` with one plane per band until the last step, which puts channels last in half precision."""

    def __init__(self, surroundings: Surroundings, dtype: torch.dtype) -> None:
        super().__init__()
        self.surroundings, self.dtype = surroundings, dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (n, c, h, w) float32 → (n, 4 c and zeros to eights, h, w)
        """Give the four views under asinh, computed in float32."""
        with torch.autocast(x.device.type, enabled=False):
            views = self.surroundings.views(x.contiguous())
            flat = torch.cat([torch.asinh(view).to(self.dtype) for view in views], dim=1)  # (n, 4 c, h, w), planes
            count, channels, height, width = flat.shape
            shape = (count, channels + -channels % _LANES, height, width)
            filled = torch.empty(shape, dtype=self.dtype, device=x.device, memory_format=torch.channels_last)
            filled[:, channels:] = 0
            filled[:, :channels] = flat
            return filled


def speed_up(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Replace layers of a network on a GPU by ones that give the same in half precision, faster; give the network."""
    if type(network) is nn.Conv2d and _is_plain(network):
        return HalfConvolution(network, dtype, rectified=False)
    if isinstance(network, nn.ConvTranspose2d | nn.Conv2d):
        return network.to(dtype)  # once, not in every pass
    if isinstance(network, Surroundings):
        return PlanarSurroundings(network, dtype)
    if isinstance(network, nn.Sequential):
        _join_rectifiers(network, dtype)
    for name, part in network.named_children():
        setattr(network, name, speed_up(part, dtype))
    return network


def _join_rectifiers(layers: nn.Sequential, dtype: torch.dtype) -> None:
    """Make one layer of each convolution and the rectifier that follows it."""
    for index, layer in enumerate(layers):
        if type(layer) is nn.Conv2d and _is_plain(layer) and layer.bias is not None:
            after = index + 1
            while after < len(layers) and type(layers[after]) is nn.Identity:
                after += 1
            if after < len(layers) and type(layers[after]) is nn.ReLU:
                layers[index], layers[after] = HalfConvolution(layer, dtype, rectified=True), nn.Identity()


def _is_plain(convolution: nn.Conv2d) -> bool:
    """Tell whether channels may be filled up: one group, zeros around, a border given in pixels."""
    return convolution.groups == 1 and convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)
