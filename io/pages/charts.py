"""Charts as inline SVG, drawn in the colours of the classes."""

from collections.abc import Sequence
from dataclasses import dataclass

BIN = 2  # % per bar
WIDTH, HEIGHT = 720, 220  # px of the drawing
_LEFT, _BOTTOM, _TOP = 8, 26, 10  # px around the bars


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One class in a histogram: its colour, and its pixels at each confidence from 0 to 100 %."""

    name: str
    colour: str
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One rectangle of a drawing [px], and the text that shows over it."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """A drawing: boxes, and labels (x, text) under them."""

    width: int
    height: int
    baseline: float
    boxes: tuple[Box, ...]
    labels: tuple[tuple[float, str], ...]


def histogram(bars: Sequence[Bar]) -> Histogram:
    """Give the confidences of all classes, stacked, from 0 to 100 %."""
    starts = range(0, 100, BIN)
    stacks = [[sum(_bin(bar, start)) for bar in bars] for start in starts]
    total = max(1, sum(map(sum, stacks)))
    highest = max(1, *map(sum, stacks))
    step = (WIDTH - 2 * _LEFT) / len(starts)
    boxes = []
    for index, (start, stack) in enumerate(zip(starts, stacks, strict=True)):
        top = float(HEIGHT - _BOTTOM)
        for bar, count in zip(bars, stack, strict=True):
            if count:
                height = count / highest * (HEIGHT - _BOTTOM - _TOP)
                top -= height
                text = f"{bar.name}, {start}–{start + BIN} %: {100 * count / total:.2f} % of the map"
                boxes.append(_box(_LEFT + index * step, top, step, height, bar.colour, text))
    labels = tuple((round(_LEFT + share / 100 * (WIDTH - 2 * _LEFT), 2), f"{share} %") for share in range(0, 101, 20))
    return Histogram(width=WIDTH, height=HEIGHT, baseline=HEIGHT - _BOTTOM, boxes=tuple(boxes), labels=labels)


def _bin(bar: Bar, start: int) -> tuple[int, ...]:
    """Give the counts of one bin; the last one holds 100 % too."""
    stop = start + BIN + (start + BIN == 100)  # noqa: PLR2004
    return bar.counts[start:stop]


def _box(x: float, y: float, width: float, height: float, colour: str, text: str) -> Box:
    return Box(
        x=round(x + 0.5, 2), y=round(y, 2), width=round(width - 1, 2), height=round(height, 2), colour=colour, text=text
    )
