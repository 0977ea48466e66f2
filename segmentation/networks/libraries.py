"""Networks taken whole from torchvision and segmentation-models-pytorch, made to give logits of the input's size.

Nothing is downloaded: they start with random weights, and `pretrained` loads others.
Both libraries take a second or two to import, so only the networks that need them do it.

References
----------
torchvision 0.29, `torchvision.models.segmentation.fcn`; segmentation-models-pytorch 0.6, `create_model`.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from segflow.segmentation.networks.sizes import STRIDE, crop_to, pad_to_multiple

_DILATED_STRIDE = 8  # px; torchvision's FCN dilates its last two stages instead of striding them


class ResNetFCN(nn.Module):
    """torchvision's FCN on a dilated ResNet, without its auxiliary loss.

    Layers keep torchvision's names, so that its weights load.

    Parameters
    ----------
    in_channels, classes
        Channels of the input and of the logits.
    depth
        50 or 101 layers.
    """

    def __init__(self, in_channels: int, classes: int, *, depth: int = 50) -> None:
        super().__init__()
        from torchvision.models import segmentation  # noqa: PLC0415  # see the module's docstring

        build = {50: segmentation.fcn_resnet50, 101: segmentation.fcn_resnet101}.get(depth)
        if build is None:
            msg = f"depth must be 50 or 101, got {depth}"
            raise ValueError(msg)
        whole = build(weights=None, weights_backbone=None, num_classes=classes, aux_loss=False)
        self.backbone, self.classifier = whole.backbone, whole.classifier
        self.backbone.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(self.backbone.conv1.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: torch.Tensor) -> torch.Tensor:  # (n, in_channels, h, w)
        """Give logits of the input's height and width."""
        x = pad_to_multiple(image, _DILATED_STRIDE)  # (n, in_channels, h, w)
        size = x.shape[-2:]
        x = self.backbone(x)["out"]  # (n, 2048, h/8, w/8)
        x = self.classifier(x)  # (n, classes, h/8, w/8)
        x = functional.interpolate(x, size=size, mode="bilinear", align_corners=False)  # (n, classes, h, w)
        return crop_to(x, image)


class LibraryNetwork(nn.Module):
    """Any decoder on any encoder of segmentation-models-pytorch.

    Parameters
    ----------
    in_channels, classes
        Channels of the input and of the logits.
    decoder, encoder
        Names there, such as ``unet``, ``fpn``, ``deeplabv3plus`` and ``resnet34``, ``vgg16``, ``tu-convnext_tiny``.
    options
        What else its decoder takes, by keyword.

    Attributes
    ----------
    multiple
        What the network's input is padded to [px].
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        *,
        decoder: str = "unet",
        encoder: str = "resnet34",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        import segmentation_models_pytorch as smp  # noqa: PLC0415  # see the module's docstring

        self.network = smp.create_model(
            decoder, encoder, encoder_weights=None, in_channels=in_channels, classes=classes, **(options or {})
        )
        self.multiple = int(getattr(self.network.encoder, "output_stride", STRIDE))

    def forward(self, image: torch.Tensor) -> torch.Tensor:  # (n, in_channels, h, w)
        """Give logits of the input's height and width."""
        return crop_to(self.network(pad_to_multiple(image, self.multiple)), image)  # (n, classes, h, w)
