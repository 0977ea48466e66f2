"""The atlas and its samplers: whole pixels of one scene, every place, the same ones for the same seed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torchgeo.samplers import RandomGeoSampler

from segflow.errors import TrainingError
from segflow.segmentation.training.atlas import Atlas
from segflow.segmentation.training.chips import Sample
from segflow.segmentation.training.loop import build_sampler
from segflow.segmentation.training.recipe import Recipe
from segflow.segmentation.training.samplers import BalancedSampler, UniformSampler
from tests.training_scenes import bright_and_dark, numbered

SCENES = (numbered("a", 20, 31), numbered("b", 8, 8), numbered("c", 40, 9))


def places(sampler: UniformSampler | BalancedSampler, epoch: int = 0) -> list[tuple[str, int, int]]:
    sampler.epoch = epoch
    found = [sampler.atlas.find(query) for query in sampler]
    return [(sample.name, window.rows.start, window.cols.start) for sample, window in found]


@given(st.integers(0, 2**32 - 1), st.sampled_from(["uniform", "balanced"]))
def test_a_chip_is_a_window_of_one_scene(seed: int, sampling: str) -> None:
    atlas = Atlas(SCENES)
    sampler = build_sampler(atlas, Recipe(chips_per_epoch=6, batch=3, chip=8, seed=seed, sampling=sampling), 251)
    chips = [(atlas.find(query), atlas[query]) for query in sampler]

    assert len(chips) == len(sampler) == 6
    for (sample, window), chip in chips:
        assert np.array_equal(chip["image"].numpy(), sample.pixels[:, *window.slices])
        assert np.array_equal(chip["mask"].numpy(), sample.labels[window.slices])
        assert chip["valid"].shape == (1, 8, 8)
        assert chip["place"].startswith(f"{sample.name} rows {window.rows.start}–")


def test_torchgeos_own_sampler_draws_whole_pixels_too() -> None:
    atlas = Atlas(SCENES)
    for query in RandomGeoSampler(atlas, size=8):
        sample, window = atlas.find(query)

        assert window.shape == (8, 8)
        assert np.array_equal(atlas[query]["image"].numpy(), sample.pixels[:, *window.slices])


def test_every_place_is_drawn_and_scenes_count_by_their_places() -> None:
    sampler = UniformSampler(Atlas((numbered("a", 9, 10), numbered("b", 8, 9))), size=8, length=4000, seed=0)
    found, counts = np.unique([str(place) for place in places(sampler)], return_counts=True)

    assert len(found) == 2 * 3 + 1 * 2
    assert counts == pytest.approx(np.full(8, 500), rel=0.15)


def test_a_seed_and_an_epoch_make_the_places() -> None:
    one, same = (UniformSampler(Atlas(SCENES), size=8, length=20, seed=5) for _ in "12")
    other = UniformSampler(Atlas(SCENES), size=8, length=20, seed=6)

    assert places(one, 3) == places(same, 3) == places(one, 3)
    assert places(one, 3) != places(one, 4)
    assert places(one, 3) != places(other, 3)


def test_places_without_a_label_are_passed_over() -> None:
    sample = bright_and_dark("a", 1)
    lonely = np.full_like(sample.labels, 255)
    lonely[60, 3] = 1
    atlas = Atlas((replace(sample, name="empty", labels=np.full_like(lonely, 255)), replace(sample, labels=lonely)))
    for sampler in (
        UniformSampler(atlas, size=16, length=50, seed=0),
        BalancedSampler(atlas, size=16, length=50, seed=0, classes=2),
    ):
        chips = [atlas[query]["mask"].numpy() for query in sampler]

        assert all((chip == 1).sum() == 1 for chip in chips)
        assert len({int(np.flatnonzero(chip == 1)[0]) for chip in chips}) > 5  # wherever in the chip it lies


def test_a_rare_class_is_as_likely_as_a_common_one() -> None:
    sample = numbered("a", 64, 64)
    labels = np.zeros((64, 64), np.uint8)
    labels[5, 5] = 2
    labels[:, 60:] = 1
    atlas = Atlas((replace(sample, labels=labels),))
    recipe = Recipe(chips_per_epoch=900, batch=1, chip=8)
    balanced, uniform = (
        np.mean([(atlas[query]["mask"] == 2).any() for query in build_sampler(atlas, chosen, 3)])
        for chosen in (replace(recipe, sampling="balanced"), recipe)
    )

    assert balanced == pytest.approx(1 / 3, abs=0.06)
    assert uniform < 0.05


def test_what_is_not_valid_is_ignored() -> None:
    sample = bright_and_dark("a", 1)
    chip = Atlas((sample,))[slice(0, 64), slice(0, 64)]

    assert np.array_equal(chip["mask"].numpy() == 255, ~sample.valid)
    assert np.array_equal(chip["valid"].numpy()[0], sample.valid)


@pytest.mark.parametrize("x", [slice(28, 36), slice(31, 39), slice(-3, 5), slice(900, 908)])
def test_a_window_in_two_scenes_or_none_is_refused(x: slice) -> None:
    with pytest.raises(IndexError, match="lies in no scene of the atlas"):
        Atlas(SCENES)[x, slice(0, 8)]


@pytest.mark.parametrize("sampling", ["uniform", "balanced"])
def test_scenes_without_any_label_are_refused(sampling: str) -> None:
    sample = bright_and_dark("a", 1)
    empty: Sample = replace(sample, labels=np.full_like(sample.labels, 255))
    with pytest.raises(TrainingError, match="no training scene has a labelled pixel"):
        build_sampler(Atlas((empty,)), Recipe(chip=8, sampling=sampling), 2)  # type: ignore[arg-type]
