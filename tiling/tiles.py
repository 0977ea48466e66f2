"""Exact tiling: cores that partition the scene, reads that make every core right.

A fully convolutional network gives a pixel the same logits in a tile as in the whole scene if

1. the read reaches past the core by at least the network's dependency (the *margin*),
2. the read starts on a multiple of the network's total downsampling (the *stride*),
3. the read ends where the scene ends, so that the network meets the scene's edge
   where the whole-scene pass meets it.

A network with stride `s` needs sizes that are multiples of `s`. The whole-scene pass and every
tile see the same scene for that: extended at its bottom and right to the next multiple of `s`
with pixels that are not valid. So every read is a window of the *extended* scene.

The plane dissolves into two axes; a tile is the product of a row interval and a column interval.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from segflow.tiling.window import Span, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of a `TileGrid`.

    Attributes
    ----------
    length
        Number of pixels of the scene [px].
    core
        Pixels that a tile owns; the last tile owns what is left [px].
    margin
        How far a read reaches past its core at least, inside the scene [px].
    stride
        The network's total downsampling; reads start and end on multiples of it [px].
    """

    length: int
    core: int
    margin: int
    stride: int

    def __post_init__(self) -> None:
        if self.length < 1 or self.core < 1 or self.stride < 1 or self.margin < 0:
            msg = f"lengths must be positive and the margin not negative, got {self}"
            raise ValueError(msg)
        if self.core % self.stride:
            msg = f"the core must be a multiple of the stride, got {self.core} and {self.stride}"
            raise ValueError(msg)

    def __len__(self) -> int:
        """Give the number of tiles along the axis."""
        return -(-self.length // self.core)

    @property
    def extended(self) -> int:
        """Length of the scene with its last pixels rounded up to the stride [px]."""
        return _round_up(self.length, self.stride)

    @property
    def read_length(self) -> int:
        """Length of every read along the axis [px]."""
        return min(self.core + 2 * _round_up(self.margin, self.stride), self.extended)

    def core_at(self, index: int) -> Span:
        """Give the pixels that tile `index` owns."""
        start = index * self.core
        return Span(start, min(start + self.core, self.length))

    def read_at(self, index: int) -> Span:
        """Give the pixels that tile `index` reads.

        Centred on the core; slid back by whole strides at the ends of the scene,
        so that all reads have one length.
        """
        start = index * self.core - _round_up(self.margin, self.stride)
        start = max(0, min(start, self.extended - self.read_length))
        return Span(start, start + self.read_length)

    def read_around(self, core: Span) -> Span:
        """Give the shortest aligned read that makes any pixels `core` right."""
        start = (core.start - self.margin) // self.stride * self.stride
        return Span(max(0, start), min(_round_up(core.stop + self.margin, self.stride), self.extended))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One window given to the network.

    Attributes
    ----------
    index
        Place in the row-major order of tiles.
    core
        The pixels that the tile owns, in the scene.
    read
        All pixels that the network sees, in the extended scene.
    """

    index: int
    core: Window
    read: Window

    @property
    def core_in_read(self) -> Window:
        """The core counted from the first pixel of the read."""
        return self.core.relative_to(self.read)


@dataclass(frozen=True, slots=True, kw_only=True)
class TileGrid:
    """All tiles of a scene, in row-major order.

    Attributes
    ----------
    height, width
        Shape of the scene [px].
    core
        Side of a core, a multiple of `stride` [px].
    margin
        How far a read reaches past its core at least, inside the scene [px].
    stride
        The network's total downsampling [px].

    Raises
    ------
    ValueError
        If the core is not a multiple of the stride, or a number is out of range.
    """

    height: int
    width: int
    core: int
    margin: int
    stride: int

    def __post_init__(self) -> None:
        _ = self.rows, self.cols

    @property
    def rows(self) -> Axis:
        """The axis of rows."""
        return Axis(length=self.height, core=self.core, margin=self.margin, stride=self.stride)

    @property
    def cols(self) -> Axis:
        """The axis of columns."""
        return Axis(length=self.width, core=self.core, margin=self.margin, stride=self.stride)

    @property
    def counts(self) -> tuple[int, int]:
        """Number of tiles down and across."""
        return len(self.rows), len(self.cols)

    @property
    def read_shape(self) -> tuple[int, int]:
        """Shape of every read: (height, width) [px]."""
        return self.rows.read_length, self.cols.read_length

    @property
    def work(self) -> float:
        """Pixels given to the network over pixels of the scene: what the margin costs."""
        height, width = self.read_shape
        return len(self) * height * width / (self.height * self.width)

    def __len__(self) -> int:
        """Give the number of tiles."""
        down, across = self.counts
        return down * across

    def __getitem__(self, index: int) -> Tile:
        """Give tile `index` of the row-major order."""
        if not 0 <= index < len(self):
            msg = f"there are {len(self)} tiles, got index {index}"
            raise IndexError(msg)
        row, col = divmod(index, len(self.cols))
        return Tile(
            index=index,
            core=Window(self.rows.core_at(row), self.cols.core_at(col)),
            read=Window(self.rows.read_at(row), self.cols.read_at(col)),
        )

    def __iter__(self) -> Iterator[Tile]:
        """Go through the tiles in row-major order."""
        return (self[index] for index in range(len(self)))

    def around(self, core: Window) -> Tile:
        """Give a tile for any window of the scene, wherever the borders of this tiling lie."""
        return Tile(index=0, core=core, read=Window(self.rows.read_around(core.rows), self.cols.read_around(core.cols)))

    def whole(self) -> Tile:
        """Give the whole scene as one tile: the pass that all tilings must equal."""
        read = Window.of_shape(self.rows.extended, self.cols.extended)
        return Tile(index=0, core=Window.of_shape(self.height, self.width), read=read)


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
