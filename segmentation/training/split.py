"""The division of scenes or blocks into training, validation and test.

It follows from a seeded hash of their names, so it depends neither on the order of files nor on
a random generator.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from segflow.errors import TrainingError
from segflow.tiling import Span, Window

Part = Literal["training", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
Mask = npt.NDArray[np.bool_]  # (height, width)

# The buffer is taken from the part that stands earlier, so the test part keeps all its pixels.
_ORDER = {part: place for place, part in enumerate(PARTS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneBlocks:
    """The blocks of one scene and the parts they serve.

    Attributes
    ----------
    height, width
        Shape of the scene [px].
    side
        Side of a block [px]; the last ones of a row or column take what is left, up to twice that.
    parts
        Part of each block by its (row, column); blocks that are missing serve none.
    """

    height: int
    width: int
    side: int
    parts: Mapping[tuple[int, int], Part]

    def window(self, block: tuple[int, int]) -> Window:
        """Give the pixels of a block."""
        return block_window((self.height, self.width), self.side, block)

    def mask(self, part: Part, *, buffer: int, within: Window) -> Mask:
        """Tell which pixels of a window serve a part.

        Pixels of its blocks do, unless they lie within `buffer` [px, along the longer axis] of a block of a part
        that comes later in the order training, validation, test. So the test part keeps all its pixels.
        """
        mask = np.zeros(within.shape, np.bool_)
        own = [self.window(block) for block, other in self.parts.items() if other == part]
        later = [self.window(block) for block, other in self.parts.items() if _ORDER[other] > _ORDER[part]]
        for window, value, reach in (*((w, True, 0) for w in own), *((w, False, buffer) for w in later)):
            inside = _grown(window, reach).clip(within)
            if inside.size:
                mask[inside.relative_to(within).slices] = value
        return mask


def block_window(shape: tuple[int, int], side: int, block: tuple[int, int]) -> Window:
    """Give the pixels of the block at (row, column) of a scene."""
    rows, cols = (_block_span(length, side, index) for length, index in zip(shape, block, strict=True))
    return Window(rows, cols)


def count_blocks(shape: tuple[int, int], side: int) -> tuple[int, int]:
    """Give the number of rows and of columns of blocks in a scene."""
    return max(1, shape[0] // side), max(1, shape[1] // side)


def deal_parts(names: Iterable[str], *, validation: float, test: float, seed: int) -> dict[str, Part]:
    """Assign names to the parts in the order of a seeded hash: first test, then validation, the rest training.

    Parameters
    ----------
    names
        Of scenes, groups of scenes or blocks; their order does not matter.
    validation, test
        Shares, each rounded to at least one.
    seed
        Another seed deals otherwise.

    Raises
    ------
    TrainingError
        If there are fewer names than parts.
    """
    order = sorted(set(names), key=lambda name: (hashlib.sha256(f"{seed}:{name}".encode()).digest(), name))
    if len(order) < len(PARTS):
        msg = (
            f"{len(order)} labelled scenes or blocks cannot be split into training, validation and test: "
            "label more, or set `split: {by: block, block: 256}`"
        )
        raise TrainingError(msg)
    tested = min(max(1, round(test * len(order))), len(order) - 2)
    chosen = min(max(1, round(validation * len(order))), len(order) - tested - 1)
    starts: tuple[tuple[int, Part], ...] = ((tested + chosen, "training"), (tested, "validation"), (0, "test"))
    return {name: next(part for start, part in starts if place >= start) for place, name in enumerate(order)}


def deal_scenes(
    names: Iterable[str], together: Iterable[tuple[str, str]], *, validation: float, test: float, seed: int
) -> dict[str, Part]:
    """Assign scenes to the parts, keeping pairs in one part; other parameters as in `deal_parts`.

    Parameters
    ----------
    names
        Of the scenes.
    together
        Pairs that show the same ground or hold the same pixels.

    Raises
    ------
    TrainingError
        If there are fewer groups of scenes than parts.
    """
    group = {name: name for name in names}
    for one, other in together:
        first, second = sorted((group[one], group[other]))
        group = {name: first if leader == second else leader for name, leader in group.items()}
    parts = deal_parts(group.values(), validation=validation, test=test, seed=seed)
    return {name: parts[leader] for name, leader in group.items()}


def _grown(window: Window, by: int) -> Window:
    rows, cols = (Span(span.start - by, span.stop + by) for span in (window.rows, window.cols))
    return Window(rows, cols)


def _block_span(length: int, side: int, index: int) -> Span:
    last = max(1, length // side) - 1
    return Span(index * side, length if index == last else (index + 1) * side)
