"""Half-open spans and windows of pixels."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Pixels ``start <= i < stop`` along one axis [px]."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if self.start > self.stop:
            msg = f"a span must not end before it starts, got {self.start}..{self.stop}"
            raise ValueError(msg)

    def __len__(self) -> int:
        """Give the number of pixels."""
        return self.stop - self.start

    @property
    def slice(self) -> slice:
        """The span as an index of an array."""
        return slice(self.start, self.stop)

    def __contains__(self, other: "Span") -> bool:
        """Tell whether every pixel of `other` is in this span."""
        return self.start <= other.start and other.stop <= self.stop

    def shift(self, by: int) -> "Span":
        """Give the span moved by `by` pixels."""
        return Span(self.start + by, self.stop + by)

    def clip(self, to: "Span") -> "Span":
        """Give the part inside `to`; empty at the nearer end of `to` where they do not meet."""
        start = min(max(self.start, to.start), to.stop)
        return Span(start, max(start, min(self.stop, to.stop)))


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A rectangle of pixels: a span of rows and a span of columns."""

    rows: Span
    cols: Span

    @classmethod
    def of_shape(cls, height: int, width: int) -> "Window":
        """Give the window of all pixels of a `height` × `width` raster."""
        return cls(Span(0, height), Span(0, width))

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) [px]."""
        return len(self.rows), len(self.cols)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return len(self.rows) * len(self.cols)

    @property
    def slices(self) -> tuple[slice, slice]:
        """The window as an index of the last two axes of an array."""
        return self.rows.slice, self.cols.slice

    def __contains__(self, other: "Window") -> bool:
        """Tell whether every pixel of `other` is in this window."""
        return other.rows in self.rows and other.cols in self.cols

    def shift(self, rows: int, cols: int) -> "Window":
        """Give the window moved by `rows` and `cols` pixels."""
        return Window(self.rows.shift(rows), self.cols.shift(cols))

    def relative_to(self, outer: "Window") -> "Window":
        """Give the same pixels counted from the first pixel of `outer`."""
        return self.shift(-outer.rows.start, -outer.cols.start)

    def clip(self, to: "Window") -> "Window":
        """Give the part inside `to`."""
        return Window(self.rows.clip(to.rows), self.cols.clip(to.cols))
