"""Thinning of a mask to its skeleton, a fixed number of layers deep.

Each of the two passes of an iteration looks at the eight neighbours of a pixel, so the result of one iteration for a
pixel depends on pixels at most 2 px away, and that of n iterations on pixels at most 2 n px away. With a margin of that
width, the skeleton of a window equals that of the whole raster exactly.

Only pixels near a change are examined. The neighbours of each pixel are held as bits; a pixel that is deleted clears
its bit with its neighbours, and only these are examined in the next two passes.

References
----------
Guo and Hall, Parallel thinning with two-subiteration algorithms (1989), algorithm A1, with the
numbering of Lam, Lee and Suen, Thinning methodologies (1992), conditions G1 to G3.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REACH = 2  # px; how far the result of one iteration depends on other pixels
SURROUNDED = 255  # all eight neighbours are set
STEPS = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))  # (row, column) of neighbours x1 … x8

Flat = NDArray[np.int64]  # row-major indices into an array


@dataclass(frozen=True, slots=True)
class Thinned:
    """The result of thinning.

    Attributes
    ----------
    places
        (n,) int64 array: the pixels of the skeleton, in row-major order.
    wide
        (m,) int64 array: pixels of regions that were too thick to become lines; not in `places`.
    """

    places: Flat
    wide: Flat


def thin(mask: NDArray[np.bool_], iterations: int) -> Thinned:
    """Thin a mask.

    Parameters
    ----------
    mask
        (height, width) bool array; False along all four sides.
    iterations
        Each removes one layer of pixels from every side.
    """
    width = mask.shape[1]
    places = np.flatnonzero(mask)
    steps = np.array([row * width + col for row, col in STEPS])
    alive = mask.ravel().copy()
    around = np.zeros(mask.size, np.uint8)
    for bit, step in enumerate(steps):
        around[places] |= alive[places + step].astype(np.uint8) << bit
    stamp = np.empty(mask.size, np.int32)
    before = latest = places[around[places] != SURROUNDED]
    for turn in range(2 * iterations):
        examined = _unique_alive(np.concatenate([before, latest]), alive, stamp)
        deleted = examined[DELETED[turn % 2][around[examined]]]
        alive[deleted] = False
        for bit, step in enumerate(steps):
            around[deleted + step] &= np.uint8(SURROUNDED - (1 << (bit + 4) % 8))
        before, latest = latest, _unique_alive((deleted + steps[:, None]).ravel(), alive, stamp)
        if not len(before) and not len(latest):
            break
    left = places[alive[places]]
    thick = left[around[left] == SURROUNDED]
    if not len(thick):
        return Thinned(left, thick)
    return _without_cores(left, thick, mask.shape)


def _without_cores(left: Flat, thick: Flat, shape: tuple[int, int]) -> Thinned:
    """Separate pixels that lie at most 2 px from a pixel that is still surrounded: they are no lines."""
    core = np.zeros(shape, bool).ravel()
    for row in range(-2, 3):
        for col in range(-2, 3):
            core[np.clip(thick + row * shape[1] + col, 0, core.size - 1)] = True
    wide = core[left]
    return Thinned(left[~wide], left[wide])


def _unique_alive(places: Flat, alive: NDArray[np.bool_], stamp: NDArray[np.int32]) -> Flat:
    """Give the places that are alive, each once; `stamp` is scratch memory of the size of the mask."""
    places = places[alive[places]]
    number = np.arange(len(places), dtype=np.int32)
    stamp[places] = number
    once: Flat = places[stamp[places] == number]
    return once


def _deleted() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Give for each of the 256 neighbourhoods whether the first and the second pass delete its pixel."""
    codes = np.arange(256)
    x = [
        (codes >> (i - 1) % 8) & 1 == 1 for i in range(10)
    ]  # x[1] … x[8] from the right, counterclockwise; x[9] = x[1]
    crossings = sum((~x[i] & (x[i + 1] | x[i + 2])).astype(int) for i in (1, 3, 5, 7))
    odd = sum((x[i] | x[i + 1]).astype(int) for i in (1, 3, 5, 7))
    even = sum((x[i + 1] | x[i + 2]).astype(int) for i in (1, 3, 5, 7))
    fewer = np.minimum(odd, even)
    both = (crossings == 1) & (fewer >= 2) & (fewer <= 3)  # noqa: PLR2004  # G1 and G2 of the paper
    return both & ~((x[2] | x[3] | ~x[8]) & x[1]), both & ~((x[6] | x[7] | ~x[4]) & x[5])


DELETED = _deleted()
