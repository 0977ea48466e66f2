"""1×1 convolutions that round the same on any number of threads."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from segflow.segmentation.networks.registry import build_network
from segflow.segmentation.predict.pointwise import Pointwise, replace_pointwise
from segflow.segmentation.predict.torch_engine import fuse

THREADS = (1, 2, 3, 4)


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_it_is_the_convolution() -> None:
    convolution = nn.Conv2d(5, 3, kernel_size=1)
    x = torch.randn(2, 5, 7, 9)

    torch.testing.assert_close(Pointwise(convolution)(x), convolution(x))


def test_only_plain_1x1_convolutions_are_replaced() -> None:
    network = nn.Sequential(
        nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.Conv2d(4, 4, 1, stride=2),
        nn.Conv2d(4, 4, 1, groups=2),
        nn.Sequential(nn.Conv2d(4, 4, 1)),
    )
    found = replace_pointwise(network)

    assert [isinstance(part, Pointwise) for part in found[:4]] == [True, False, False, False]
    assert isinstance(found[4][0], Pointwise)
    assert isinstance(replace_pointwise(nn.Conv2d(3, 2, 1)), Pointwise)


def test_logits_do_not_depend_on_threads_or_batch() -> None:
    """Bit for bit, for the U-Net as the engine runs it on a CPU."""
    torch.manual_seed(0)
    network = replace_pointwise(fuse(build_network("unet", {}, in_channels=3, classes=2)))
    network = network.to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 192, 256).contiguous(memory_format=torch.channels_last)
    logits = []
    with torch.inference_mode():
        for threads in THREADS:
            torch.set_num_threads(threads)
            logits += [network(x)[:1], network(x[:1])]

    assert all(torch.equal(found, logits[0]) for found in logits)
