"""FCNs on other classifiers: rows S3 (AlexNet), S4 (GoogLeNet) and S10 (KITTI road)."""

import pytest
import torch
from torch import nn

from segflow.segmentation.networks.fcn_kitti import KittiFCN
from segflow.segmentation.networks.registry import build_network
from segflow.segmentation.probe import _linearised, _slim
from tests.segmentation.networks.narrow import narrow_network


def count(parameters) -> int:
    return sum(parameter.numel() for parameter in parameters)


def on_meta(name: str, classes: int = 21) -> nn.Module:
    with torch.device("meta"):
        return build_network(name, {}, in_channels=3, classes=classes)


def test_s3_parameters() -> None:
    network = on_meta("fcn-alexnet")

    assert count(network.parameters()) - count(network.upscore.parameters()) == 56_954_261
    assert [layer.groups for layer in network.modules() if isinstance(layer, nn.Conv2d)] == [1, 2, 1, 2, 2, 1, 1, 1]
    assert (network.upscore.kernel_size[0], network.upscore.stride[0]) == (63, 32)


def test_s3_receptive_field() -> None:
    network = _linearised(_slim(build_network("fcn-alexnet", {"width": 1 / 32}, in_channels=3, classes=2)))
    image = torch.ones(1, 3, 800, 800, dtype=torch.float64).requires_grad_()
    coarse = network.coarse_scores(image)
    starts = []
    for place in (10, 11):
        (seen,) = torch.autograd.grad(coarse[0, 0, place, place], image, retain_graph=True)
        rows, columns = seen.sum((0, 1)).nonzero().T
        starts.append(int(rows.min()))

        assert rows.max() + 1 - rows.min() == 355
        assert columns.max() + 1 - columns.min() == 355

    assert starts[1] - starts[0] == 32


def test_s4_parameters() -> None:
    """About 6 million: 5.6 of GoogLeNet and its score, to which the fixed deconvolution of 21 classes adds 1.8."""
    network = on_meta("fcn-googlenet")

    assert count(network.parameters()) - count(network.upscore.parameters()) == 5_621_429
    assert count(network.upscore.parameters()) == 63 * 63 * 21 * 21


def test_s4_layers_are_torchvisions() -> None:
    from torchvision.models import googlenet

    with torch.device("meta"):
        whole = googlenet(weights=None, aux_logits=False, transform_input=False, init_weights=False)
    shapes = {name: value.shape for name, value in on_meta("fcn-googlenet").state_dict().items()}
    theirs = {name: value.shape for name, value in whole.state_dict().items() if not name.startswith("fc.")}

    assert theirs.items() <= shapes.items()
    assert shapes.keys() - theirs.keys() == {"score_fr.weight", "score_fr.bias", "upscore.weight"}


@pytest.mark.parametrize("name", ["fcn-alexnet", "fcn-googlenet", "fcn8s-vgg16-kitti"])
def test_s3_s4_s10_output_has_the_size_of_the_input(name: str) -> None:
    network = on_meta(name).eval()
    for side in (*range(1, 34), 63, 64, 65):
        assert network(torch.empty(1, 3, side, 66 - side, device="meta")).shape == (1, 21, side, 66 - side)


def test_s10_layers() -> None:
    network = on_meta("fcn8s-vgg16-kitti", classes=2)
    ups = [network.up7, network.up4, network.up3]

    assert [layer.weight.shape[:2] for layer in (network.score3, network.score4, network.score7)] == [
        (2, 256),
        (2, 512),
        (2, 4096),
    ]
    assert {layer.kernel_size for layer in (network.score3, network.score4, network.score7)} == {(1, 1)}
    assert [(layer.kernel_size[0], layer.stride[0]) for layer in ups] == [(4, 2), (4, 2), (16, 8)]
    assert all(layer.weight.requires_grad for layer in ups)
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.75, 0.75]


def test_s10_weights_start_normal() -> None:
    torch.manual_seed(0)
    network = KittiFCN(3, 2, width=1 / 4)
    drawn = torch.cat([layer.weight.flatten() for layer in (network.score3, network.score4, network.score7)]).detach()

    assert abs(float(drawn.mean())) < 0.001
    assert float(drawn.std()) == pytest.approx(0.01, rel=0.05)
    assert float(network.up3.weight.detach().std()) == pytest.approx(0.01, rel=0.1)
    assert not network.up3.bias.any()


def test_s10_skips_are_added() -> None:
    network = narrow_network("fcn8s-vgg16-kitti").double()
    image = torch.randn(1, 3, 160, 576, dtype=torch.float64)
    seen = {}
    for name in ("score3", "score4", "up7", "up4"):
        getattr(network, name).register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    with torch.no_grad():
        logits = network(image)

        assert logits.shape == (1, 2, 160, 576)
        torch.testing.assert_close(network.up4(seen["up7"] + seen["score4"]), seen["up4"])
        torch.testing.assert_close(network.up3(seen["up4"] + seen["score3"]), logits)
