"""Terrain of the demo scene: fractal fields, and the streams that such a terrain has.

References
----------
Barnes, Lehman, Mulla (2014), Priority-flood, Computers & Geosciences 62, algorithm 1: the order in which
water leaves a terrain with pits.
"""

import heapq

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def fractal(
    random: np.random.Generator, size: int, *, wavelength: int, roughness: float, smallest: int = 1
) -> NDArray[np.float32]:
    """Give a random field whose detail repeats at every scale.

    Parameters
    ----------
    random
        Source of all randomness.
    size
        Side of the field, a multiple of `wavelength` [px].
    wavelength, smallest
        Largest and smallest scale, powers of two [px].
    roughness
        Amplitude of a scale over that of the scale twice as large.

    Returns
    -------
    (size, size) float32 array with mean 0 and standard deviation 1.
    """
    cells, amplitude = size // wavelength, 1.0
    field = random.standard_normal((cells, cells), dtype=np.float32)
    while cells < size:
        field = double(field)
        cells, amplitude = 2 * cells, amplitude * roughness
        if size // cells >= smallest:
            field += np.float32(amplitude) * random.standard_normal((cells, cells), dtype=np.float32)
    field -= field.mean(dtype=np.float64).astype(np.float32)
    field /= field.std(dtype=np.float64).astype(np.float32)
    return field


def double(field: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the field with twice as many pixels on each side, interpolated linearly."""
    for axis in (0, 1):
        field = ndimage.convolve1d(np.repeat(field, 2, axis), (0.25, 0.5, 0.25), axis)
    return field


def drainage(terrain: NDArray[np.float32]) -> NDArray[np.int32]:
    """Give how much land drains through each cell.

    Water is followed from the border inwards, always over the lowest cell in reach; so every cell learns
    through which neighbour its water leaves, pits too. Then each hands on what it gathered, farthest first.

    Parameters
    ----------
    terrain
        (rows, cols) array of heights.

    Returns
    -------
    (rows, cols) int32 array of numbers of cells, itself included.
    """
    rows, cols = terrain.shape
    framed = np.pad(terrain, 1).ravel().tolist()
    step = cols + 2
    outside = np.ones((rows + 2, step), dtype=bool)
    outside[1:-1, 1:-1] = False
    seen = outside.ravel().tolist()
    border = np.flatnonzero(ndimage.binary_dilation(outside, np.ones((3, 3))) & ~outside).tolist()
    heap = [(framed[cell], framed[cell], cell) for cell in border]
    heapq.heapify(heap)
    for cell in border:
        seen[cell] = True
    order, leaves = [], {}
    while heap:
        level, _, cell = heapq.heappop(heap)
        order.append(cell)
        for move in (-step - 1, -step, -step + 1, -1, 1, step - 1, step, step + 1):
            near = cell + move
            if not seen[near]:
                seen[near] = True
                leaves[near] = cell
                heapq.heappush(heap, (max(level, framed[near]), framed[near], near))  # a pit's floor first
    land = [1] * len(framed)
    for cell in reversed(order):
        if cell in leaves:
            land[leaves[cell]] += land[cell]
    return np.array(land, np.int32).reshape(rows + 2, step)[1:-1, 1:-1]
