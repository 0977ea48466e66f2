"""The error map as a small picture: what is right in the colour of its class, faded; what is wrong, bright."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from segflow.io.pages.quicklook import Picture, step_of
from segflow.tiling import NODATA, Grid, Span, Window

_FADED = 0.65  # share of white in what is right
# Told apart from each other and from greens and greys, also with red-green blindness.
WRONG = ((213, 0, 50), (0, 70, 220), (240, 130, 0), (150, 0, 200), (0, 150, 170), (230, 0, 160), (90, 60, 30))

Labels = npt.NDArray[np.uint8]


class ErrorPicture:
    """Keeps every n-th pixel of a comparison, so that errors of any size keep their share of the picture.

    Attributes
    ----------
    step
        Pixels of the map that become one of the picture, along each axis.
    """

    def __init__(self, grid: Grid) -> None:
        self.step = step_of(grid)
        shape = tuple(-(-length // self.step) for length in grid.shape)
        self._truth, self._prediction = np.full(shape, NODATA, np.uint8), np.full(shape, NODATA, np.uint8)

    def add(self, window: Window, truth: Labels, prediction: Labels) -> None:
        """Take over the pixels of a window."""
        rows, cols = (Span(-(-s.start // self.step), -(-s.stop // self.step)) for s in (window.rows, window.cols))
        inner = (
            slice(rows.start * self.step - window.rows.start, None, self.step),
            slice(cols.start * self.step - window.cols.start, None, self.step),
        )
        self._truth[rows.slice, cols.slice] = truth[inner]
        self._prediction[rows.slice, cols.slice] = prediction[inner]

    def paint(self, colours: Sequence[tuple[int, int, int]]) -> Picture:
        """Give the picture: (height, width, 4) uint8 RGBA array, transparent where either map is unknown."""
        known = (self._truth != NODATA) & (self._prediction != NODATA)
        right = np.zeros((256, 4), np.uint8)
        wrong = np.zeros((256, 4), np.uint8)
        for value, rgb in enumerate(colours):
            right[value] = (*faded(rgb), 255)
            wrong[value] = (*wrong_colour(value), 255)
        picture = np.where(
            (self._truth == self._prediction)[..., None], right[self._prediction], wrong[self._prediction]
        )
        picture[~known] = 0
        return picture.astype(np.uint8)


def faded(rgb: tuple[int, int, int]) -> tuple[int, int, int]:
    """Give the colour of right pixels of a class."""
    r, g, b = (round(255 * _FADED + part * (1 - _FADED)) for part in rgb)
    return r, g, b


def wrong_colour(value: int) -> tuple[int, int, int]:
    """Give the colour of pixels that were wrongly given a class."""
    return WRONG[value % len(WRONG)]
