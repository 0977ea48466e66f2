"""The 23-layer U-Net as published; shapes at the end of each line, for its 572 × 572 px.

23 convolutions: 10 on the way down, 4 up-convolutions, 8 on the way up, and the last 1×1.

References
----------
Ronneberger, Fischer, Brox 2015, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
figure 1, sections 2 and 3.
"""

import itertools
from typing import Literal, get_args

import torch
from torch import nn

from segflow.errors import ModelError
from segflow.segmentation.networks.sizes import crop_to, pad_to_multiple

Padding = Literal["same", "valid"]

_STRIDE = 16  # px; four poolings
_REST, _SMALLEST = 12, 188  # px; valid sides are 16 k + 12, so that every pooling finds an even side


class UNet2015(nn.Module):
    """Four times down, four times up, with skips that are concatenated.

    Parameters
    ----------
    in_channels, classes
        Channels of the input and of the logits.
    padding
        ``same``: logits have the input's size, as the pipeline needs it; ``valid``: the published
        network, which has no padding and loses 92 px on every side.
    width
        Factor on all hidden channels; 1 is the published network.
    dropout
        Share of the coarsest features that training sets to 0.
    """

    def __init__(
        self, in_channels: int, classes: int, *, padding: Padding = "same", width: float = 1.0, dropout: float = 0.5
    ) -> None:
        super().__init__()
        if padding not in get_args(Padding):
            msg = f"padding must be one of {get_args(Padding)}, got {padding!r}"
            raise ValueError(msg)
        self.padding = padding
        around = 1 if padding == "same" else 0
        widths = [max(1, round(width * c)) for c in (64, 128, 256, 512, 1024)]
        pairs = list(itertools.pairwise(widths))[::-1]  # (finer, coarser), coarsest pair first
        self.down = nn.ModuleList(_double(a, b, around) for a, b in itertools.pairwise((in_channels, *widths)))
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout)
        self.up = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2) for fine, coarse in pairs)
        self.merge = nn.ModuleList(_double(2 * fine, fine, around) for fine, _ in pairs)
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:  # (n, in_channels, 572, 572)
        """Give logits of the input's size, or 184 px smaller with valid convolutions."""
        *skips, x = self.encode(self._fit(image))  # x: (n, 1024, 28, 28)
        for up, merge in zip(self.up, self.merge, strict=True):
            x = up(x)  # (n, 512, 56, 56), (n, 256, 104, 104), (n, 128, 200, 200), (n, 64, 392, 392)
            x = torch.cat((_centre(skips.pop(), x), x), dim=1)  # twice the channels
            x = merge(x)  # (n, 512, 52, 52), (n, 256, 100, 100), (n, 128, 196, 196), (n, 64, 388, 388)
        x = self.head(x)  # (n, classes, 388, 388)
        return x if self.padding == "valid" else crop_to(x, image)

    def encode(self, x: torch.Tensor) -> list[torch.Tensor]:  # (n, in_channels, 572, 572)
        """Give the features of all levels, finest first."""
        levels = []
        for level, block in enumerate(self.down):
            x = block(self.pool(x) if level else x)
            levels.append(x)  # (n, 64, 568, 568), (n, 128, 280, 280), (n, 256, 136, 136), (n, 512, 64, 64)
        levels[-1] = self.dropout(x)  # (n, 1024, 28, 28)
        return levels

    def _fit(self, image: torch.Tensor) -> torch.Tensor:
        """Give the image with sides that every pooling divides."""
        if self.padding == "same":
            return pad_to_multiple(image, _STRIDE)
        if any(side % _STRIDE != _REST or side < _SMALLEST for side in image.shape[-2:]):
            found = " × ".join(str(side) for side in image.shape[-2:])
            msg = f"unet-2015 without padding got {found} px, but needs sides of 16 k + 12 px from 188 px on, like 572"
            raise ModelError(msg)
        return image


def _double(in_channels: int, out_channels: int, padding: int) -> nn.Sequential:
    """Give two 3×3 convolutions, each rectified: (n, in, h, w) → (n, out, h − 4, w − 4), or h, w with padding."""
    layers: list[nn.Module] = []
    for inside, outside in ((in_channels, out_channels), (out_channels, out_channels)):
        convolution = nn.Conv2d(inside, outside, 3, padding=padding)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")  # section 3: deviation √(2 / inputs)
        layers += [convolution, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _centre(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Give the middle of `x`, of the height and width of `like`."""
    top, left = ((a - b) // 2 for a, b in zip(x.shape[-2:], like.shape[-2:], strict=True))
    return crop_to(x[..., top:, left:], like)
