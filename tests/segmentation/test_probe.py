"""The probe against receptive fields that are known, and against brute force."""

import itertools

import pytest
import torch
from torch import nn

from segflow.errors import ModelError
from segflow.segmentation.networks.unet import UNet
from segflow.segmentation.probe import Probe, guarantee_for, measure_worst_difference, probe_network


class GloballyPooled(nn.Module):
    """A convolution that also sees the mean of the whole image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return y + y.mean((2, 3), keepdim=True)


class Coarse(nn.Module):
    """Strided down, bilinearly up."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 4, 3, stride=4, padding=1)
        self.up = nn.Upsample(scale_factor=4, mode="bilinear")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.up(self.down(x).relu())


class FunctionalPool(nn.Module):
    """Max-pooling that no list of layers shows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.max_pool2d(x, 5, stride=1, padding=2)


def convolutions(*dilations: int) -> nn.Sequential:
    layers = [nn.Conv2d(3, 3, 3, padding=d, dilation=d) for d in dilations]
    return nn.Sequential(*itertools.chain.from_iterable((layer, nn.BatchNorm2d(3), nn.ReLU()) for layer in layers))


@pytest.mark.parametrize(
    ("network", "stride", "dependency"),
    [
        (nn.Conv2d(3, 2, 1), 1, 0),
        (nn.Conv2d(3, 2, 3, padding=1), 1, 1),
        (nn.Conv2d(3, 2, (1, 7), padding=(0, 3)), 1, 3),
        (nn.Conv2d(3, 2, (9, 1), padding=(4, 0)), 1, 4),
        (convolutions(1, 1, 1), 1, 3),
        (convolutions(1, 2, 4, 8), 1, 15),
        (convolutions(1, 50, 50), 1, 101),
        (FunctionalPool(), 1, 2),
        (UNet(3, 2, widths=(2, 2)), 2, 8),
        (UNet(3, 2, widths=(2, 2, 2)), 4, 22),
        (nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.InstanceNorm2d(2, affine=True)), 1, None),
        (nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.GroupNorm(2, 4)), 1, None),
        (GloballyPooled(), 1, None),
    ],
)
def test_known_receptive_fields(network: nn.Module, stride: int, dependency: int | None) -> None:
    assert probe_network(network, 3) == Probe(stride=stride, dependency=dependency)


def test_the_default_network_fits_its_margin() -> None:
    """The paper's arithmetic for four levels with two 3×3 convolutions each gives 94 px."""
    probe = probe_network(UNet(3, 2, widths=(2, 2, 2, 2, 2)), 3)

    assert probe == Probe(stride=16, dependency=94)
    assert guarantee_for(probe) == (96, "exact")


@pytest.mark.parametrize("network", [UNet(3, 2, widths=(2, 3, 4)), Coarse()], ids=["unet", "coarse"])
def test_brute_force_agrees(network: nn.Module) -> None:
    """NaN in one input pixel after the other: the outermost one that reaches a block is the dependency."""
    network = network.double().eval()
    probe = probe_network(network, 3)
    size, middle = 64, 32
    reached = []
    for column in range(middle - 24, middle + 28):
        image = torch.rand(1, 3, size, size, dtype=torch.float64)
        image[..., column] = torch.nan
        with torch.inference_mode():
            if network(image)[..., middle : middle + probe.stride].isnan().any():
                reached.append(column)

    assert probe.stride == 4
    assert middle - 24 < reached[0]
    assert reached[-1] < middle + 27
    assert probe.dependency == max(middle - reached[0], reached[-1] - (middle + probe.stride - 1))


def test_probing_leaves_the_network_and_chance_alone() -> None:
    network = UNet(3, 2, widths=(2, 2)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(1)
    probe_network(network, 3)
    drawn = torch.rand(1)
    torch.manual_seed(1)

    assert torch.equal(drawn, torch.rand(1))
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_network_that_shrinks_its_input_is_refused() -> None:
    with pytest.raises(ModelError, match="keep the size"):
        probe_network(nn.Conv2d(3, 2, 3), 3)


@pytest.mark.parametrize(
    ("dependency", "margin", "expected"),
    [
        (94, None, (96, "exact")),
        (94, 94, (94, "exact")),
        (94, 64, (64, "bounded")),
        (0, None, (0, "exact")),
        (None, 200, (200, "unbounded")),
        (None, None, (128, "unbounded")),
    ],
)
def test_what_a_margin_guarantees(dependency: int | None, margin: int | None, expected: tuple[int, str]) -> None:
    assert guarantee_for(Probe(stride=16, dependency=dependency), margin) == expected


def test_the_worst_difference_is_none_when_the_margin_covers_the_dependency() -> None:
    torch.manual_seed(0)
    network = UNet(3, 2, widths=(4, 4, 4)).double().eval()
    image = torch.randn(1, 3, 160, 128, dtype=torch.float64)

    exact = measure_worst_difference(network, image, stride=4, margin=24, core=64)

    assert exact < 1e-12
    assert measure_worst_difference(network, image, stride=4, margin=0, core=64) > 1e-6
