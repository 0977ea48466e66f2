"""FCN-32s, FCN-16s and FCN-8s on VGG16, as published; shapes stand at the end of each line.

Shapes hold for sides that are multiples of 32, other sides round up on the way down. The offsets of
the crops are those at which the centre of a coarse cell and that of its receptive field coincide.

References
----------
Shelhamer, Long, Darrell 2016, "Fully Convolutional Networks for Semantic Segmentation", sections 3
and 4 and the reference networks voc-fcn32s, voc-fcn16s, voc-fcn8s, voc-fcn8s-atonce.
Simonyan, Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
configuration D.
"""

import itertools

import torch
from torch import nn
from torch.nn import functional

from segflow.segmentation.networks.bilinear import bilinear_upsampling, crop

_BORDER = 99  # px of zeros around the image; conv1_1 adds 1, which makes the reference's padding of 100
_FIRST_OFFSETS = {32: 19, 16: 27, 8: 31}  # px; of the last crop, by the finest stride that is scored
_POOL4_SCALE, _POOL3_SCALE = 1e-2, 1e-4  # of the at-once network: deep features are larger than shallow ones


class FCN(nn.Module):
    """VGG16 with its dense layers slid over the image, scored at one to three depths.

    Parameters
    ----------
    in_channels, classes
        Channels of the input and of the logits.
    finest
        Finest stride that is scored: 32 (fc7), 16 (and pool4) or 8 (and pool3).
    width
        Factor on all hidden channels; 1 is the published network. Ours, for training on little data.
    batch_norm
        Whether convolutions are normalised. Ours too: without weights to start from, 16 layers need it.
    learnable_upsampling
        Whether the bilinear kernels are trained.
    at_once
        Whether pool4 and pool3 are scaled, so that all depths can be trained from the start
        instead of 32s, then 16s, then 8s.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        *,
        finest: int = 8,
        width: float = 1.0,
        batch_norm: bool = False,
        learnable_upsampling: bool = False,
        at_once: bool = False,
    ) -> None:
        super().__init__()
        if finest not in _FIRST_OFFSETS:
            msg = f"finest must be one of {', '.join(map(str, _FIRST_OFFSETS))}, got {finest}"
            raise ValueError(msg)
        self.finest = finest
        self.scale4, self.scale3 = (_POOL4_SCALE, _POOL3_SCALE) if at_once else (1.0, 1.0)
        self.vgg = VGG16(in_channels, width=width, batch_norm=batch_norm)
        pool3, pool4, fc7 = self.vgg.channels
        self.score_fr = _score(fc7, classes)
        if finest <= 16:  # noqa: PLR2004  # a stride
            self.score_pool4 = _score(pool4, classes)
            self.upscore2 = bilinear_upsampling(classes, 4, 2, learnable=learnable_upsampling)
        if finest <= 8:  # noqa: PLR2004
            self.score_pool3 = _score(pool3, classes)
            self.upscore_pool4 = bilinear_upsampling(classes, 4, 2, learnable=learnable_upsampling)
        self.upscore = bilinear_upsampling(classes, 2 * finest, finest, learnable=learnable_upsampling)

    def forward(self, image: torch.Tensor) -> torch.Tensor:  # (n, in_channels, h, w)
        """Give logits of the input's height and width."""
        x = functional.pad(image, [_BORDER] * 4)  # (n, in_channels, h + 198, w + 198)
        pool3, pool4, fc7 = self.vgg(x)  # (n, 256, h/8 + 25, …), (n, 512, h/16 + 13, …), (n, 4096, h/32 + 1, …)
        x = self.score_fr(fc7)  # (n, classes, h/32 + 1, w/32 + 1)
        if self.finest <= 16:  # noqa: PLR2004
            x = self.upscore2(x)  # (n, classes, h/16 + 4, w/16 + 4)
            x = x + crop(self.score_pool4(self.scale4 * pool4), 5, x)  # (n, classes, h/16 + 4, w/16 + 4)
        if self.finest <= 8:  # noqa: PLR2004
            x = self.upscore_pool4(x)  # (n, classes, h/8 + 10, w/8 + 10)
            x = x + crop(self.score_pool3(self.scale3 * pool3), 9, x)  # (n, classes, h/8 + 10, w/8 + 10)
        x = self.upscore(x)  # (n, classes, h + 64, …) from 32s, h + 80 from 16s, h + 88 from 8s
        return crop(x, _FIRST_OFFSETS[self.finest], image)  # (n, classes, h, w)


class VGG16(nn.Module):
    """The 16 layers of VGG16 but the last, the dense ones as convolutions.

    Parameters
    ----------
    in_channels
        Channels of the input.
    width, batch_norm
        As in `FCN`.
    dropout
        Share of the dense layers' outputs that training sets to 0.
    same
        Whether fc6 pads its input, so that fc7 has the size of pool5; otherwise it loses 6 cells.

    Attributes
    ----------
    channels
        Channels of pool3, pool4 and fc7.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        width: float = 1.0,
        batch_norm: bool = False,
        dropout: float = 0.5,
        same: bool = False,
    ) -> None:
        super().__init__()
        c1, c2, c3, c4, c5, c6, c7 = (max(1, round(width * c)) for c in (64, 128, 256, 512, 512, 4096, 4096))
        self.stage1 = _stage((in_channels, c1, c1), batch_norm=batch_norm)
        self.stage2 = _stage((c1, c2, c2), batch_norm=batch_norm)
        self.stage3 = _stage((c2, c3, c3, c3), batch_norm=batch_norm)
        self.stage4 = _stage((c3, c4, c4, c4), batch_norm=batch_norm)
        self.stage5 = _stage((c4, c5, c5, c5), batch_norm=batch_norm)
        self.fc6 = nn.Sequential(*_layer(c5, c6, 7, 3 if same else 0, batch_norm=batch_norm), nn.Dropout(dropout))
        self.fc7 = nn.Sequential(*_layer(c6, c7, 1, 0, batch_norm=batch_norm), nn.Dropout(dropout))
        self.channels = (c3, c4, c7)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # (n, in_channels, h, w)
        """Give pool3, pool4 and fc7; for an image of 224 × 224, fc7 is what the classifier's is."""
        x = self.stage1(x)  # (n, 64, h/2, w/2)
        x = self.stage2(x)  # (n, 128, h/4, w/4)
        pool3 = self.stage3(x)  # (n, 256, h/8, w/8)
        pool4 = self.stage4(pool3)  # (n, 512, h/16, w/16)
        x = self.stage5(pool4)  # (n, 512, h/32, w/32)
        x = self.fc6(x)  # (n, 4096, h/32 − 6, w/32 − 6); with `same` (n, 4096, h/32, w/32)
        return pool3, pool4, self.fc7(x)  # fc7 has the shape of fc6


def _stage(channels: tuple[int, ...], *, batch_norm: bool) -> nn.Sequential:
    """Give 3×3 convolutions and a pooling that counts the last odd pixel: (n, c0, h, w) → (n, c, h/2, w/2)."""
    pairs = itertools.pairwise(channels)
    layers = itertools.chain.from_iterable(_layer(a, b, 3, 1, batch_norm=batch_norm) for a, b in pairs)
    return nn.Sequential(*layers, nn.MaxPool2d(2, ceil_mode=True))


def _layer(in_channels: int, out_channels: int, kernel: int, padding: int, *, batch_norm: bool) -> list[nn.Module]:
    convolution = nn.Conv2d(in_channels, out_channels, kernel, padding=padding)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]  # it has one
    normalisation = [nn.BatchNorm2d(out_channels)] if batch_norm else []
    return [convolution, *normalisation, nn.ReLU(inplace=True)]


def _score(in_channels: int, classes: int) -> nn.Conv2d:
    """Give a 1×1 convolution that starts at 0, so that a new skip changes nothing before it has learned."""
    score = nn.Conv2d(in_channels, classes, 1)
    nn.init.zeros_(score.weight)
    nn.init.zeros_(score.bias)  # type: ignore[arg-type]  # it has one
    return score
