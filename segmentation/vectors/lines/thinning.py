"""Thinning of a mask to its skeleton, a fixed number of layers deep.

Each of the two passes of an iteration looks at the eight neighbours of a pixel, so what one
iteration does to a pixel depends on pixels at most 2 px away: after n iterations nothing that
lies more than 2 n px away has had a say. That makes the skeleton of a window with a margin
that of the whole raster, exactly.

The work follows the pixels that change. A mask holds its pixels' neighbours as bits; a pixel that
goes clears its bit with its neighbours, and only they are looked at in the next two passes.

References
----------
Guo and Hall, Parallel thinning with two-subiteration algorithms (1989), algorithm A1, with the
numbering of Lam, Lee and Suen, Thinning methodologies (1992), conditions G1 to G3.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REACH = 2  # px; how far one iteration looks
SURROUNDED = 255  # all eight neighbours are set
STEPS = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))  # (row, column) of neighbours x1 … x8

Flat = NDArray[np.int64]  # places in the row-major order of an array


@dataclass(frozen=True, slots=True)
class Layers:
    """What thinning leaves.

    Attributes
    ----------
    places
        (n,) int64 array: the pixels of the skeleton, in row-major order.
    wide
        (m,) int64 array: pixels of what was still thick after the last iteration; not in `places`.
    """

    places: Flat
    wide: Flat


def thin(mask: NDArray[np.bool_], iterations: int) -> Layers:
    """Thin a mask.

    Parameters
    ----------
    mask
        (height, width) bool array; False along all four sides.
    iterations
        Each takes one layer of pixels from every side.
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
        look = _once(np.concatenate([before, latest]), alive, stamp)
        gone = look[DOOMED[turn % 2][around[look]]]
        alive[gone] = False
        for bit, step in enumerate(steps):
            around[gone + step] &= np.uint8(SURROUNDED - (1 << (bit + 4) % 8))
        before, latest = latest, _once((gone + steps[:, None]).ravel(), alive, stamp)
        if not len(before) and not len(latest):
            break
    left = places[alive[places]]
    thick = left[around[left] == SURROUNDED]
    if not len(thick):
        return Layers(left, thick)
    return _without_cores(left, thick, mask.shape)


def _without_cores(left: Flat, thick: Flat, shape: tuple[int, int]) -> Layers:
    """Take away the pixels at most 2 px from those that are still surrounded: they are no lines."""
    core = np.zeros(shape, bool).ravel()
    for row in range(-2, 3):
        for col in range(-2, 3):
            core[np.clip(thick + row * shape[1] + col, 0, core.size - 1)] = True
    wide = core[left]
    return Layers(left[~wide], left[wide])


def _once(places: Flat, alive: NDArray[np.bool_], stamp: NDArray[np.int32]) -> Flat:
    """Give the places that are alive, each once; `stamp` is room to mark them in."""
    places = places[alive[places]]
    number = np.arange(len(places), dtype=np.int32)
    stamp[places] = number
    once: Flat = places[stamp[places] == number]
    return once


def _doomed() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell for each of the 256 neighbourhoods whether the first and the second pass delete its pixel."""
    codes = np.arange(256)
    x = [
        (codes >> (i - 1) % 8) & 1 == 1 for i in range(10)
    ]  # x[1] … x[8] from the right against the clock; x[9] = x[1]
    crossings = sum((~x[i] & (x[i + 1] | x[i + 2])).astype(int) for i in (1, 3, 5, 7))
    odd = sum((x[i] | x[i + 1]).astype(int) for i in (1, 3, 5, 7))
    even = sum((x[i + 1] | x[i + 2]).astype(int) for i in (1, 3, 5, 7))
    fewer = np.minimum(odd, even)
    both = (crossings == 1) & (fewer >= 2) & (fewer <= 3)  # noqa: PLR2004  # G1 and G2 of the paper
    return both & ~((x[2] | x[3] | ~x[8]) & x[1]), both & ~((x[6] | x[7] | ~x[4]) & x[5])


DOOMED = _doomed()
