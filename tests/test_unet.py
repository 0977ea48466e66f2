"""The U-Net: its shapes, its size, and what it refuses."""

import pytest
import torch

from segflow.segmentation.networks.unet import UNet


@pytest.mark.parametrize(("height", "width"), [(16, 16), (48, 80), (160, 32)])
@pytest.mark.parametrize(("bands", "classes"), [(1, 2), (4, 7)])
def test_logits_have_the_height_and_width_of_the_input(height: int, width: int, bands: int, classes: int) -> None:
    network = UNet(bands, classes, widths=(4, 4, 8, 8, 8)).eval()

    assert network(torch.zeros(2, bands, height, width)).shape == (2, classes, height, width)


def test_the_default_has_two_million_parameters() -> None:
    parameters = sum(parameter.numel() for parameter in UNet(3, 2).parameters())

    assert parameters == 1_942_594


def test_a_size_that_is_no_multiple_of_the_stride_is_refused() -> None:
    with pytest.raises(RuntimeError):
        UNet(3, 2, widths=(4, 4, 4))(torch.zeros(1, 3, 18, 16))


def test_every_parameter_learns() -> None:
    network = UNet(3, 2, widths=(4, 4, 8))
    network(torch.rand(2, 3, 32, 32)).square().mean().backward()

    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())
