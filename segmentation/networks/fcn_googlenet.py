"""FCN-GoogLeNet: torchvision's normalised GoogLeNet, scored at stride 32; shapes at the end of each line.

No reference network was released for this one. Layers keep torchvision's names, so that its weights load.
Shapes hold for sides that are multiples of 32.

References
----------
Shelhamer, Long, Darrell 2016, section 4.1.
Szegedy et al. 2014, "Going Deeper with Convolutions", figure 3.
"""

import torch
from torch import nn
from torch.nn import functional

from segflow.segmentation.networks.bilinear import bilinear_upsampling, crop

_BORDER = 32  # px of zeros around the image: one coarse cell, so that two receptive fields hold every pixel at the edge
_OFFSET = 41  # px; the receptive field of cell i is centred on 32 i − 10, its kernel of 63 on 32 i + 31
_FEATURES = 1024


class GoogLeNetFCN(nn.Module):
    """Nine inception modules and one score at stride 32.

    Parameters
    ----------
    in_channels, classes
        Channels of the input and of the logits.
    learnable_upsampling
        Whether the bilinear kernel is trained.
    """

    def __init__(self, in_channels: int, classes: int, *, learnable_upsampling: bool = False) -> None:
        super().__init__()
        from torchvision.models.googlenet import GoogLeNet  # noqa: PLC0415  # half a second, for this network only

        whole = GoogLeNet(num_classes=1, aux_logits=False, transform_input=False, init_weights=False)
        self.conv1 = type(whole.conv1)(in_channels, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1, self.maxpool2 = whole.maxpool1, whole.maxpool2
        self.maxpool3, self.maxpool4 = whole.maxpool3, whole.maxpool4
        self.conv2, self.conv3 = whole.conv2, whole.conv3
        self.inception3a, self.inception3b = whole.inception3a, whole.inception3b
        self.inception4a, self.inception4b = whole.inception4a, whole.inception4b
        self.inception4c, self.inception4d = whole.inception4c, whole.inception4d
        self.inception4e = whole.inception4e
        self.inception5a, self.inception5b = whole.inception5a, whole.inception5b
        self.dropout = nn.Dropout(0.2)
        self.score_fr = nn.Conv2d(_FEATURES, classes, 1)
        self.upscore = bilinear_upsampling(classes, 63, 32, learnable=learnable_upsampling)

    def forward(self, image: torch.Tensor) -> torch.Tensor:  # (n, in_channels, h, w)
        """Give logits of the input's height and width."""
        x = functional.pad(image, [_BORDER] * 4)  # (n, in_channels, h + 64, w + 64)
        x = self.maxpool1(self.conv1(x))  # (n, 64, h/4 + 16, w/4 + 16)
        x = self.maxpool2(self.conv3(self.conv2(x)))  # (n, 192, h/8 + 8, w/8 + 8)
        x = self.inception3b(self.inception3a(x))  # (n, 480, h/8 + 8, w/8 + 8)
        x = self.inception4a(self.maxpool3(x))  # (n, 512, h/16 + 4, w/16 + 4)
        x = self.inception4d(self.inception4c(self.inception4b(x)))  # (n, 528, h/16 + 4, w/16 + 4)
        x = self.inception5a(self.maxpool4(self.inception4e(x)))  # (n, 832, h/32 + 2, w/32 + 2)
        x = self.dropout(self.inception5b(x))  # (n, 1024, h/32 + 2, w/32 + 2)
        x = self.upscore(self.score_fr(x))  # (n, classes, h + 95, w + 95)
        return crop(x, _OFFSET, image)  # (n, classes, h, w)
