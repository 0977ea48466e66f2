"""Hypothesis strategies for the value types of `segflow.tiling`.

>>> window_in(Window.of_shape(3, 4)).example()                          # doctest: +SKIP
Window(rows=Span(start=1, stop=3), cols=Span(start=0, stop=4))
>>> tile_grids().example()                                              # doctest: +SKIP
TileGrid(height=37, width=90, core=32, margin=11, stride=8)
"""

from affine import Affine
from hypothesis import strategies as st

from segflow.tiling import Grid, Span, TileGrid, Window

MAX_SIDE = 200  # px; more tiles than a test can look through teach nothing new


def spans(start: int = -MAX_SIDE, stop: int = MAX_SIDE) -> st.SearchStrategy[Span]:
    """Spans inside start..stop, empty ones too."""
    ends = st.tuples(st.integers(start, stop), st.integers(start, stop))
    return ends.map(lambda pair: Span(min(pair), max(pair)))


def windows() -> st.SearchStrategy[Window]:
    """Any windows, empty ones and those before the first pixel too."""
    return st.builds(Window, spans(), spans())


def window_in(outer: Window) -> st.SearchStrategy[Window]:
    """Windows inside `outer`."""
    return st.builds(Window, spans(outer.rows.start, outer.rows.stop), spans(outer.cols.start, outer.cols.stop))


@st.composite
def tile_grids(draw: st.DrawFn) -> TileGrid:
    """Tile grids of small scenes; smaller than one core and larger than many."""
    stride = draw(st.sampled_from([1, 2, 3, 8, 16]))
    core = stride * draw(st.integers(1, 6))
    sides = st.integers(1, min(MAX_SIDE, 8 * core))
    return TileGrid(
        height=draw(sides),
        width=draw(sides),
        core=core,
        margin=draw(st.integers(0, 3 * stride + 5)),
        stride=stride,
    )


def transforms() -> st.SearchStrategy[Affine]:
    """Invertible transforms: north-up, south-up, mirrored, rotated, with non-square pixels."""
    sizes = st.floats(0.01, 1000).map(lambda size: round(size, 3))
    signs = st.sampled_from([-1, 1])
    return st.builds(
        lambda x, y, angle, width, height, across, down: (
            Affine.translation(x, y) * Affine.rotation(angle) * Affine.scale(across * width, down * height)
        ),
        st.integers(-(10**6), 10**6),
        st.integers(-(10**6), 10**6),
        st.sampled_from([0, 0, 30, 90, 215.5]),
        sizes,
        sizes,
        signs,
        signs,
    )


def grids() -> st.SearchStrategy[Grid]:
    """Grids without a CRS, of any orientation."""
    sides = st.integers(1, MAX_SIDE)
    return st.builds(Grid, height=sides, width=sides, transform=transforms(), crs=st.none())
