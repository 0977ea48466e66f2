"""Lines over a common x axis as inline SVG: losses and scores by epoch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 400, 240  # px of the drawing
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 34  # px around the plot
_TICKS = 5  # about as many along each axis
_SAME = 1e-9  # share of a number that is no difference
_NOTHING = 1e-100  # a scale below is no scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a chart.

    Attributes
    ----------
    name, colour
        As the legend shows it; the colour is any that CSS knows.
    points
        (x, y) of each point; those that are not finite are left out.
    faint
        Whether it is the background of another one.
    """

    name: str
    colour: str
    points: tuple[tuple[float, float], ...]
    faint: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A point of a drawing [px], and the text that shows over it."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """A line as it is drawn: its SVG path, and dots where it has few points."""

    name: str
    colour: str
    path: str
    faint: bool
    dots: tuple[Dot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChart:
    """A drawing: strokes, ticks (px, text) along both axes, and the px of a marked x, or None."""

    title: str
    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    strokes: tuple[Stroke, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    mark: float | None


def line_chart(title: str, lines: Sequence[Line], *, mark: float | None = None) -> LineChart:
    """Draw lines over one x axis that begins at 0, with a scale of round numbers.

    Parameters
    ----------
    title
        What the y axis holds.
    lines
        Drawn in this order.
    mark
        An x to be marked: the best epoch.
    """
    points = [point for line in lines for point in line.points if all(map(math.isfinite, point))]
    x_ticks = round_ticks(0.0, max((x for x, _ in points), default=1.0), whole=True)
    y_ticks = round_ticks(min((y for _, y in points), default=0.0), max((y for _, y in points), default=1.0))
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    x_scale = _scale(0.0, max(x_ticks[-1], *(x for x, _ in points), 1.0), _LEFT, right)
    y_scale = _scale(y_ticks[0], y_ticks[-1], bottom, _TOP)
    return LineChart(
        title=title,
        width=WIDTH,
        height=HEIGHT,
        left=_LEFT,
        right=right,
        top=_TOP,
        bottom=bottom,
        strokes=tuple(_stroke(line, x_scale, y_scale) for line in lines),
        x_ticks=tuple((_at(tick, x_scale), f"{tick:g}") for tick in x_ticks),
        y_ticks=tuple((_at(tick, y_scale), f"{tick:g}") for tick in y_ticks),
        mark=None if mark is None else _at(mark, x_scale),
    )


def round_ticks(low: float, high: float, *, whole: bool = False) -> tuple[float, ...]:
    """Give round numbers, at equal steps of 1, 2 or 5 times a power of ten, from below `low` to above `high`."""
    size = max(abs(low), abs(high))
    if high - low <= _SAME * size or size < _NOTHING:
        half = size / 2 if size > _NOTHING else 0.5
        low, high = low - half, high + half
    rough = (high - low) / (_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - _SAME))
    if whole:
        step = max(1.0, step)
    first = math.floor(low / step + _SAME)
    last = max(first + 1, math.ceil(high / step - _SAME))
    return tuple(float(f"{index * step:.12g}") for index in range(first, last + 1))


def _stroke(line: Line, x_scale: "_Scale", y_scale: "_Scale") -> Stroke:
    known = [(x, y) for x, y in line.points if math.isfinite(x) and math.isfinite(y)]
    places = [(_at(x, x_scale), _at(y, y_scale)) for x, y in known]
    dots = (
        Dot(x=place[0], y=place[1], text=f"{line.name}, {x:g}: {y:.4g}")
        for (x, y), place in zip(known, places, strict=True)
    )
    return Stroke(
        name=line.name,
        colour=line.colour,
        path="M" + " L".join(f"{x:g} {y:g}" for x, y in places) if places else "",
        faint=line.faint,
        dots=() if line.faint else tuple(dots),
    )


_Scale = tuple[float, float]  # factor and summand


def _scale(low: float, high: float, first: float, last: float) -> _Scale:
    factor = (last - first) / (high - low)
    return factor, first - factor * low


def _at(value: float, scale: _Scale) -> float:
    return round(scale[0] * value + scale[1], 1) + 0.0
