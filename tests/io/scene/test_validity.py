"""Nodata truth: a pixel is valid if every chosen band holds data there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segflow.io.scene.validity import nodata_in, valid_pixels

SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, max_side=6)
UINT8 = hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 4))


@given(pixels=UINT8, value=st.integers(0, 4))
def test_valid_is_where_no_band_is_nodata(pixels, value):
    expected = np.array(
        [[all(pixels[:, r, c] != value) for c in range(pixels.shape[2])] for r in range(pixels.shape[1])]
    )

    assert np.array_equal(expected, valid_pixels(pixels, [value] * len(pixels)))


@given(pixels=UINT8, value=st.integers(0, 4))
def test_every_band_has_its_own_nodata(pixels, value):
    nodata = [None] * (len(pixels) - 1) + [value]

    assert np.array_equal(pixels[-1] != value, valid_pixels(pixels, nodata))


@given(pixels=UINT8)
def test_zero_is_data_unless_it_is_the_nodata_value(pixels):
    assert valid_pixels(pixels, [None] * len(pixels)) is None
    assert valid_pixels(pixels, [255] * len(pixels)).all()


@pytest.mark.parametrize("nodata", [None, np.nan, -9999.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_and_infinite_pixels_are_never_valid(dtype, nodata):
    pixels = np.array([[[0, np.nan, np.inf, -np.inf, 1.5, -9999]]], dtype)

    valid = valid_pixels(pixels, [nodata])

    assert [True, False, False, False, True, nodata != -9999] == valid[0].tolist()


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [
        ("uint8", -9999),
        ("uint8", 256),
        ("uint8", 0.5),
        ("uint8", np.nan),
        ("int16", 40000),
        ("float32", 1e300),
        ("uint8", np.inf),
        ("float32", np.nan),
        ("uint16", None),
    ],
)
def test_a_nodata_value_that_no_pixel_can_hold_never_matches(dtype, nodata):
    assert nodata_in(np.dtype(dtype), nodata) is None


def test_nodata_is_compared_in_the_type_of_the_band():
    written = np.float32(-3.3999999521443642e38)  # as text in a tag it is a float64 with other digits
    pixels = np.array([[[written, 1]]], np.float32)

    assert valid_pixels(pixels, [-3.4e38])[0].tolist() == [False, True]
    assert valid_pixels(np.array([[[0.1, 1]]], np.float32), [0.1])[0].tolist() == [False, True]


def test_large_integers_compare_exactly():
    pixels = np.array([[[-(2**53), 2**53]]], np.int64)

    assert valid_pixels(pixels, [-(2**53)])[0].tolist() == [False, True]
