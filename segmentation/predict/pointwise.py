"""1×1 convolutions as matrix products, which round the same on any number of threads.

oneDNN's 1×1 convolution sums in another order on one thread than on several: every logit of the
shipped U-Net could differ in its last bit between `--workers 2` on two cores and one process with both.
None of the other layers of that network does, whatever the shape, batch and threads.
"""

import torch
from torch import nn
from torch.nn import functional


class Pointwise(nn.Module):
    """A 1×1 convolution, computed as a linear map of each pixel's channels."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight = nn.Parameter(convolution.weight.detach()[:, :, 0, 0].clone(), requires_grad=False)
        self.bias = convolution.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (n, in_channels, h, w) → (n, out_channels, h, w)
        """Give the convolution's output, channels last."""
        return functional.linear(x.permute(0, 2, 3, 1), self.weight, self.bias).permute(0, 3, 1, 2)


def replace_pointwise(network: nn.Module) -> nn.Module:
    """Replace all plain 1×1 convolutions inside a network, in place; give the network, which may be one itself."""
    if type(network) is nn.Conv2d and _is_pointwise(network):
        return Pointwise(network)
    for name, part in network.named_children():
        setattr(network, name, replace_pointwise(part))
    return network


def _is_pointwise(convolution: nn.Conv2d) -> bool:
    moves = (convolution.kernel_size, convolution.stride, convolution.padding)
    return moves == ((1, 1), (1, 1), (0, 0)) and convolution.groups == 1
