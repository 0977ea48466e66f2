"""The 23-layer U-Net: row S7, by the paper's figures."""

import pytest
import torch
from torch import nn

from segflow.errors import ModelError
from segflow.segmentation.networks.registry import build_network
from segflow.segmentation.networks.unet_2015 import UNet2015


def test_s7_parameters_and_layers() -> None:
    with torch.device("meta"):
        network = build_network("unet-2015", {}, in_channels=1, classes=2)
    kinds = [
        (type(layer).__name__, layer.kernel_size[0], name.split(".")[0])
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]

    assert sum(parameter.numel() for parameter in network.parameters()) == 31_030_658
    assert len(kinds) == 23
    assert kinds.count(("Conv2d", 3, "down")) == 10
    assert kinds.count(("ConvTranspose2d", 2, "up")) == 4
    assert kinds.count(("Conv2d", 3, "merge")) == 8
    assert kinds.count(("Conv2d", 1, "head")) == 1


def test_s7_valid_mode() -> None:
    """572 → 388, with 568, 280, 136 and 64 on the way down and 28 at the bottom."""
    network = UNet2015(1, 2, padding="valid", width=1 / 32)
    image = torch.zeros(1, 1, 572, 572)
    with torch.inference_mode():
        assert [level.shape[-1] for level in network.encode(image)] == [568, 280, 136, 64, 28]
        assert network(image).shape == (1, 2, 388, 388)
        assert network(torch.zeros(1, 1, 188, 204)).shape == (1, 2, 4, 20)


def test_s7_valid_mode_is_the_middle_of_the_same_mode() -> None:
    """Crop and concatenate puts the skips where they belong: both modes agree where no padding reaches.

    The valid mode pools from pixels 2, 6, 14 and 30 on, so its grid is that of the same mode when it starts at 2.
    """
    torch.manual_seed(0)
    same = UNet2015(1, 2, padding="same", width=1 / 32).double().eval()
    valid = UNet2015(1, 2, padding="valid", width=1 / 32).double().eval()
    valid.load_state_dict(same.state_dict())
    image = torch.randn(1, 1, 400, 416, dtype=torch.float64)
    part, middle = slice(2, 2 + 380), slice(2 + 92, 2 + 288)
    with torch.no_grad():
        torch.testing.assert_close(valid(image[..., part, part]), same(image)[..., middle, middle])


@pytest.mark.parametrize("shape", [(570, 572), (572, 512), (172, 572)])
def test_s7_valid_mode_refuses_sides_that_do_not_halve(shape: tuple[int, int]) -> None:
    network = UNet2015(1, 2, padding="valid", width=1 / 32)

    with pytest.raises(ModelError, match=f"got {shape[0]} × {shape[1]} px, but needs sides of 16 k \\+ 12"):
        network(torch.zeros(1, 1, *shape))


def test_s7_same_mode_keeps_every_size() -> None:
    network = UNet2015(3, 2, width=1 / 32).eval()
    with torch.inference_mode():
        for side in range(1, 36):
            assert network(torch.zeros(1, 3, side, 40 - side)).shape == (1, 2, side, 40 - side)


def test_s7_other_paddings_are_refused() -> None:
    with pytest.raises(ModelError, match="padding must be one of"):
        build_network("unet-2015", {"padding": "reflect"}, in_channels=1, classes=2)
