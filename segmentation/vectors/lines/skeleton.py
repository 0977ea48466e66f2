"""The skeleton of one class in one patch: its pixels, with the middle and the half width of the line at each.

All results are local: they depend on pixels at most `Reach.margin` away. Numbers are sums of integers, or positions in
multiples of 1/256 px, so they are equal in every bit wherever the patch begins.
"""

from dataclasses import dataclass, fields
from math import ceil, sqrt
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from segflow.segmentation.vectors.lines.thinning import REACH, STEPS, Flat, thin
from segflow.segmentation.vectors.lines.windows import Patch
from segflow.tiling import NODATA, Window

DISC = 1.5  # half widths; radius of the disc whose centre of mass is taken
LARGEST_SHIFT = 1.0  # px; a skeleton lies half a pixel off the middle of a line of even width, more with noise
ABOUT = 1.2  # half widths; a skeleton ends this far before the end of its region
STEP = 1 / 256  # px; positions are multiples of it, so they do not depend on the corner they are counted from


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How wide a line may be, and the margin that follows from it.

    Attributes
    ----------
    max_width
        Regions wider than this are no lines [px].
    max_hole
        Holes of at most this many pixels are filled [px].
    """

    max_width: int
    max_hole: int

    @property
    def iterations(self) -> int:
        """Iterations of thinning: across a diagonal line its layers lie 1/√2 px apart."""
        return ceil(self.max_width / sqrt(2)) + 1

    @property
    def radius(self) -> int:
        """Largest half width that is measured; larger ones are cut off here [px]."""
        return self.max_width // 2 + 2

    @property
    def margin(self) -> int:
        """Margin of a patch [px]: for filling holes and thinning, or for measuring widths, whichever needs more."""
        return self.max_hole + 1 + max(REACH * self.iterations + 4, ceil(DISC * self.radius) + 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """Pixels of a skeleton, (n,) arrays.

    Attributes
    ----------
    place
        int64: row-major index in the scene; ascending.
    shift
        (n, 2) float64: (column, row) from the pixel's centre to the middle of the line [px].
    half_width
        float64: distance from the middle to the side of the line [px].
    confidence
        uint8: of the pixel [%]; 255 in a hole that was filled.
    to_nodata
        float64: distance from the middle to nodata that cuts the line off, else infinity [px].
    wide
        Number of pixels in the cores of regions that are wider than a line.
    """

    place: Flat
    shift: NDArray[np.float64]
    half_width: NDArray[np.float64]
    confidence: NDArray[np.uint8]
    to_nodata: NDArray[np.float64]
    wide: int

    def __len__(self) -> int:
        """Give the number of pixels."""
        return len(self.place)

    @classmethod
    def empty(cls) -> Self:
        """Give a skeleton without pixels."""
        return cls(
            place=np.zeros(0, np.int64),
            shift=np.zeros((0, 2)),
            half_width=np.zeros(0),
            confidence=np.zeros(0, np.uint8),
            to_nodata=np.zeros(0),
            wide=0,
        )

    @classmethod
    def of(cls, parts: list[Self]) -> Self:
        """Give the pixels of all parts, of which there is at least one, in row-major order."""
        order = np.argsort(np.concatenate([part.place for part in parts]))
        columns = [f.name for f in fields(cls) if f.name != "wide"]
        joined = {name: np.concatenate([getattr(part, name) for part in parts])[order] for name in columns}
        return cls(**joined, wide=sum(part.wide for part in parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """A class in a patch, padded by one pixel on all sides; places are flat indices into these arrays."""

    mask: NDArray[np.bool_]
    inside: NDArray[np.bool_]  # False in the padding, where it is not known whether a line continues
    labels: NDArray[np.uint8]

    @property
    def width(self) -> int:
        return int(self.mask.shape[1])

    def sides(self) -> Flat:
        """Give the pixels that are not of the class but lie beside one that is."""
        beside = np.zeros_like(self.mask)
        for axis in (0, 1):
            one, other = _shifted(axis, 1), _shifted(axis, -1)
            beside[one] |= self.mask[other]
            beside[other] |= self.mask[one]
        return np.flatnonzero(beside & ~self.mask & self.inside)

    def points(self, places: Flat) -> NDArray[np.float64]:
        """Give the (column, row) of pixels' centres: (n, 2) float64 array."""
        row, col = np.divmod(places, self.width)
        return np.stack([col, row], axis=1).astype(np.float64)


def find_skeleton(patch: Patch, value: int, reach: Reach) -> Skeleton | None:
    """Find the skeleton of a class in the core of a patch; None where the patch has no pixel of it.

    Parameters
    ----------
    patch
        Its margin is that of `reach`, clipped at the scene's edge.
    value
        The class.
    reach
        The widest line.
    """
    mask = patch.labels == value
    if not mask.any():
        return None
    core = patch.tile.core_in_read.shift(1, 1)
    field = _Field(
        mask=np.pad(_without_holes(mask, patch, reach.max_hole), 1),
        inside=np.pad(np.ones(mask.shape, bool), 1),
        labels=np.pad(patch.labels, 1),
    )
    layers = thin(field.mask, reach.iterations)
    places = _within(layers.places, core, field.width)
    shift = _shift(field, places, reach)
    shift[_ends(layers.places, places, field.mask.shape)] = 0  # the centre of mass around an end lies behind it
    half_width, to_nodata = _measure(field, places, shift, reach)
    row, col = np.divmod(places, field.width)
    read = patch.tile.read
    pixel = row - 1, col - 1
    return Skeleton(
        place=(pixel[0] + read.rows.start) * len(patch.scene.cols) + pixel[1] + read.cols.start,
        shift=shift,
        half_width=half_width,
        confidence=np.where(patch.labels[pixel] == value, patch.confidence[pixel], np.uint8(NODATA)),
        to_nodata=to_nodata,
        wide=len(_within(layers.wide, core, field.width)),
    )


def _within(places: Flat, window: Window, width: int) -> Flat:
    row, col = np.divmod(places, width)
    rows, cols = window.rows, window.cols
    return places[(row >= rows.start) & (row < rows.stop) & (col >= cols.start) & (col < cols.stop)]


def _without_holes(mask: NDArray[np.bool_], patch: Patch, size: int) -> NDArray[np.bool_]:
    """Fill holes of at most `size` pixels; a gap that reaches the side of the patch is no hole."""
    if size < 1:
        return mask
    regions, count = ndimage.label(~mask)
    small = np.bincount(regions.ravel(), minlength=count + 1) <= size
    small[0] = False
    for side in (regions[0], regions[-1], regions[:, 0], regions[:, -1]):
        small[side] = False
    return mask | (small[regions] & (patch.labels != NODATA)) if small.any() else mask


def _ends(skeleton: Flat, places: Flat, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Give which pixels of a skeleton have one neighbour, by the links of `pixels`."""
    thin_mask = np.zeros(shape, bool).ravel()
    thin_mask[skeleton] = True
    around = np.array([thin_mask[places + row * shape[1] + col] for row, col in STEPS])
    level, corners = around[0::2], around[1::2]
    free = corners & ~level & ~np.roll(level, -1, axis=0)
    ends: NDArray[np.bool_] = level.sum(axis=0) + free.sum(axis=0) == 1
    return ends


def _shift(field: _Field, places: Flat, reach: Reach) -> NDArray[np.float64]:
    """Give the vectors from pixels to the centres of mass of the class around them: (n, 2) float64 array."""
    rough = _nearest(field.points(field.sides()), field.points(places), reach)
    radius = np.ceil(DISC * rough).astype(np.int64)
    shift = np.zeros((len(places), 2))
    padded = np.pad(field.mask, radius.max(initial=0))
    row, col = np.divmod(places, field.width)
    centre = (row + radius.max(initial=0)) * padded.shape[1] + col + radius.max(initial=0)
    for r in np.unique(radius):
        down, right = np.mgrid[-r : r + 1, -r : r + 1].reshape(2, -1)
        disc = down**2 + right**2 <= r * r
        down, right = down[disc], right[disc]
        chosen = np.flatnonzero(radius == r)
        for some in np.array_split(chosen, len(chosen) * len(down) // 2**20 + 1):
            there = padded.ravel()[centre[some, None] + down * padded.shape[1] + right]
            weight = there.sum(axis=1)
            shift[some] = np.stack([there @ right, there @ down], axis=1) / weight[:, None]
    return np.round(np.clip(shift, -LARGEST_SHIFT, LARGEST_SHIFT) / STEP) * STEP


def _measure(
    field: _Field, places: Flat, shift: NDArray[np.float64], reach: Reach
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the distances from the middle of the line to its side, and to nodata where that is near."""
    sides = field.sides()
    middle = field.points(places) + shift
    half_width = _nearest(field.points(sides), middle, reach)
    nodata = sides[field.labels.ravel()[sides] == NODATA]
    to_nodata = _nearest(field.points(nodata), middle, reach)
    near = (to_nodata <= ABOUT * half_width + 1) & (to_nodata < reach.radius)
    return half_width, np.where(near, to_nodata, np.inf)


def _nearest(targets: NDArray[np.float64], points: NDArray[np.float64], reach: Reach) -> NDArray[np.float64]:
    """Give the distance to the nearest target, at most the reach's radius."""
    if not len(targets):
        return np.full(len(points), float(reach.radius))
    distance, _ = KDTree(targets).query(points, distance_upper_bound=reach.radius)
    capped: NDArray[np.float64] = np.minimum(distance, float(reach.radius))
    return capped


def _shifted(axis: int, by: int) -> tuple[slice, slice]:
    part = slice(1, None) if by > 0 else slice(None, -1)
    return (part, slice(None)) if axis == 0 else (slice(None), part)
