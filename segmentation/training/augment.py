"""Augmentation of batches of chips on their device: illumination, symmetries, warps, cutout and CutMix.

The eight symmetries of the square are copies of pixels here. Kornia has them too, by way of
interpolation: measured on one core for 8 chips of 3 × 256 × 256 px, its flips and quarter turns took
38 ms, these 3 ms, of a training step of 700 ms (docs/decisions/007-chips.md). Rotation and scale by
any amount are kornia's, and off by default. All random numbers come from torch's generator.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import kornia.augmentation as K  # noqa: N812  # its documentation's name
import torch
from torch import nn

from segflow.configs.recipe import Augmentation
from segflow.segmentation.scaling import scale_pixels, scaling_of
from segflow.segmentation.spec import BandSpec
from segflow.tiling import NODATA

_SYMMETRIES = 8  # of the square
_QUARTERS = 4


class RandomTint(K.IntensityAugmentationBase2D):
    """Random illumination and haze of every chip: ``pixel × gain + haze``.

    Parameters
    ----------
    std
        (bands,) standard deviation of each band [unit of the pixels].
    augmentation
        How strong they are.
    """

    def __init__(self, std: torch.Tensor, augmentation: Augmentation) -> None:
        super().__init__(p=1.0, same_on_batch=False, p_batch=1.0)
        self.std: torch.Tensor
        self.register_buffer("std", std)
        self.strength = augmentation

    def generate_parameters(self, batch_shape: tuple[int, ...]) -> dict[str, torch.Tensor]:
        """Draw the (chips, bands, 1, 1) gains and hazes of a batch."""
        chips, bands = batch_shape[0], batch_shape[1]
        tint = self.strength
        gain = tint.gain * torch.randn(chips, 1) + tint.band_gain * torch.randn(chips, bands)
        haze = tint.haze * torch.randn(chips, 1) + tint.band_haze * torch.randn(chips, bands)
        return {"gain": gain.exp()[..., None, None], "haze": haze[..., None, None]}

    def apply_transform(
        self,
        input: torch.Tensor,  # noqa: A002  # kornia's name
        params: Mapping[str, torch.Tensor],
        flags: Mapping[str, Any],  # noqa: ARG002  # kornia's signature
        transform: torch.Tensor | None = None,  # noqa: ARG002
    ) -> torch.Tensor:
        """Give (chips, bands, h, w) pixels with the gains and hazes that were drawn."""
        gain, haze = (params[name].to(input) for name in ("gain", "haze"))
        return input * gain + haze * self.std[:, None, None]


class ChipAugmentation(nn.Module):
    """Raw chips in, normalised and augmented chips out.

    Parameters
    ----------
    bands
        Scaling of the bands.
    augmentation
        How chips vary.
    """

    def __init__(self, bands: Sequence[BandSpec], augmentation: Augmentation) -> None:
        super().__init__()
        self.options = augmentation
        self.mean: torch.Tensor
        self.std: torch.Tensor
        mean, std = scaling_of(bands)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        strengths = (augmentation.gain, augmentation.band_gain, augmentation.haze, augmentation.band_haze)
        self.tint = RandomTint(std[:, 0, 0], augmentation) if any(strengths) else nn.Identity()
        self.warp = _warp(augmentation) if augmentation.rotate or augmentation.scale else None

    @torch.no_grad()
    def forward(
        self, images: torch.Tensor, labels: torch.Tensor, valid: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalise and augment a batch.

        Parameters
        ----------
        images, labels, valid
            (n, bands, h, w) float32 pixels, (n, h, w) uint8 labels and (n, 1, h, w) bool validity.

        Returns
        -------
        (n, bands, h, w) float32 normalised images, 0 where not valid, and (n, h, w) uint8 labels.
        """
        images = scale_pixels(self.tint(images), self.mean, self.std, valid)
        if self.warp is not None:
            images, labels = warp_chips(self.warp, images, labels)
        if self.options.turn:
            images, labels = turn_chips(images, labels, torch.randint(_SYMMETRIES, (len(images),)).tolist())
        if self.options.cutmix:
            images, labels = mix_chips(images, labels, self.options.cutmix)
        if self.options.cutout:
            images, labels = cut_chips(images, labels, self.options.cutout)
        return images.contiguous(memory_format=torch.channels_last), labels


def turn_chips(
    images: torch.Tensor, labels: torch.Tensor, symmetries: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Give square chips with their labels, each under one of the eight symmetries of the square; 0 is none."""
    turned, turned_labels = torch.empty_like(images), torch.empty_like(labels)
    for index, symmetry in enumerate(symmetries):
        for source, target in ((images, turned), (labels, turned_labels)):
            chip = torch.rot90(source[index], symmetry % _QUARTERS, (-2, -1))
            target[index] = chip.flip(-1) if symmetry >= _QUARTERS else chip
    return turned, turned_labels


def warp_chips(
    warp: K.AugmentationSequential, images: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Give chips rotated and scaled, images bilinearly, labels by the nearest; pixels from outside get the label 255.

    Kornia fills with 0, so labels are shifted by one for it: the uint8 255 becomes 0.
    """
    warped, shifted = warp(images, (labels + 1)[:, None].float())
    return warped, shifted[:, 0].to(torch.uint8) - 1


def mix_chips(images: torch.Tensor, labels: torch.Tensor, chance: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Paste a rectangle of the next chip of the batch, pixels and labels, into chips drawn by `chance`.

    References
    ----------
    Yun et al. 2019, "CutMix", equation 2: the share of the rectangle is uniform in 0..1.
    """
    mixed, mixed_labels = images.clone(), labels.clone()
    for index in torch.nonzero(torch.rand(len(images)) < chance)[:, 0].tolist():
        box = _rectangle(images.shape[-2:], float(torch.rand(())))
        other = (index + 1) % len(images)
        mixed[index, :, *box], mixed_labels[index, *box] = images[other, :, *box], labels[other, *box]
    return mixed, mixed_labels


def cut_chips(images: torch.Tensor, labels: torch.Tensor, chance: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut a hole of up to a quarter of its area into chips drawn by `chance`: nodata, and the label 255.

    References
    ----------
    DeVries, Taylor 2017, "Improved Regularization of Convolutional Neural Networks with Cutout".
    """
    images, labels = images.clone(), labels.clone()
    for index in torch.nonzero(torch.rand(len(images)) < chance)[:, 0].tolist():
        box = _rectangle(images.shape[-2:], float(torch.rand(())) / 4)
        images[index, :, *box], labels[index, *box] = 0, NODATA
    return images, labels


def _rectangle(shape: Sequence[int], share: float) -> tuple[slice, slice]:
    """Give a random rectangle with the proportions of `shape` and about a `share` of its area, clipped to it."""
    spans = []
    for side in shape:
        centre, half = int(torch.randint(side, ())), int(side * share**0.5 / 2)
        spans.append(slice(max(0, centre - half), centre + half))
    return spans[0], spans[1]


def _warp(augmentation: Augmentation) -> K.AugmentationSequential:
    scale = (1 - augmentation.scale, 1 + augmentation.scale)
    return K.AugmentationSequential(
        K.RandomAffine(augmentation.rotate, scale=scale, p=1.0), data_keys=["input", "mask"]
    )
