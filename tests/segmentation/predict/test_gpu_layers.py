"""Layers for GPUs against the plain ones, on a CPU with cuDNN's operation spelt out."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from segflow.segmentation.networks.unet import UNet
from segflow.segmentation.predict.cuda_layers import HalfConvolution, speed_up
from segflow.segmentation.predict.engines import fuse


@pytest.fixture(autouse=True)
def _spelt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def convolution_relu(x, weight, bias, stride, padding, dilation, groups):
        return functional.conv2d(x, weight, bias, stride, padding, dilation, groups).relu()

    monkeypatch.setattr(torch, "cudnn_convolution_relu", convolution_relu)


@pytest.mark.parametrize("options", [{"surroundings": 3}, {"stem": 2}, {"compress": True}])
def test_faster_layers_compute_the_same(options: dict) -> None:
    torch.manual_seed(0)
    network = UNet(3, 2, widths=(16, 32), **options)
    network(torch.randn(2, 3, 64, 64))
    image = torch.randn(1, 3, 128, 64)
    image[..., :20, :20] = 0
    plain = fuse(network)
    fast = speed_up(fuse(network), torch.float32)

    assert sum(isinstance(part, HalfConvolution) for part in fast.modules()) == 7
    assert not any(isinstance(part, nn.ReLU) for part in fast.down.modules())
    assert torch.allclose(fast(image), plain(image), atol=1e-5)


def test_layers_that_are_not_plain_stay() -> None:
    network = nn.Sequential(
        nn.Conv2d(4, 4, 3, groups=2, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding="same"), nn.ReLU6()
    )
    fast = speed_up(network.eval(), torch.float32)

    assert [type(layer) for layer in fast] == [nn.Conv2d, nn.ReLU, nn.Conv2d, nn.ReLU6]
