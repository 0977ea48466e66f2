"""Land cover and colours of the demo scene: a settlement frontier in Rondônia as Sentinel-2 sees it.

A main road, side roads every four kilometres, lots cleared from the roads into the forest (the fishbone
pattern), gallery forest along the streams, a brown river, and a slanted edge of the swath behind which
there is no data. Lengths are in pixels of 10 m.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segflow.io.demo.terrain import double, drainage, fractal

Array = NDArray[np.float32]

FOREST, OTHER, UNKNOWN = 1, 0, 255
STRIP = 256  # rows painted at once; bounds the memory for temporary arrays

CELL = 8  # side of a cell of the drainage grid
STREAM, RIVER = 500, 25_000  # cells of land that feed a stream with gallery forest, and a river
SPACING, LOT = 400, 50  # between side roads, and along them between lots
BEARING = np.deg2rad(-24)  # of the main road
GROVE = 2.1  # `clump` above which trees stand in a clearing
GALLERY, RIVERSIDE, WATER = 0.55, 0.2, 0.5  # of `stream` and `river`: where trees and where water begin
TRACK, HIGHWAY = 1.2, 2.0  # half widths of side roads and the main road
SWATH_EDGE = 0.21  # columns without data per row, as steep as the edge of a Sentinel-2 swath

# 8-bit red, green, blue, as in the scenes that the default model learned from: mean and swing of the texture.
FOREST_RGB, FOREST_SWING = (27.0, 46.5, 50.8), (2.3, 2.8, 1.5)
RIVER_RGB, RIVER_SWING = (60.0, 63.0, 65.0), (2.0, 1.5, 1.2)
ROAD_RGB = (104.0, 88.0, 81.0)
LAND = (  # share, colour
    (0.09, (42.0, 57.0, 58.0)),  # regrowth, hard to tell from forest
    (0.32, (58.0, 63.0, 61.0)),  # moist pasture
    (0.30, (74.0, 68.0, 68.0)),  # dry pasture
    (0.11, (62.0, 78.0, 67.0)),  # crop
    (0.12, (104.0, 80.0, 76.0)),  # ploughed soil
    (0.06, (132.0, 92.0, 82.0)),  # dry soil
)
LAND_SWING = (9.0, 5.5, 4.0)
BLUR = (0.14, 0.72, 0.14)  # how far a pixel sees its neighbours, as a telescope does


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DemoPattern:
    """The demo scene as arrays.

    Attributes
    ----------
    pixels
        (3, size, size) uint8 array: red, green, blue; 0 is nodata.
    truth
        (size, size) uint8 array: 1 forest, 0 other, 255 nodata.
    """

    pixels: NDArray[np.uint8]
    truth: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Lots:
    """Lots by [side road, side of it, place along it].

    `depth` is how far they are cleared from the side road [px], `rgb` their colour.
    """

    depth: Array
    rgb: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fields:
    """What varies from place to place, each (size, size) float32.

    `bend` moves roads and lots sideways, `clump` makes groves and the patches inside lots, `grain` the
    texture of single pixels, `shade` light and dark slopes; `stream` and `river` are near 1 along the
    water and 0 elsewhere.
    """

    bend: Array
    clump: Array
    grain: Array
    shade: Array
    stream: Array
    river: Array


def make_pattern(size: int, seed: int) -> DemoPattern:
    """Give the demo scene; the same seed gives the same scene.

    Parameters
    ----------
    size
        Side of the scene, a multiple of 512 [px].
    seed
        Of all randomness.
    """
    random = np.random.default_rng(seed)
    fields = _make_fields(random, size)
    lots = _make_lots(random, size)
    pixels = np.empty((3, size, size), np.uint8)
    truth = np.empty((size, size), np.uint8)
    for start in range(0, size, STRIP):
        rows = slice(start, start + STRIP)
        truth[rows], colours = _paint(fields, lots, rows)
        speckle = random.standard_normal(colours.shape, dtype=np.float32) * np.float32(0.8)
        pixels[:, rows] = np.clip(np.rint(colours + speckle), 1, 255)
        pixels[:, rows][:, truth[rows] == UNKNOWN] = 0
    return DemoPattern(pixels=pixels, truth=truth)


def _make_fields(random: np.random.Generator, size: int) -> _Fields:
    cells = size // CELL
    slope = np.add.outer(np.arange(cells), np.arange(cells) * 0.35).astype(np.float32) * np.float32(4 / cells)
    terrain = slope + fractal(random, cells, wavelength=64, roughness=0.55)
    land = drainage(terrain)
    light = np.diff(terrain, axis=1, append=terrain[:, -1:])  # slopes that rise to the east lie in the shade
    return _Fields(
        bend=fractal(random, size, wavelength=512, roughness=0.35, smallest=32),
        clump=fractal(random, size, wavelength=64, roughness=0.72, smallest=2),
        grain=fractal(random, size, wavelength=2, roughness=0.3),
        shade=_enlarge(-light / light.std()),
        stream=_widen(land > STREAM, 0.8),
        river=_widen(np.clip(land / RIVER - 0.3, 0, 1.4), 1.5),
    )


def _widen(course: NDArray[Any], sigma: float) -> Array:
    """Give a watercourse drawn on the drainage grid as a soft line on the scene's grid, about 1 in its middle."""
    soft = ndimage.gaussian_filter(course.astype(np.float32), sigma)
    return _enlarge(soft * np.float32(sigma * np.sqrt(2 * np.pi)))


def _enlarge(field: Array) -> Array:
    """Bring a field from the drainage grid to the scene's grid."""
    for _ in range(CELL.bit_length() - 1):
        field = double(field)
    return field


def _make_lots(random: np.random.Generator, size: int) -> _Lots:
    roads, places = 2 * size // SPACING + 2, 2 * size // LOT + 2
    shape = roads, 2, places
    reach = random.uniform(0.2, 0.5, (roads, 1, 1)) * size  # how far from the main road a side road has settlers
    away = np.abs((np.arange(places) - places // 2) * LOT) / reach
    settled = random.random(shape) > 0.06 + 0.6 * away**2
    depth = SPACING / 2 * random.uniform(0.45, 1.15, shape) * (1 - 0.5 * away)
    shares, colours = zip(*LAND, strict=True)
    rgb = np.array(colours)[random.choice(len(LAND), shape, p=shares)] * random.normal(1, 0.07, (*shape, 1))
    depth = np.where(settled & (away < 1), depth, 0)
    return _Lots(depth=depth.astype(np.float32), rgb=rgb.astype(np.float32))


def _paint(fields: _Fields, lots: _Lots, rows: slice) -> tuple[NDArray[np.uint8], Array]:
    """Give truth (rows, size) and colours (3, rows, size) of a strip, each cover over the ones before it."""
    size = fields.bend.shape[1]
    y, x = np.mgrid[rows, 0:size].astype(np.float32) - np.float32(size / 2)
    bend, clump, grain, shade = fields.bend[rows], fields.clump[rows], fields.grain[rows], fields.shade[rows]
    along = np.cos(BEARING) * x + np.sin(BEARING) * y + 22 * bend
    across = np.cos(BEARING) * y - np.sin(BEARING) * x + 30 * bend

    road = np.floor(along / SPACING).astype(np.intp) + lots.depth.shape[0] // 2
    beside = along % SPACING - SPACING / 2
    place = np.floor(across / LOT).astype(np.intp) + lots.depth.shape[2] // 2
    lot = road, (beside > 0).astype(np.intp), np.clip(place, 0, lots.depth.shape[2] - 1)

    depth = lots.depth[lot]
    cleared = (np.abs(beside) < depth + 7 * clump) & (depth > 0) & (clump < GROVE)
    cleared &= (fields.stream[rows] < GALLERY) & (fields.river[rows] < RIVERSIDE)
    water = fields.river[rows] > WATER
    tracks = ((np.abs(beside) < TRACK) & (depth > 0)) | (np.abs(across) < HIGHWAY)
    nodata = x + size / 2 < SWATH_EDGE * (size * 0.55 - (y + size / 2))

    colours = _textured(FOREST_RGB, FOREST_SWING, 1.0 * grain + 0.4 * clump + 0.55 * shade)
    land = np.moveaxis(lots.rgb[lot], -1, 0)
    land = land + _textured((0, 0, 0), LAND_SWING, (0.45 * grain + 0.7 * clump + 0.4 * shade) * land[0] / 80)
    colours = np.where(cleared, land, colours)
    colours = np.where(water, _textured(RIVER_RGB, RIVER_SWING, 0.5 * grain + bend), colours)
    colours = np.where(tracks, _textured(ROAD_RGB, LAND_SWING, 0.6 * grain), colours)
    truth = np.where(cleared | water | tracks, OTHER, FOREST).astype(np.uint8)
    truth[nodata] = UNKNOWN
    return truth, ndimage.convolve1d(ndimage.convolve1d(colours, BLUR, 1), BLUR, 2)


def _textured(rgb: tuple[float, ...], swing: tuple[float, ...], texture: Array) -> Array:
    """Give colours (3, rows, size) that swing around a mean with the texture (rows, size)."""
    mean, factor = np.array([rgb, swing], np.float32)[:, :, None, None]
    colours: Array = mean + factor * texture
    return colours
