"""FCN-32s, 16s and 8s on VGG16: row S1, by the paper's figures."""

import pytest
import torch
from torch import nn

from segflow.errors import ModelError
from segflow.segmentation.networks.bilinear import bilinear_kernel
from segflow.segmentation.networks.fcn_vgg16 import FCN
from segflow.segmentation.networks.registry import build_network
from segflow.segmentation.probe import _linearised, _slim
from tests.segmentation.networks.narrow import narrow_network

NAMES = ("fcn32s-vgg16", "fcn16s-vgg16", "fcn8s-vgg16")


def at_full_width(name: str, **arguments: object) -> nn.Module:
    with torch.device("meta"):
        return build_network(name, arguments, in_channels=3, classes=21)


def count(parameters) -> int:
    return sum(parameter.numel() for parameter in parameters)


@pytest.mark.parametrize(("name", "expected"), list(zip(NAMES, (136_152_917, 134_815_994, 134_489_759), strict=True)))
def test_s1_parameters(name: str, expected: int) -> None:
    assert count(at_full_width(name).parameters()) == expected


def test_s1_parameters_without_the_deconvolution() -> None:
    network = at_full_width("fcn32s-vgg16")

    assert count(network.parameters()) - count(network.upscore.parameters()) == 134_346_581


def test_s1_layers() -> None:
    network = at_full_width("fcn8s-vgg16")

    assert network.vgg.fc6[0].weight.shape == (4096, 512, 7, 7)
    assert network.vgg.fc7[0].weight.shape == (4096, 4096, 1, 1)
    assert network.score_fr.weight.shape == (21, 4096, 1, 1)
    assert network.score_pool4.weight.shape == (21, 512, 1, 1)
    assert network.score_pool3.weight.shape == (21, 256, 1, 1)
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("name", "expected"),
    list(zip(NAMES, ([(64, 32)], [(4, 2), (32, 16)], [(4, 2), (4, 2), (16, 8)]), strict=True)),
)
def test_s1_deconvolutions(name: str, expected: list[tuple[int, int]]) -> None:
    layers = [layer for layer in at_full_width(name).modules() if isinstance(layer, nn.ConvTranspose2d)]

    assert sorted((layer.kernel_size[0], layer.stride[0]) for layer in layers) == expected


@pytest.mark.parametrize("size", [3, 4, 16, 32, 63, 64])
def test_s1_bilinear_kernels_interpolate(size: int) -> None:
    """An even one gives what torch's interpolation gives; either kind keeps a constant constant."""
    stride = (size + 1) // 2
    image = torch.rand(1, 1, 8, 8)
    kernel = bilinear_kernel(size)[None, None]
    found = nn.functional.conv_transpose2d(image, kernel, stride=stride)
    level = nn.functional.conv_transpose2d(torch.ones_like(image), kernel, stride=stride)
    inner = slice(2 * stride, 6 * stride)

    torch.testing.assert_close(level[..., inner, inner], torch.ones(1, 1, 4 * stride, 4 * stride))
    if size % 2 == 0:
        start = stride // 2
        place = slice(start, start + 8 * stride)
        expected = nn.functional.interpolate(image, scale_factor=stride, mode="bilinear", align_corners=False)

        torch.testing.assert_close(found[..., place, place][..., inner, inner], expected[..., inner, inner])


@pytest.mark.parametrize("learnable", [False, True])
def test_s1_kernels_start_bilinear_and_diagonal(learnable: bool) -> None:
    network = FCN(3, 5, finest=8, width=1 / 32, learnable_upsampling=learnable)
    for layer in (network.upscore2, network.upscore_pool4, network.upscore):
        weight = layer.weight
        diagonal = torch.stack([weight[index, index] for index in range(5)])

        assert torch.equal(diagonal, bilinear_kernel(layer.kernel_size[0]).expand(5, -1, -1))
        assert weight.count_nonzero() == diagonal.count_nonzero()
        assert weight.requires_grad is learnable


def test_s1_receptive_field_and_stride() -> None:
    """A coarse score sees 404 × 404 px, its neighbour as much, 32 px further."""
    network = _linearised(_slim(FCN(3, 2, finest=32, width=1 / 32)))
    image = torch.ones(1, 3, 800, 800, dtype=torch.float64).requires_grad_()
    coarse = network.score_fr(network.vgg(image)[2])
    starts = []
    for place in (8, 9):
        (seen,) = torch.autograd.grad(coarse[0, 0, place, place], image, retain_graph=True)
        rows, columns = seen.sum((0, 1)).nonzero().T
        starts.append(int(rows.min()))

        assert rows.max() + 1 - rows.min() == 404
        assert columns.max() + 1 - columns.min() == 404

    assert starts[1] - starts[0] == 32


def test_s1_skips_are_summed() -> None:
    """Scores of pool4 and pool3 add to what comes from below: without them 8s gives what 32s gives, upsampled."""
    network = narrow_network("fcn8s-vgg16").double()
    image = torch.randn(1, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        whole = network(image)
        parts = []
        for kept in ("score_fr", "score_pool4", "score_pool3"):
            alone = FCN(3, 2, finest=8, width=1 / 16).double().eval()
            alone.load_state_dict(network.state_dict())
            for other in {"score_fr", "score_pool4", "score_pool3"} - {kept}:
                nn.init.zeros_(getattr(alone, other).weight)
                nn.init.zeros_(getattr(alone, other).bias)
            parts.append(alone(image))

    assert all(part.abs().max() > 0 for part in parts)
    torch.testing.assert_close(sum(parts), whole)


@pytest.mark.parametrize("name", NAMES)
def test_s1_output_has_the_size_of_the_input(name: str) -> None:
    network = at_full_width(name).eval()
    for side in range(1, 68):
        assert network(torch.empty(1, 3, side, 97 - side, device="meta")).shape == (1, 21, side, 97 - side)


def test_s1_crops_put_pixels_where_they_were() -> None:
    """A network that looks the same in both directions gives the mirrored answer for a mirrored image.

    Centres of coarse cells lie on half pixels, so only a right offset makes both agree.
    """
    for name in NAMES:
        torch.manual_seed(0)
        network = build_network(name, {"width": 1 / 32}, in_channels=1, classes=1).double().eval()
        nn.init.ones_(network.score_fr.weight)
        with torch.no_grad():
            for layer in network.modules():
                if isinstance(layer, nn.Conv2d):
                    layer.weight.copy_((layer.weight + layer.weight.flip(-1)) / 2)
        # A side for which the mirrored grid of cells falls on the grid: 32 k + 26, since cells centre on 32 i + 12.5.
        image = torch.randn(1, 1, 32, 32 * 16 + 26, dtype=torch.float64)
        with torch.no_grad():
            there, back = network(image), network(image.flip(-1)).flip(-1)
        inside = slice(224, -224)

        torch.testing.assert_close(there[..., inside], back[..., inside])


def test_s1_at_once_scales_the_skips() -> None:
    plain, scaled = narrow_network("fcn8s-vgg16"), FCN(3, 2, finest=8, width=1 / 16, at_once=True).eval()
    scaled.load_state_dict(plain.state_dict())
    with torch.no_grad():
        plain.score_pool4.weight.mul_(1e-2)
        plain.score_pool3.weight.mul_(1e-4)
        image = torch.randn(1, 3, 64, 64)

        torch.testing.assert_close(scaled(image), plain(image))


def test_s1_width_and_normalisation() -> None:
    network = FCN(4, 3, finest=16, width=1 / 8, batch_norm=True)

    assert network.vgg.fc6[0].weight.shape == (512, 64, 7, 7)
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules()) == 15
    assert network(torch.zeros(2, 4, 40, 33)).shape == (2, 3, 40, 33)


def test_s1_other_strides_are_refused() -> None:
    with pytest.raises(ModelError, match="finest"):
        build_network("fcn8s-vgg16", {"finest": 4}, in_channels=3, classes=2)
