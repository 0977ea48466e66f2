"""The light of a scene taken out: against plain loops, and against what haze and sun do."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from segflow.segmentation.networks.surroundings import BLOCK, VIEWS, Surroundings
from segflow.segmentation.networks.unet import UNet
from segflow.segmentation.probe import Probe, guarantee_for, measure_worst_difference, probe_network

Floats = npt.NDArray[np.float64]


def views(x: torch.Tensor, blocks: int = 3) -> list[Floats]:
    """Give the four views without their asinh."""
    return [view.numpy() for view in torch.sinh(Surroundings(blocks)(x)).chunk(VIEWS, dim=1)]


def plain_statistics(x: Floats, blocks: int) -> dict[str, Floats]:
    """Loop over blocks: mean, deviation and darkest grain of the window around each; 0 is nodata."""
    bands, height, width = x.shape
    rows, cols, reach = height // BLOCK, width // BLOCK, blocks // 2
    found = {name: np.zeros((bands, rows, cols)) for name in ("mean", "deviation", "darkest")}
    for row in range(rows):
        for col in range(cols):
            top, left = max(0, row - reach) * BLOCK, max(0, col - reach) * BLOCK
            window = x[:, top : (row + reach + 1) * BLOCK, left : (col + reach + 1) * BLOCK]
            valid = (window != 0).any(0)
            found["mean"][:, row, col] = window[:, valid].mean(1)
            found["deviation"][:, row, col] = np.sqrt(window[:, valid].var(1) + 1e-4) + 0.2
            grains = []
            for y in range(0, window.shape[1], 8):
                for z in range(0, window.shape[2], 8):
                    inside = valid[y : y + 8, z : z + 8]
                    if inside.mean() > 1 / 2:
                        grains.append(window[:, y : y + 8, z : z + 8][:, inside].mean(1))
            found["darkest"][:, row, col] = np.min(grains, axis=0) if grains else found["mean"][:, row, col]
    return found


def spread(blocks: Floats) -> Floats:
    """Interpolate linearly between the middles of blocks; the outermost go on to the edge."""
    spots = [np.clip((np.arange(n * BLOCK) + 0.5) / BLOCK - 0.5, 0, n - 1) for n in blocks.shape[1:]]
    (y0, x0), (fy, fx) = ([np.floor(s).astype(int) for s in spots], [s - np.floor(s) for s in spots])
    y1, x1 = (np.minimum(low + 1, n - 1) for low, n in zip((y0, x0), blocks.shape[1:], strict=True))
    top = blocks[:, y0][..., x0] * (1 - fx) + blocks[:, y0][..., x1] * fx
    bottom = blocks[:, y1][..., x0] * (1 - fx) + blocks[:, y1][..., x1] * fx
    return top * (1 - fy)[:, None] + bottom * fy[:, None]


@pytest.mark.parametrize("blocks", [1, 3, 5])
def test_views_are_those_of_plain_loops(blocks: int) -> None:
    random = np.random.default_rng(blocks)
    x = random.normal(size=(3, 128, 192)) + np.linspace(0, 3, 192)
    x[:, 20:70, 100:140] = 0
    found = plain_statistics(x, blocks)
    same, colour, above, deviations = (view[0] for view in views(torch.from_numpy(x)[None], blocks))
    valid = (x != 0).any(0)

    assert same == pytest.approx(x)
    assert colour == pytest.approx(x - x.mean(0))
    assert above == pytest.approx((x - spread(found["darkest"])) * valid)
    assert deviations == pytest.approx((x - spread(found["mean"])) / spread(found["deviation"]) * valid)


def test_haze_changes_the_input_alone() -> None:
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3, 64, 96)))
    clear, hazy = views(x), views(x + 2.5)

    assert hazy[0] == pytest.approx(clear[0] + 2.5)
    for before, after in zip(clear[1:], hazy[1:], strict=True):
        assert after == pytest.approx(before, abs=1e-9)


def test_a_stronger_sun_changes_deviations_least() -> None:
    x = torch.from_numpy(10 * np.random.default_rng(0).normal(size=(1, 3, 64, 96)))
    dim, bright = views(x), views(1.5 * x)

    assert bright[1] == pytest.approx(1.5 * dim[1])
    assert bright[2] == pytest.approx(1.5 * dim[2])
    assert bright[3] == pytest.approx(dim[3], rel=0.01)


def test_what_lies_in_nodata_does_not_matter() -> None:
    """A scene beside nothing has the statistics of the scene."""
    x = np.random.default_rng(0).normal(size=(3, 96, 64)) + 4
    beside = np.concatenate((x, np.zeros((3, 96, 128))), axis=2)
    alone, found = (views(torch.from_numpy(pixels)[None], 5) for pixels in (x, beside))

    for expected, view in zip(alone, found, strict=True):
        assert view[..., :48] == pytest.approx(expected[..., :48])  # beyond, blocks without a pixel are mixed in
        assert not view[..., 64:].any()


def test_where_nothing_is_valid_nothing_is_seen() -> None:
    assert not Surroundings(3)(torch.zeros(1, 2, 64, 64)).any()


@pytest.mark.parametrize("blocks", [-1, 2])
def test_a_window_without_a_middle_is_refused(blocks: int) -> None:
    with pytest.raises(ValueError, match=f"odd number of blocks, got {blocks}"):
        Surroundings(blocks)


def test_half_precision_stays_out_of_it() -> None:
    x = torch.randn(1, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        found = Surroundings(3)(x)

    assert torch.equal(found, Surroundings(3)(x))


def test_a_network_that_sees_them_is_tiled_exactly() -> None:
    torch.manual_seed(0)
    network = UNet(3, 2, widths=(8, 8, 8), surroundings=3).eval()
    with torch.no_grad():
        network.head.weight.mul_(20)
    probe = probe_network(network, 3)
    margin, guarantee = guarantee_for(probe)
    inputs = torch.randn(1, 3, 384, 384)
    inputs[..., 100:180, 200:300] = 0
    short, far = (
        measure_worst_difference(network, inputs, stride=32, margin=reach, core=128) for reach in (32, margin)
    )

    assert probe == Probe(stride=32, dependency=96)
    assert guarantee == "exact"
    assert far <= 1e-6 < short
