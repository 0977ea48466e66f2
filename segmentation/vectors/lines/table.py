"""Centrelines with their fields, and the measurement of these fields."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import shapely
from numpy.typing import NDArray

from segflow.segmentation.vectors.columns import Columns
from segflow.segmentation.vectors.geodesy import Ground, world
from segflow.segmentation.vectors.lines.ends import AT_EDGE
from segflow.segmentation.vectors.lines.network import PASSING, Floats, Ints, Network
from segflow.segmentation.vectors.lines.skeleton import Skeleton
from segflow.segmentation.vectors.ragged import offsets_of
from segflow.tiling import NODATA, Grid

# px; twice the distance to the nearest pixel beside a line exceeds its width by this much, averaged over directions
ROUGH = 0.45


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTable(Columns):
    """Centrelines and their fields, (n,) arrays, by class and first pixel.

    The columns after `first_px` are fields of the product, in its order and under its names.

    Attributes
    ----------
    geometry
        LineStrings in world coordinates, from node to node: lines that meet share a node and its coordinates.
    class_id
        uint8: the class.
    first_px
        int64: row-major index in the scene of the first pixel that the line runs through; no two lines share it.
    length_m
        float64: on the ellipsoid [m]; NaN without a CRS.
    width_m, width_min_m
        float64: across the line, on the ellipsoid [m]; NaN without a CRS.
    confidence_mean, confidence_min
        float64: of the pixels that the line runs through, 0 … 1.
    n_px
        int64: number of these pixels.
    touches_edge, touches_nodata
        bool: somewhere the line, as wide as it is, reaches the scene's edge, or nodata.
    start_node, end_node
        int64: row-major index of a pixel of the nodes where the line starts and ends; equal for equal nodes of a class.
    start_degree, end_degree
        int64: ends of lines that meet there: 1 for a free end, 2 where a ring closes, more for junctions.
    """

    geometry: NDArray[np.object_]
    class_id: NDArray[np.uint8]
    first_px: Ints
    length_m: Floats
    width_m: Floats
    width_min_m: Floats
    confidence_mean: Floats
    confidence_min: Floats
    n_px: Ints
    touches_edge: NDArray[np.bool_]
    touches_nodata: NDArray[np.bool_]
    start_node: Ints
    end_node: Ints
    start_degree: Ints
    end_degree: Ints

    def measured(self) -> dict[str, NDArray[np.generic]]:
        """Give the fields of the product that are measured, by name."""
        named = ("geometry", "class_id", "first_px")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in named}

    @classmethod
    def of(cls, tables: list[Self]) -> Self:
        """Give the lines of all tables, of which there is at least one, by class and first pixel."""
        table = cls.concatenate(tables)
        return table.take(np.lexsort((table.first_px, table.class_id)))


def build_lines(
    network: Network, courses: list[Floats], skeleton: Skeleton, *, value: int, grid: Grid, simplify_px: float
) -> LineTable:
    """Make the table of a class.

    Parameters
    ----------
    network
        Its edges are the lines.
    courses
        (n, 2) arrays of (column, row): the course of each line [px].
    skeleton
        Its pixels are the first nodes of the network.
    value
        The class.
    grid
        The scene's grid.
    simplify_px
        Points that lie closer than this to the line through the others are left out [px].
    """
    ends, ground = network.degree[network.ends], Ground.of(grid)
    pixels = _own_pixels(network, len(skeleton))
    known = pixels.take(skeleton.confidence[pixels.pixel] != NODATA)
    inner = _within_lines(pixels, network)
    lines = _simplified(courses, simplify_px)
    length_m = _lengths_m(lines, ground)
    across = _metres_across(lines, length_m, ground)
    width = np.maximum(2 * skeleton.half_width - ROUGH, 0)
    middle = network.nodes.point[: len(skeleton)]
    pixel = network.nodes.pixel
    return LineTable(
        geometry=shapely.transform(lines, lambda points: np.stack(world(points, grid.transform), axis=1)),
        class_id=np.full(len(lines), value, np.uint8),
        first_px=pixels.first(skeleton.place),
        length_m=length_m,
        width_m=inner.mean(width) * across,
        width_min_m=inner.lowest(width) * across,
        confidence_mean=known.mean(skeleton.confidence / 100),
        confidence_min=known.lowest(skeleton.confidence / 100),
        n_px=pixels.count,
        touches_edge=pixels.any(_reaches_edge(middle, skeleton.half_width, grid)),
        touches_nodata=pixels.any(np.isfinite(skeleton.to_nodata)),
        start_node=pixel[network.ends[:, 0]],
        end_node=pixel[network.ends[:, 1]],
        start_degree=ends[:, 0],
        end_degree=ends[:, 1],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pixels:
    """The pixels that lines run through: (n,) arrays of pixels and of the lines they belong to."""

    pixel: Ints
    line: Ints
    lines: int

    @property
    def count(self) -> Ints:
        return np.bincount(self.line, minlength=self.lines)

    def take(self, which: NDArray[np.bool_]) -> Self:
        return type(self)(pixel=self.pixel[which], line=self.line[which], lines=self.lines)

    def mean(self, values: Floats) -> Floats:
        """Give the mean of each line; NaN without any pixel."""
        total = np.bincount(self.line, weights=values[self.pixel], minlength=self.lines)
        count = self.count
        mean: Floats = np.divide(total, count, out=np.full(self.lines, np.nan), where=count > 0)
        return mean

    def lowest(self, values: Floats) -> Floats:
        """Give the minimum of each line; infinity without any pixel."""
        least = np.full(self.lines, np.inf)
        np.minimum.at(least, self.line, values[self.pixel])
        return least

    def first(self, places: Ints) -> Ints:
        least = np.full(self.lines, np.iinfo(np.int64).max)
        np.minimum.at(least, self.line, places[self.pixel])
        return least

    def any(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.bincount(self.line[flags[self.pixel]], minlength=self.lines) > 0


def _own_pixels(network: Network, count: int) -> _Pixels:
    """Give the pixels of each line without those of junctions; the first `count` nodes are pixels, others merged."""
    points, offsets = network.points()
    line = np.repeat(np.arange(len(network)), np.diff(offsets))
    own = points < count
    degree = network.degree[network.ends]
    own[offsets[:-1]] &= degree[:, 0] <= PASSING
    own[offsets[1:] - 1] &= degree[:, 1] < PASSING  # the only node of a ring belongs to it once, at its start
    return _Pixels(pixel=points[own], line=line[own], lines=len(network))


def _within_lines(pixels: _Pixels, network: Network) -> _Pixels:
    """Leave out pixels near the ends of their lines, where discs do not give the width, unless a line has no others."""
    nodes = network.nodes
    away = np.ones(len(pixels.pixel), bool)
    for end in network.ends[pixels.line].T:
        distance = np.hypot(*(nodes.point[pixels.pixel] - nodes.point[end]).T)
        away &= distance > nodes.radius[end]
    has = np.bincount(pixels.line[away], minlength=pixels.lines) > 0
    return pixels.take(away | ~has[pixels.line])


def _reaches_edge(points: Floats, radius: Floats, grid: Grid) -> NDArray[np.bool_]:
    """Give whether the discs around points reach the scene's edge."""
    size = np.array([grid.width, grid.height])
    reaches: NDArray[np.bool_] = np.minimum(points, size - points).min(axis=1) <= radius + AT_EDGE
    return reaches


def _simplified(courses: list[Floats], tolerance: float) -> NDArray[np.object_]:
    owner = np.repeat(np.arange(len(courses)), [len(course) for course in courses])
    lines = np.asarray(shapely.linestrings(np.vstack([np.zeros((0, 2)), *courses]), indices=owner))
    return np.asarray(shapely.simplify(lines, tolerance)) if tolerance > 0 else lines


def _lengths_m(lines: NDArray[np.object_], ground: Ground | None) -> Floats:
    if ground is None or not len(lines):
        return np.full(len(lines), np.nan)
    return ground.measure_lines(shapely.get_coordinates(lines), offsets_of(shapely.get_num_coordinates(lines)))


def _metres_across(lines: NDArray[np.object_], length_m: Floats, ground: Ground | None) -> Floats:
    """Give metres per pixel across each line: the area of a pixel divided by the metres per pixel along the line."""
    if ground is None or not len(lines):
        return np.full(len(lines), np.nan)
    corner = shapely.get_coordinates(shapely.line_interpolate_point(lines, 0.5, normalized=True)) - 0.5
    squares = (corner[:, None] + np.array([[0, 0], [1, 0], [1, 1], [0, 1]])).reshape(-1, 2)
    areas, _ = ground.measure_rings(squares, np.arange(0, len(squares) + 1, 4))
    return areas / (length_m / shapely.length(lines))
