"""FCN-AlexNet: the two-column AlexNet with its dense layers slid over the image; shapes at the end of each line.

Shapes hold for sides that are multiples of 32.

References
----------
Shelhamer, Long, Darrell 2016, section 4.1 and the reference network voc-fcn-alexnet.
Krizhevsky, Sutskever, Hinton 2012, "ImageNet Classification with Deep Convolutional Neural Networks".
"""

import torch
from torch import nn

from segflow.segmentation.networks.bilinear import bilinear_upsampling, crop

_BORDER = 100  # px of zeros around the image
_OFFSET = 18  # px; where the centres of coarse cells and of their receptive fields coincide


class AlexNetFCN(nn.Module):
    """Five convolutions, three of them in two groups, two dense layers and one score at stride 32.

    Parameters
    ----------
    in_channels, classes
        Channels of the input and of the logits.
    width
        Factor on all hidden channels, which stay even; 1 is the published network.
    learnable_upsampling
        Whether the bilinear kernel is trained.
    """

    def __init__(
        self, in_channels: int, classes: int, *, width: float = 1.0, learnable_upsampling: bool = False
    ) -> None:
        super().__init__()
        c1, c2, c3, c4, c5, c6, c7 = (2 * max(1, round(width * c / 2)) for c in (96, 256, 384, 384, 256, 4096, 4096))
        self.conv1 = _convolution(in_channels, c1, 11, stride=4, padding=_BORDER)
        self.conv2 = _convolution(c1, c2, 5, padding=2, groups=2)
        self.conv3 = _convolution(c2, c3, 3, padding=1)
        self.conv4 = _convolution(c3, c4, 3, padding=1, groups=2)
        self.conv5 = _convolution(c4, c5, 3, padding=1, groups=2)
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.norm = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)
        self.fc6 = nn.Sequential(_convolution(c5, c6, 6), nn.Dropout(0.5))
        self.fc7 = nn.Sequential(_convolution(c6, c7, 1), nn.Dropout(0.5))
        self.score_fr = nn.Conv2d(c7, classes, 1)
        nn.init.zeros_(self.score_fr.weight)
        nn.init.zeros_(self.score_fr.bias)  # type: ignore[arg-type]  # it has one
        self.upscore = bilinear_upsampling(classes, 63, 32, learnable=learnable_upsampling)

    def forward(self, image: torch.Tensor) -> torch.Tensor:  # (n, in_channels, h, w)
        """Give logits of the input's height and width."""
        return crop(self.upscore(self.coarse_scores(image)), _OFFSET, image)  # (n, classes, h, w)

    def coarse_scores(self, image: torch.Tensor) -> torch.Tensor:  # (n, in_channels, h, w)
        """Give logits at stride 32; the receptive field of each is 355 × 355 px."""
        x = self.conv1(image)  # (n, 96, h/4 + 48, w/4 + 48)
        x = self.norm(self.pool(x))  # (n, 96, h/8 + 24, w/8 + 24)
        x = self.conv2(x)  # (n, 256, h/8 + 24, w/8 + 24)
        x = self.norm(self.pool(x))  # (n, 256, h/16 + 12, w/16 + 12)
        x = self.conv3(x)  # (n, 384, h/16 + 12, w/16 + 12)
        x = self.conv4(x)  # (n, 384, h/16 + 12, w/16 + 12)
        x = self.conv5(x)  # (n, 256, h/16 + 12, w/16 + 12)
        x = self.pool(x)  # (n, 256, h/32 + 6, w/32 + 6)
        x = self.fc7(self.fc6(x))  # (n, 4096, h/32 + 1, w/32 + 1)
        return self.score_fr(x)  # type: ignore[no-any-return]  # (n, classes, h/32 + 1, w/32 + 1)


def _convolution(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, padding: int = 0, groups: int = 1
) -> nn.Sequential:
    """Give a rectified convolution."""
    layer = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=padding, groups=groups)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has one
    return nn.Sequential(layer, nn.ReLU(inplace=True))
