"""A compact U-Net in one file; its shapes stand at the end of each line.

References
----------
Ronneberger, Fischer, Brox 2015, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", figure 1; here with same-padding convolutions, batch normalisation and
half to a quarter of its widths.
"""

import itertools
from collections.abc import Sequence

import torch
from torch import nn

from segflow.segmentation.networks.surroundings import VIEWS, Surroundings

WIDTHS = (16, 32, 64, 128, 256)  # channels per level; 1.9 million parameters, 7.8 MB


class UNet(nn.Module):
    """Four times down, four times up, with skips; as many levels as `widths` has entries after the first.

    Parameters
    ----------
    in_channels, classes
        Channels of the input and of the logits.
    widths
        Channels per level, finest first. The stride is ``2 ** (len(widths) - 1)``;
        height and width of the input must be multiples of it.
    compress
        Whether the network is given asinh of its input. That keeps the contrast close to the scaling's mean,
        where forest and regrowth differ by few grey values, and compresses it on roofs and sand.
    surroundings
        Side of the window [blocks of 32 px, odd] that pixels are compared with, all of it through asinh; see
        `segflow.segmentation.networks.surroundings`. 0: none. Otherwise the stride is at least 32.
    stem
        Blocks of ``stem × stem`` pixels become the channels of one pixel, and the logits are upsampled again
        at the end. That saves the finest level where objects are several pixels wide, as roads at 1 m are.
        The stride is `stem` times as large.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        widths: Sequence[int] = WIDTHS,
        *,
        compress: bool = False,
        surroundings: int = 0,
        stem: int = 1,
    ) -> None:
        super().__init__()
        self.compress = compress and not surroundings
        self.surroundings = Surroundings(surroundings) if surroundings else nn.Identity()
        self.fold = nn.PixelUnshuffle(stem) if stem > 1 else nn.Identity()
        ins = (in_channels * (VIEWS if surroundings else 1) * stem**2, *widths)
        self.down = nn.ModuleList(double_conv(a, b) for a, b in itertools.pairwise(ins))
        self.pool = nn.MaxPool2d(2)
        pairs = list(itertools.pairwise(widths))[::-1]  # (finer, coarser), coarsest pair first
        self.up = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, kernel_size=2, stride=2) for fine, coarse in pairs)
        self.merge = nn.ModuleList(double_conv(2 * fine, fine) for fine, _ in pairs)
        fine = widths[0] if stem == 1 else widths[0] // 2
        self.unfold = (
            nn.Sequential(nn.ConvTranspose2d(widths[0], fine, stem, stem), nn.ReLU(inplace=True))
            if stem > 1
            else nn.Identity()
        )
        self.head = nn.Conv2d(fine, classes, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (n, in_channels, h, w)
        """Give logits of the input's height and width."""
        if self.compress:
            x = torch.asinh(x)  # (n, in_channels, h, w); 0, which stands for nodata, stays 0
        x = self.surroundings(x)  # (n, in_channels or 4 in_channels, h, w)
        x = self.fold(x)  # (n, in_channels stem², h / stem, w / stem); h and w stand for these from here
        skips = []
        for level, block in enumerate(self.down):
            x = block(self.pool(x) if level else x)  # (n, widths[level], h / 2**level, w / 2**level)
            skips.append(x)
        skips.pop()  # the coarsest level goes straight up
        for up, merge in zip(self.up, self.merge, strict=True):
            x = up(x)  # (n, fine, 2 h', 2 w')
            x = merge(torch.cat((skips.pop(), x), dim=1))  # (n, 2 fine, …) → (n, fine, …)
        return self.head(self.unfold(x))  # type: ignore[no-any-return]  # (n, classes, h, w)


def double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """Give two 3×3 convolutions, each normalised and rectified: (n, in, h, w) → (n, out, h, w)."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),  # the normalisation brings the bias
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
