"""Road networks whose truth is known: middle lines drawn as wide ones into class rasters, and how results score."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from shapely import LineString
from shapely.ops import substring

from segflow.segmentation.vectors.lines.centrelines import Block, LineTable, trace_centrelines
from segflow.tiling import NODATA, Grid, Window

NEAR = 2.0  # px; as far as a result may lie from the truth
Raster = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoadNetwork:
    """Middle lines in pixels (column, row), from node to node; lines that meet share a node's coordinates."""

    lines: tuple[LineString, ...]
    shape: tuple[int, int]

    @property
    def degrees(self) -> Counter[int]:
        """How many junctions there are of each degree."""
        ends = Counter(xy for line in self.lines for xy in (line.coords[0], line.coords[-1]))
        return Counter(degree for degree in ends.values() if degree > 2)

    def draw(self, width: float | tuple[float, float]) -> Raster:
        """Draw the lines as class 1, as wide as told [px]; between two widths along every line where two are given."""
        narrow, wide = width if isinstance(width, tuple) else (width, width)
        shapes = []
        for line in self.lines:
            pieces = max(round(line.length / 8), 1) if wide > narrow else 1
            places = np.linspace(0, 1, pieces + 1)
            for start, stop in pairwise(places):
                local = narrow + (wide - narrow) * (0.5 + 0.5 * np.cos(2 * np.pi * (start + stop)))
                piece = substring(line, start, stop, normalized=True)
                shapes.append(piece.buffer(local / 2, quad_segs=32))
        burnt: Raster = rasterio.features.rasterize(shapes, self.shape, dtype="uint8")
        return burnt


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How well lines show a network; distances are limited to `NEAR`."""

    completeness: float
    correctness: float
    rms: float


def blocks_of(labels: Raster, height: int = 4096, width: int = 4096) -> Iterator[Block]:
    """Cut a raster into blocks, with confidences that differ from pixel to pixel."""
    rows, cols = np.indices(labels.shape)
    confidence = np.where(labels == NODATA, NODATA, (rows * 37 + cols * 11) % 101).astype(np.uint8)
    for row in range(0, labels.shape[0], height):
        for col in range(0, labels.shape[1], width):
            window = Window.of_shape(height, width).shift(row, col).clip(Window.of_shape(*labels.shape))
            yield Block(window=window, labels=labels[window.slices], confidence=confidence[window.slices])


def grid_of(labels: Raster, transform: Affine | None = None, crs: str | None = None) -> Grid:
    """Give a grid in which world coordinates are pixels, or the one asked for."""
    height, width = labels.shape
    return Grid(height=height, width=width, transform=transform or Affine.identity(), crs=crs)


def trace(labels: Raster, height: int = 4096, width: int = 4096, **options: Any) -> LineTable:
    """Trace class 1 of a raster from blocks of this size."""
    options = {"grid": grid_of(labels), "classes": {1}} | options
    return trace_centrelines(blocks_of(labels, height, width), **options)


def same(one: LineTable, other: LineTable) -> bool:
    """Tell whether two tables are equal in every bit."""
    geometry = shapely.to_wkb(one.geometry).tolist() == shapely.to_wkb(other.geometry).tolist()
    rest = [f.name for f in fields(LineTable) if f.name != "geometry"]
    return geometry and all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in rest)


def junctions(table: LineTable) -> Counter[int]:
    """How many junctions there are of each degree."""
    nodes = np.concatenate([table.start_node, table.end_node]).tolist()
    degrees = np.concatenate([table.start_degree, table.end_degree]).tolist()
    return Counter(degree for degree in dict(zip(nodes, degrees, strict=True)).values() if degree > 2)


def score(network: RoadNetwork, lines: NDArray[np.object_]) -> Score:
    """Compare lines in pixels with the truth."""
    truth, found = shapely.union_all(network.lines), shapely.union_all(lines)
    missed = _distances(truth, found)
    astray = _distances(found, truth)
    matched = astray[astray <= NEAR]
    return Score(
        completeness=float((missed <= NEAR).mean()),
        correctness=float((astray <= NEAR).mean()),
        rms=float(np.sqrt((matched**2).mean())),
    )


def _distances(one: shapely.Geometry, other: shapely.Geometry) -> NDArray[np.float64]:
    """Give the distances to another geometry from points every half pixel."""
    parts = shapely.get_parts(one)
    points = [shapely.line_interpolate_point(part, np.arange(0.25, part.length, 0.5)) for part in parts]
    return shapely.distance(np.concatenate(points), other)


def bent(start: tuple[float, float], end: tuple[float, float], bulge: float) -> LineString:
    """Give an arc-like line that strays from the straight one by `bulge` px in its middle."""
    one, other = np.array(start), np.array(end)
    way = other - one
    across = np.array([-way[1], way[0]]) / np.hypot(*way)
    share = np.linspace(0, 1, 60)[:, None]
    points = one + share * way + bulge * np.sin(np.pi * share) * across
    points[0], points[-1] = one, other
    return LineString(points)


def town(seed: int, *, side: int = 480, block: int = 80) -> RoadNetwork:
    """Give crooked streets: a grid with moved crossings, bent edges, and a share of the edges left out."""
    random = np.random.default_rng(seed)
    n = side // block
    place = {
        (i, j): tuple((np.array([j, i]) + 0.5) * block + random.uniform(-14, 14, 2)) for i in range(n) for j in range(n)
    }
    edges = [((i, j), (i, j + 1)) for i in range(n) for j in range(n - 1)]
    edges += [((i, j), (i + 1, j)) for i in range(n - 1) for j in range(n)]
    kept = [edge for edge in edges if random.random() < 0.8]
    lines = [bent(place[a], place[b], random.uniform(-6, 6)) for a, b in kept]
    return RoadNetwork(lines=tuple(lines), shape=(side, side))


def star(angles: tuple[float, ...], *, side: int = 240) -> RoadNetwork:
    """Give straight lines that leave one point in directions [degrees]."""
    centre = (side / 2 + 0.3, side / 2 - 0.2)
    turns = np.deg2rad(angles)
    ends = [(centre[0] + 0.4 * side * np.cos(t), centre[1] + 0.4 * side * np.sin(t)) for t in turns]
    return RoadNetwork(lines=tuple(LineString([centre, end]) for end in ends), shape=(side, side))


def noisy(labels: Raster, share: float, seed: int) -> Raster:
    """Turn a share of all pixels around, one by one, and as many more along the sides of the lines."""
    random = np.random.default_rng(seed)
    flipped = random.random(labels.shape) < share
    padded = np.pad(labels, 1, mode="edge")
    side = (
        sum((padded[1 + i : labels.shape[0] + 1 + i, 1 + j : labels.shape[1] + 1 + j] != labels) for i, j in STEPS) > 0
    )
    flipped |= side & (random.random(labels.shape) < 10 * share)
    return np.where(flipped, 1 - labels, labels).astype(np.uint8)


STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))
