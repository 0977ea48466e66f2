"""The FCN-8s of the KITTI-road exercises: VGG16 with 1×1 scores on layers 3, 4 and 7, all with same padding.

It differs from the published FCN-8s: nothing is cropped, the transposed convolutions are learned and
start random, and training drops three quarters of the dense layers.

References
----------
Shelhamer, Long, Darrell 2016, figure 3; KITTI road benchmark (Fritsch, Kühnl, Geiger 2013).
"""

import torch
from torch import nn

from segflow.segmentation.networks.fcn_vgg16 import VGG16
from segflow.segmentation.networks.sizes import STRIDE, crop_to, pad_to_multiple

_DROPOUT = 0.75  # keep_prob 0.25
_DEVIATION = 0.01  # of the weights that are not VGG16's


class KittiFCN(nn.Module):
    """Three scores, upsampled by 2, 2 and 8 and added.

    Parameters
    ----------
    in_channels, classes
        Channels of the input and of the logits.
    width, batch_norm
        Factor on the hidden channels and normalisation, as in `fcn_vgg16.FCN`.
    dropout
        Share of the dense layers' outputs that training sets to 0.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        *,
        width: float = 1.0,
        batch_norm: bool = False,
        dropout: float = _DROPOUT,
    ) -> None:
        super().__init__()
        self.vgg = VGG16(in_channels, width=width, batch_norm=batch_norm, dropout=dropout, same=True)
        layer3, layer4, layer7 = self.vgg.channels
        self.score3 = nn.Conv2d(layer3, classes, 1)
        self.score4 = nn.Conv2d(layer4, classes, 1)
        self.score7 = nn.Conv2d(layer7, classes, 1)
        self.up7 = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1)
        self.up4 = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1)
        self.up3 = nn.ConvTranspose2d(classes, classes, 16, stride=8, padding=4)
        for layer in (self.score3, self.score4, self.score7, self.up7, self.up4, self.up3):
            nn.init.normal_(layer.weight, std=_DEVIATION)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, image: torch.Tensor) -> torch.Tensor:  # (n, in_channels, h, w)
        """Give logits of the input's height and width."""
        x = pad_to_multiple(image, STRIDE)  # h and w are multiples of 32 from here on
        layer3, layer4, layer7 = self.vgg(x)  # (n, 256, h/8, w/8), (n, 512, h/16, w/16), (n, 4096, h/32, w/32)
        x = self.up7(self.score7(layer7))  # (n, classes, h/16, w/16)
        x = self.up4(x + self.score4(layer4))  # (n, classes, h/8, w/8)
        x = self.up3(x + self.score3(layer3))  # (n, classes, h, w)
        return crop_to(x, image)
