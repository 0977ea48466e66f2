"""Components of one block are those that scipy finds class by class."""

import numpy as np
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from segflow.segmentation.vectors.components import Sides, find_components

Raster = NDArray[np.uint8]


@st.composite
def rasters(draw: st.DrawFn) -> Raster:
    shape = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    values = draw(st.sampled_from([[0], [0, 1], [0, 1, 2, 255]]))
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1))).choice(values, shape).astype(np.uint8)


def oracle(labels: Raster) -> NDArray[np.int64]:
    """Number the components in the order of their first pixels."""
    ids = np.zeros(labels.shape, int)
    for value in np.unique(labels):
        of_pixel, _ = scipy.ndimage.label(labels == value)
        ids += np.where(of_pixel > 0, of_pixel + ids.max(), 0)
    _, first, inverse = np.unique(ids.ravel(), return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].reshape(labels.shape)


@given(rasters())
def test_ids_are_those_of_an_oracle(labels: Raster) -> None:
    found = find_components(labels, labels, Sides())

    assert oracle(labels).tolist() == found.ids.tolist()


@given(rasters(), st.builds(Sides, top=st.booleans(), left=st.booleans(), bottom=st.booleans(), right=st.booleans()))
def test_statistics_are_those_of_the_pixels(labels: Raster, inner: Sides) -> None:
    confidence = (np.arange(labels.size) * 7 % 101).reshape(labels.shape).astype(np.uint8)
    found = find_components(labels, confidence, inner)
    outer = Sides(top=not inner.top, left=not inner.left, bottom=not inner.bottom, right=not inner.right)
    beside = scipy.ndimage.binary_dilation(labels == 255, border_value=0)
    for number in range(found.ids.max() + 1):
        pixels = found.ids == number
        expected = (
            labels[pixels][0],
            pixels.sum(),
            confidence[pixels].sum(dtype=int),
            confidence[pixels].min(),
            (pixels & outer.border_mask(labels.shape)).any(),
        )
        one = found.statistics.take(np.array([number]))
        actual = (one.value, one.n_px, one.confidence_sum, one.confidence_min, one.touches_edge)

        assert expected == tuple(column[0] for column in actual)
        if labels[pixels][0] != 255:
            assert (pixels & beside).any() == one.touches_nodata[0]


def test_merged_statistics_know_no_order() -> None:
    labels = np.array([[0, 1, 0, 1, 0]], np.uint8)
    found = find_components(labels, np.array([[50, 60, 10, 80, 90]], np.uint8), Sides()).statistics
    merged = found.merge(np.array([0, 1, 0, 1, 0]), 2)
    again = found.take(np.array([4, 3, 2, 1, 0])).merge(np.array([0, 1, 0, 1, 0]), 2)

    assert [0, 1] == merged.value.tolist() == again.value.tolist()
    assert [3, 2] == merged.n_px.tolist() == again.n_px.tolist()
    assert [150, 140] == merged.confidence_sum.tolist() == again.confidence_sum.tolist()
    assert [10, 60] == merged.confidence_min.tolist() == again.confidence_min.tolist()
