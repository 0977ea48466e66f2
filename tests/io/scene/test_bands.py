"""Bands go into a model by choice, by name, or in order; never by guess."""

import pytest
from affine import Affine

from segflow.errors import SceneMismatchError
from segflow.io.scene.bands import select_bands
from segflow.io.scene.info import Band, SceneInfo
from segflow.tiling import Grid

RGB = ("red", "green", "blue")


def scene(*names, alpha=None, described=False):
    numbers = [n for n in range(1, len(names) + 2) if n != alpha][: len(names)]
    bands = tuple(
        Band(number=number, name=name, nodata=None, described=described and name is not None)
        for number, name in zip(numbers, names, strict=True)
    )
    grid = Grid(height=4, width=4, transform=Affine.identity(), crs=None)
    return SceneInfo(
        path="/data/scene.tif",
        grid=grid,
        bands=bands,
        alpha=alpha,
        dtype="uint8",
        has_mask=False,
        acquired=None,
        gcps=False,
    )


def test_names_win_over_order():
    assert select_bands(scene("blue", "green", "red"), RGB) == (3, 2, 1)


def test_names_pick_among_more_bands():
    assert select_bands(scene("blue", "green", "red", "nir"), ("NIR", "Blue")) == (4, 1)


def test_bands_without_names_go_in_order():
    assert select_bands(scene(None, None, None), RGB) == (1, 2, 3)


def test_colour_interpretation_is_often_a_default_and_does_not_stop_the_order():
    assert select_bands(scene("red", "green", "blue"), ("nir", "red", "green")) == (1, 2, 3)


def test_descriptions_that_contradict_are_an_error():
    with pytest.raises(SceneMismatchError, match=r"has 3 bands \(1 nir, 2 red, 3 green\).*needs 3.*--bands 2,3,N"):
        select_bands(scene("nir", "red", "green", described=True), RGB)


def test_numbers_in_the_spelling_of_sentinel_2_are_names():
    assert select_bands(scene("b04", "b03", "b02", described=True), RGB) == (1, 2, 3)


@pytest.mark.parametrize("chosen", [(4, 3, 2), ("4", "3", "2"), ("nir", "red", "green"), ("NIR", 3, "green")])
def test_what_the_user_chose_wins(chosen):
    assert select_bands(scene("blue", "green", "red", "nir"), RGB, chosen) == (4, 3, 2)


def test_one_band_may_be_chosen_several_times():
    assert select_bands(scene(None), RGB, (1, 1, 1)) == (1, 1, 1)


def test_the_alpha_band_is_data_only_when_chosen():
    rgba = scene(*RGB, alpha=4)

    assert select_bands(rgba, RGB) == (1, 2, 3)
    assert select_bands(rgba, (*RGB, "nir"), (1, 2, 3, 4)) == (1, 2, 3, 4)
    assert select_bands(rgba, (*RGB, "alpha")) == (1, 2, 3, 4)
    with pytest.raises(SceneMismatchError, match=r"and alpha band 4, but.*--bands 1,2,3,N"):
        select_bands(rgba, (*RGB, "nir"))


@pytest.mark.parametrize(
    ("info", "chosen", "found"),
    [
        (scene(None, None), None, "has 2 bands"),
        (scene(None, None, None, None), None, "has 4 bands"),
        (scene(None, None, None), (1, 2), "was given 2 bands"),
        (scene(None, None, None), (1, 2, 4), "has no band 4"),
        (scene(None, None, None), (0, 1, 2), "has no band 0"),
        (scene(None, None, None), ("red", 1, 2), "has no band named red"),
        (scene("red", "red", None), ("red", 1, 2), "has 2 bands named red"),
    ],
)
def test_errors_name_file_found_needed_and_the_option(info, chosen, found):
    with pytest.raises(SceneMismatchError) as caught:
        select_bands(info, RGB, chosen)

    message = str(caught.value)
    assert all(part in message for part in ("/data/scene.tif", found, "needs 3 (red, green, blue)", "--bands"))
    assert "\n" not in message
