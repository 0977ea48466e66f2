"""Curves in text: each character is a cell of two by four dots."""

import math
from collections.abc import Iterable, Sequence

_BLANK = 0x2800  # the cell without a dot
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # bits by row and column in a cell
_ROWS, _COLS = 4, 2


def draw_curve(values: Sequence[float], *, width: int, height: int, span: float | None = None) -> list[str]:
    """Give a curve as lines of text.

    Parameters
    ----------
    values
        At equal steps along the x axis; those that are not finite leave a gap.
    width, height
        Of the drawing [characters].
    span
        Steps that the whole width stands for, so that a curve that is still growing ends short of the right
        edge; None: as many as there are.

    Returns
    -------
    `height` lines of `width` characters, the highest value at the top.
    """
    cells = [[_BLANK] * width for _ in range(height)]
    for x, y in _path(values, width * _COLS, height * _ROWS, span):
        row, col = min(height * _ROWS - 1, y), min(width * _COLS - 1, x)
        cells[row // _ROWS][col // _COLS] |= _DOTS[row % _ROWS][col % _COLS]
    return ["".join(map(chr, line)) for line in cells]


def _path(values: Sequence[float], width: int, height: int, span: float | None) -> Iterable[tuple[int, int]]:
    """Give the dots of a curve: steps between neighbours are filled from one height to the other."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return
    low, high = min(known), max(known)
    steps = max(span or 0, len(values) - 1, 1)
    before: tuple[int, int] | None = None
    for index, value in enumerate(values):
        if not math.isfinite(value):
            before = None
            continue
        share = (value - low) / (high - low) if high > low else 0.5
        here = round(index / steps * (width - 1)), round((1 - share) * (height - 1))
        yield from _line(before or here, here)
        before = here


def _line(start: tuple[int, int], stop: tuple[int, int]) -> Iterable[tuple[int, int]]:
    length = max(abs(stop[0] - start[0]), abs(stop[1] - start[1]), 1)
    for step in range(length + 1):
        x = round(start[0] + (stop[0] - start[0]) * step / length)
        yield x, round(start[1] + (stop[1] - start[1]) * step / length)
