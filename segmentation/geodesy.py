"""Areas and lengths on the ellipsoid of pixel outlines, thousands at a time.

Outlines are followed as they lie on the ground: an edge that is straight in the grid is cut into
segments of at most a kilometre before it is taken to longitude and latitude.

Areas are integrals along the rings, :math:`A = \\frac{a^2}{2} \\oint q \\, d\\lambda`, with the authalic
function :math:`q(\\varphi)`: exact along parallels and meridians. Neighbours integrate a shared edge
in opposite directions, so areas add up to the area of the scene. Lengths are taken from the
ellipsoid's radii of curvature halfway along each segment (off by 1e-8 of it at a kilometre).

References
----------
Snyder, Map Projections, USGS Professional Paper 1395 (1987), eq. 3-12 (q), 4-18 and 4-20 (radii).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from segflow.segmentation.pieces import ends_of, spread
from segflow.tiling import Grid

SEGMENT = 1000.0  # m; a geodesic of this length strays 2 cm from a parallel at 60° north

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ellipsoid:
    """An ellipsoid of revolution: semi-major axis [m] and squared eccentricity."""

    semi_major: float
    eccentricity2: float

    def authalic(self, sine: Floats) -> Floats:
        """Give q of a latitude's sine: the area from the equator is ``semi_major² / 2 · q`` per radian."""
        if not self.eccentricity2:
            return 2 * sine
        e = np.sqrt(self.eccentricity2)
        return (1 - self.eccentricity2) * (sine / (1 - self.eccentricity2 * sine**2) + np.arctanh(e * sine) / e)

    def lengths(self, latitude: Floats, north: Floats, east: Floats) -> Floats:
        """Give the lengths [m] of short segments.

        Parameters
        ----------
        latitude
            Halfway along each segment [rad].
        north, east
            Difference of latitude and longitude [rad].
        """
        sine2 = np.sin(latitude) ** 2
        w = 1 - self.eccentricity2 * sine2
        meridian = self.semi_major * (1 - self.eccentricity2) / (w * np.sqrt(w))
        parallel = self.semi_major * np.sqrt((1 - sine2) / w)
        return np.hypot(meridian * north, parallel * east)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Measures what is given in pixels of a grid [m, m²].

    Attributes
    ----------
    transform
        Of the grid.
    to_geodetic
        From the CRS to its own longitude and latitude.
    unit
        Of that longitude and latitude [rad].
    ellipsoid
        Of the CRS.
    segment
        Longest segment taken in one step [px].
    """

    transform: Affine
    to_geodetic: Transformer
    unit: float
    ellipsoid: Ellipsoid
    segment: float = np.inf

    @classmethod
    def of(cls, grid: Grid) -> Self | None:
        """Give the ground under a grid; None where the grid has no CRS, or one without an ellipsoid."""
        crs = _horizontal(CRS.from_user_input(grid.crs)) if grid.crs else None
        geodetic = crs.geodetic_crs if crs else None
        if crs is None or geodetic is None or crs.is_geocentric or crs.ellipsoid is None:
            return None
        major, minor = crs.ellipsoid.semi_major_metre, crs.ellipsoid.semi_minor_metre
        ground = cls(
            transform=grid.transform,
            to_geodetic=Transformer.from_crs(crs, geodetic.to_2d(), always_xy=True),
            unit=geodetic.axis_info[0].unit_conversion_factor,
            ellipsoid=Ellipsoid(semi_major=major, eccentricity2=1 - (minor / major) ** 2),
        )
        row, col = grid.height / 2, grid.width / 2
        sides = ground.measure_lines(
            np.array([[col, row], [col + 1, row], [col, row], [col, row + 1]]), np.array([0, 2, 4])
        )
        side = float(sides.max())
        segment = SEGMENT / side if np.isfinite(side) and side > 0 else 1.0
        return cls(
            **{name: getattr(ground, name) for name in ("transform", "to_geodetic", "unit", "ellipsoid")},
            segment=segment,
        )

    def measure_rings(
        self, corners: NDArray[np.floating] | NDArray[np.integer], offsets: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """Measure rings.

        Parameters
        ----------
        corners
            (n, 2) array of (column, row): the rings without their first corner repeated [px].
        offsets
            (rings + 1,) int64 array: ring i has the corners ``offsets[i]:offsets[i + 1]``; none is empty.

        Returns
        -------
        Areas without sign [m²] and lengths [m], (rings,) float64 arrays; NaN where the CRS has no
        longitude and latitude for a corner.
        """
        following = np.arange(1, len(corners) + 1)
        following[offsets[1:] - 1] = offsets[:-1]
        points, offsets = self._densify(corners, following, offsets)
        following = np.arange(1, len(points) + 1)
        following[offsets[1:] - 1] = offsets[:-1]
        longitude, latitude = self._geodetic(points)
        north, east = latitude[following] - latitude, _turned(longitude[following] - longitude)
        lengths = self.ellipsoid.lengths(latitude + north / 2, north, east)
        q = self.ellipsoid.authalic(np.sin(latitude))
        return self._areas(q, east, following, offsets), _sums(lengths, offsets)

    def measure_lines(self, corners: NDArray[np.floating] | NDArray[np.integer], offsets: NDArray[np.int64]) -> Floats:
        """Measure lines, given like rings but not closed: (lines,) float64 array of lengths [m]."""
        following = np.arange(1, len(corners) + 1)
        following[offsets[1:] - 1] -= 1  # a line's last corner is followed by itself
        points, offsets = self._densify(corners, following, offsets)
        longitude, latitude = self._geodetic(points)
        north, east = np.diff(latitude, append=0), _turned(np.diff(longitude, append=0))
        north[offsets[1:] - 1] = east[offsets[1:] - 1] = 0
        return _sums(self.ellipsoid.lengths(latitude + north / 2, north, east), offsets)

    def _densify(
        self,
        corners: NDArray[np.floating] | NDArray[np.integer],
        following: NDArray[np.intp],
        offsets: NDArray[np.int64],
    ) -> tuple[Floats, NDArray[np.int64]]:
        """Cut the edges into equal segments of at most `segment` pixels."""
        corners = corners.astype(np.float64)
        step = corners[following] - corners
        pieces = np.maximum(np.ceil(np.hypot(step[:, 0], step[:, 1]) / self.segment), 1).astype(np.int64)
        if pieces.max(initial=1) == 1:
            return corners, offsets
        ends = ends_of(pieces)
        edge = np.repeat(np.arange(len(corners)), pieces)
        share = (spread(np.zeros(len(pieces), np.int64), pieces) / pieces[edge])[:, None]
        return corners[edge] + share * step[edge], ends[offsets]

    def _geodetic(self, points: Floats) -> tuple[Floats, Floats]:
        """Give longitudes and latitudes [rad] of points (column, row); NaN where there are none."""
        x, y = world(points, self.transform)
        longitude, latitude = self.to_geodetic.transform(x, y)
        missing = ~(np.isfinite(longitude) & np.isfinite(latitude))
        longitude[missing] = latitude[missing] = np.nan
        return longitude * self.unit, latitude * self.unit

    def _areas(self, q: Floats, east: Floats, following: NDArray[np.intp], offsets: NDArray[np.int64]) -> Floats:
        lengths = np.diff(offsets)
        origin = q[offsets[:-1]]  # q counted from each ring's first point: small numbers keep their digits
        turns = np.round(_sums(east, offsets) / (2 * np.pi))
        pole = np.copysign(self.ellipsoid.authalic(np.ones(1))[0], origin)
        origin = np.where(np.abs(turns) == 1, pole, origin)  # around a pole the area lies between ring and pole
        relative = q - np.repeat(origin, lengths)
        sums = _sums((relative + relative[following]) * east, offsets)
        return np.abs(sums) * (self.ellipsoid.semi_major**2 / 4)


def world(points: NDArray[np.floating] | NDArray[np.integer], transform: Affine) -> tuple[Floats, Floats]:
    """Give world x and y [CRS unit] of points, (n, 2) array of (column, row)."""
    a, b, c, d, e, f = tuple(transform)[:6]
    col, row = points[:, 0].astype(np.float64), points[:, 1].astype(np.float64)
    return a * col + b * row + c, d * col + e * row + f


def _horizontal(crs: CRS) -> CRS:
    if crs.is_bound and crs.source_crs is not None:
        return _horizontal(crs.source_crs)
    return _horizontal(crs.sub_crs_list[0]) if crs.is_compound else crs


def _turned(east: Floats) -> Floats:
    """Give differences of longitude [rad] the short way round."""
    return east - 2 * np.pi * np.round(east / (2 * np.pi))


def _sums(values: Floats, offsets: NDArray[np.int64]) -> Floats:
    """Add up the values of each ring or line; none is empty."""
    return np.add.reduceat(values, offsets[:-1]) if len(offsets) > 1 else np.zeros(0)
