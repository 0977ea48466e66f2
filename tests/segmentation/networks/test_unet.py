"""The U-Net: its shapes, its size, and what it refuses."""

import pytest
import torch

from segflow.segmentation.networks.unet import UNet
from segflow.segmentation.probe import guarantee_for, probe_network


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


@pytest.mark.parametrize("stem", [2, 4])
def test_a_stem_folds_pixels_and_tiles_stay_exact(stem: int) -> None:
    torch.manual_seed(0)
    network = UNet(3, 2, widths=(4, 8, 8), stem=stem).eval()
    probe = probe_network(network, 3)
    margin, guarantee = guarantee_for(probe)

    assert network(torch.zeros(1, 3, 16 * stem, 8 * stem)).shape == (1, 2, 16 * stem, 8 * stem)
    assert (probe.stride, guarantee) == (4 * stem, "exact")
    pixels = torch.rand(1, 3, 256, 256)
    with torch.inference_mode():
        whole = network(pixels)
        part = network(pixels[..., 128 - margin : 160 + margin, : 64 + margin])
    assert torch.equal(part[..., margin : margin + 32, :64].argmax(1), whole[..., 128:160, :64].argmax(1))
    assert torch.allclose(part[..., margin : margin + 32, :64], whole[..., 128:160, :64], atol=1e-6)
