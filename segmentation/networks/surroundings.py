"""Pixels relative to their surroundings: haze and illumination of a scene taken out of its pixels.

Haze adds to all pixels and brightens the dark ones most; sun and season scale them. Forest in one
scene may have the grey values of pasture in the next, but in both scenes it is darker than what lies around
it, and its colour, which haze does not change, is the same. So a network gets three more views of its input:
the colour, which is each band less the mean of all bands; the input less the darkest value of the
surroundings; and the input in standard deviations from the mean of the surroundings.

Statistics of the surroundings are taken in blocks of 32 px, over a window of some blocks around each, and
interpolated linearly between the centres of the blocks. They reach a bounded distance, so tiles stay exact.
The interpolation is written out, because torch's own rounds differently on one thread and on two.

References
----------
Chavez 1988, "An improved dark-object subtraction technique for atmospheric scattering correction of
multispectral data", Remote Sensing of Environment 24.
"""

import torch
from torch import nn
from torch.nn import functional

BLOCK = 32  # px
_GRAIN = 8  # px; side of the means that the darkest is looked for among: a dead pixel is none
_NOTHING = 1e4  # the darkest value where no pixel is valid; no normalised pixel comes near it
_CALM = 0.2  # added to the deviation, in units of the scaling's: keeps noise small in even surroundings
_FLOOR = 1e-4  # of the variance
VIEWS = 4  # of the input that a network is given


class Surroundings(nn.Module):
    """(n, c, h, w) → (n, 4 c, h, w): the input, its colour, the input above the darkest around, and its deviations.

    All of it goes through asinh, which keeps contrast close to 0 and compresses large values.

    Parameters
    ----------
    blocks
        Side of the window [blocks of 32 px]; odd.

    Raises
    ------
    ValueError
        If `blocks` is even or not positive.
    """

    def __init__(self, blocks: int) -> None:
        super().__init__()
        if blocks < 1 or blocks % 2 == 0:
            msg = f"surroundings must be an odd number of blocks, got {blocks}"
            raise ValueError(msg)
        self.mean = nn.AvgPool2d(BLOCK)
        self.window = nn.AvgPool2d(blocks, stride=1, padding=blocks // 2)
        self.grains = nn.AvgPool2d(_GRAIN)
        self.lightest = nn.MaxPool2d(BLOCK // _GRAIN)
        self.lightest_around = nn.MaxPool2d(blocks, stride=1, padding=blocks // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (n, c, h, w); h and w multiples of 32; 0 is nodata
        """Give the four in the precision of the input, at least float32."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.float() if x.dtype in {torch.bfloat16, torch.float16} else x
            return torch.asinh(torch.cat(self.views(x), dim=1))  # (n, 4 c, h, w)

    def views(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give the four before asinh, each (n, c, h, w)."""
        valid = (x != 0).any(1, keepdim=True).to(x.dtype)  # (n, 1, h, w)
        mean, deviation = self._moments(x, valid)  # (n, c, h / 32, w / 32)
        darkest = self._darkest(x, valid, mean)  # (n, c, h / 32, w / 32)
        colour = x - x.mean(1, keepdim=True)  # (n, c, h, w); 0 for a single band
        above = (x - spread_blocks(darkest)) * valid  # (n, c, h, w)
        deviations = (x - spread_blocks(mean)) / spread_blocks(deviation + _CALM) * valid  # (n, c, h, w)
        return x, colour, above, deviations

    def _moments(self, x: torch.Tensor, valid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Give mean and standard deviation of the valid pixels in the window around each block."""
        share = self.window(self.mean(valid)).clamp_min(1e-6)
        mean = self.window(self.mean(x)) / share
        variance = self.window(self.mean(x.square())) / share - mean.square()
        return mean, (variance.clamp_min(0) + _FLOOR).sqrt()

    def _darkest(self, x: torch.Tensor, valid: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        """Give the darkest grain of the window around each block; the mean where no grain is valid."""
        share = self.grains(valid)  # (n, 1, h / 8, w / 8)
        grains = self.grains(x) / share.clamp_min(1e-6)  # (n, c, h / 8, w / 8)
        grains = torch.where(share > 1 / 2, grains, torch.full_like(grains, _NOTHING))
        darkest = -self.lightest_around(self.lightest(-grains))
        return torch.where(darkest < _NOTHING, darkest, mean)


def spread_blocks(blocks: torch.Tensor) -> torch.Tensor:
    """Interpolate between the centres of blocks, constant beyond the outermost: (n, c, h, w) → (n, c, 32 h, 32 w)."""
    return _stretch(_stretch(blocks, -1), -2)


def _stretch(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Interpolate along the last axis, -1, or the one before, -2; a NaN of weight 0 is left out of the sum."""
    length, half = x.shape[axis], BLOCK // 2
    near = (torch.arange(half, dtype=x.dtype, device=x.device) + 0.5) / BLOCK + 0.5  # weight of the block itself
    near = near if axis == -1 else near[:, None]
    padded = functional.pad(x, (1, 1, 0, 0) if axis == -1 else (0, 0, 1, 1), mode="replicate")
    before, here, after = (padded.narrow(axis, start, length).unsqueeze(axis) for start in range(3))
    back = near.flip(axis)
    halves = (before * (1 - near) + here * near, here * back + after * (1 - back))
    return torch.cat(halves, dim=axis).flatten(axis - 1, axis)
