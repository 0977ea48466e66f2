"""Augmentation: pixels and labels stay together, nodata stays nodata, and nothing happens unasked."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segflow.configs.recipe import Augmentation
from segflow.segmentation.spec import BandSpec
from segflow.segmentation.training.augment import (
    ChipAugmentation,
    RandomTint,
    cut_chips,
    mix_chips,
    turn_chips,
)
from segflow.segmentation.training.chips import normalise
from tests.training_scenes import PLAIN

BANDS = (BandSpec(name="red", mean=20, std=10), BandSpec(name="nir", mean=50, std=5))
STILL = Augmentation(turn=False, gain=0, band_gain=0, haze=0, band_haze=0)


def batch(chips: int = 4, side: int = 16) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Chips whose first band says the number of each pixel, and whose labels do so modulo 251; a corner is invalid."""
    numbers = torch.arange(chips * side * side).reshape(chips, 1, side, side)
    valid = torch.ones(chips, 1, side, side, dtype=torch.bool)
    valid[:, :, :3, :4] = False
    labels = torch.where(valid, numbers % 251, 255).to(torch.uint8)[:, 0]
    return numbers.float().repeat(1, 2, 1, 1), labels, valid


def test_unasked_nothing_happens_but_scaling() -> None:
    images, labels, valid = batch()
    found, same = ChipAugmentation(BANDS, STILL)(images.clone(), labels, valid)
    expected = np.stack([normalise(i, v[0], BANDS) for i, v in zip(images.numpy(), valid.numpy(), strict=True)])

    assert np.array_equal(found.numpy(), expected)
    assert torch.equal(same, labels)
    assert found.is_contiguous(memory_format=torch.channels_last)


@given(st.integers(0, 2**31))
def test_turned_chips_keep_pixels_and_labels_together(seed: int) -> None:
    torch.manual_seed(seed)
    images, labels, valid = batch()
    options = Augmentation(gain=0, band_gain=0, haze=0, band_haze=0, turn=True, cutmix=0.5, cutout=0.5)
    found, moved = ChipAugmentation(PLAIN, options)(images, labels, valid)
    known = moved != 255

    assert torch.equal((found[:, 0] % 251)[known].to(torch.uint8), moved[known])
    assert not found[:, 0][~known].any()


def test_the_eight_symmetries_differ_and_are_all() -> None:
    images, labels, _ = batch(1)
    turned = {
        turn_chips(images, labels, [symmetry])[0].numpy().tobytes(): turn_chips(images, labels, [symmetry])[1]
        for symmetry in range(8)
    }

    assert len(turned) == 8
    assert all(int(found.float().sum()) == int(labels.float().sum()) for found in turned.values())
    assert torch.equal(turn_chips(images, labels, [0])[0], images)


def test_light_is_a_factor_and_a_summand_of_whole_bands() -> None:
    torch.manual_seed(0)
    tint = RandomTint(torch.tensor([10.0, 5.0]), Augmentation(gain=0.2, band_gain=0.1, haze=0.3, band_haze=0.1))
    levels = torch.tensor([0.0, 1.0, 2.0])[None, None, None].expand(400, 2, 1, 3)
    found = tint(levels)
    haze, gain = found[..., 0, 0], found[..., 0, 1] - found[..., 0, 0]

    assert torch.allclose(found[..., 0, 2], haze + 2 * gain, atol=1e-5)
    assert gain.log().std(0).tolist() == pytest.approx([np.hypot(0.2, 0.1)] * 2, rel=0.15)
    assert (haze.std(0) / torch.tensor([10.0, 5.0])).tolist() == pytest.approx([np.hypot(0.3, 0.1)] * 2, rel=0.15)
    assert np.corrcoef(haze.T)[0, 1] == pytest.approx(0.9, abs=0.05)


def test_rotation_and_scale_move_labels_with_pixels_and_ignore_what_is_outside() -> None:
    torch.manual_seed(1)
    side = 64
    labels = torch.zeros(6, side, side, dtype=torch.uint8)
    labels[:, 20:50, 10:30] = 1
    labels[:, :8] = 255
    images = torch.where(labels == 1, 7.0, 3.0)[:, None].repeat(1, 2, 1, 1)
    options = Augmentation(turn=False, gain=0, band_gain=0, haze=0, band_haze=0, rotate=30, scale=0.2)
    found, moved = ChipAugmentation(PLAIN, options)(images, labels, torch.ones(6, 1, side, side, dtype=torch.bool))
    sharp = (found[:, 0] == 3) | (found[:, 0] == 7)  # away from borders, where bilinear and nearest agree

    assert set(moved.unique().tolist()) == {0, 1, 255}
    assert not torch.equal(moved, labels)
    assert (sharp & (moved != 255)).float().mean() > 0.6
    assert torch.equal((found[:, 0] == 7)[sharp & (moved != 255)], (moved == 1)[sharp & (moved != 255)])
    assert (moved[found[:, 0] == 0] == 255).all()


def test_a_hole_is_nodata() -> None:
    torch.manual_seed(0)
    images, labels, _ = batch(50)
    found, holed = cut_chips(images + 1, labels, 1.0)
    cut = (found == 0).all(1)

    assert torch.equal(holed[cut], torch.full_like(holed[cut], 255))
    assert torch.equal(holed[~cut], labels[~cut])
    assert 0.05 < cut.float().mean() < 0.25


def test_a_pasted_part_brings_its_labels() -> None:
    torch.manual_seed(0)
    images, labels, _ = batch(50)
    found, mixed = mix_chips(images, labels, 0.5)
    changed = (found != images).any(1)
    touched = changed.flatten(1).any(1)

    assert torch.equal(mixed[~changed], labels[~changed])
    assert torch.equal(found[:, 0][changed], images[:, 0].roll(-1, 0)[changed])
    assert torch.equal(mixed[changed], labels.roll(-1, 0)[changed])
    assert 0.25 < touched.float().mean() < 0.6
