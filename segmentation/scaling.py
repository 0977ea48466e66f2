"""The scaling of pixels, ``(pixel - mean) / std``, for training, prediction and export alike."""

from collections.abc import Sequence

import torch

from segflow.segmentation.spec import BandSpec


def scaling_of(bands: Sequence[BandSpec]) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the means and the standard deviations of bands: two (bands, 1, 1) float32 tensors."""
    mean = torch.tensor([band.mean for band in bands], dtype=torch.float32)
    std = torch.tensor([band.std for band in bands], dtype=torch.float32)
    return mean[:, None, None], std[:, None, None]


def scale_pixels(
    pixels: torch.Tensor, mean: torch.Tensor, std: torch.Tensor, valid: torch.Tensor | None = None
) -> torch.Tensor:
    """Scale pixels in place.

    Parameters
    ----------
    pixels
        (…, bands, height, width) float32 tensor, which is overwritten.
    mean, std
        As `scaling_of` gives them.
    valid
        (…, 1, height, width) bool tensor; pixels that are not valid become 0, whatever they hold. None: all are.
    """
    scaled = pixels.sub_(mean).div_(std)
    return scaled if valid is None else scaled.masked_fill_(~valid, 0)
